from . import common_pb2 as _common_pb2
from . import jobs_pb2 as _jobs_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class LeaseJobRequest(_message.Message):
    __slots__ = ("provider_key_hex", "base_model_digests")
    PROVIDER_KEY_HEX_FIELD_NUMBER: _ClassVar[int]
    BASE_MODEL_DIGESTS_FIELD_NUMBER: _ClassVar[int]
    provider_key_hex: str
    base_model_digests: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, provider_key_hex: _Optional[str] = ..., base_model_digests: _Optional[_Iterable[str]] = ...) -> None: ...

class Lease(_message.Message):
    __slots__ = ("job", "lease_token", "messages")
    JOB_FIELD_NUMBER: _ClassVar[int]
    LEASE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    MESSAGES_FIELD_NUMBER: _ClassVar[int]
    job: str
    lease_token: str
    messages: _containers.RepeatedCompositeFieldContainer[_common_pb2.Envelope]
    def __init__(self, job: _Optional[str] = ..., lease_token: _Optional[str] = ..., messages: _Optional[_Iterable[_Union[_common_pb2.Envelope, _Mapping]]] = ...) -> None: ...

class PostMessageRequest(_message.Message):
    __slots__ = ("lease_token", "message")
    LEASE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    lease_token: str
    message: _common_pb2.Envelope
    def __init__(self, lease_token: _Optional[str] = ..., message: _Optional[_Union[_common_pb2.Envelope, _Mapping]] = ...) -> None: ...

class PostMessageResponse(_message.Message):
    __slots__ = ("state",)
    STATE_FIELD_NUMBER: _ClassVar[int]
    state: _jobs_pb2.JobState
    def __init__(self, state: _Optional[_Union[_jobs_pb2.JobState, str]] = ...) -> None: ...

class DownloadTrainingDataRequest(_message.Message):
    __slots__ = ("lease_token",)
    LEASE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    lease_token: str
    def __init__(self, lease_token: _Optional[str] = ...) -> None: ...

class ReportProgressRequest(_message.Message):
    __slots__ = ("lease_token", "progress")
    LEASE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    PROGRESS_FIELD_NUMBER: _ClassVar[int]
    lease_token: str
    progress: _jobs_pb2.TrainingProgress
    def __init__(self, lease_token: _Optional[str] = ..., progress: _Optional[_Union[_jobs_pb2.TrainingProgress, _Mapping]] = ...) -> None: ...

class ReportProgressResponse(_message.Message):
    __slots__ = ("stop",)
    STOP_FIELD_NUMBER: _ClassVar[int]
    stop: bool
    def __init__(self, stop: _Optional[bool] = ...) -> None: ...

class UploadAdapterRequest(_message.Message):
    __slots__ = ("lease_token", "file_name", "data")
    LEASE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    FILE_NAME_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    lease_token: str
    file_name: str
    data: bytes
    def __init__(self, lease_token: _Optional[str] = ..., file_name: _Optional[str] = ..., data: _Optional[bytes] = ...) -> None: ...

class UploadAdapterResponse(_message.Message):
    __slots__ = ("receipt",)
    RECEIPT_FIELD_NUMBER: _ClassVar[int]
    receipt: _common_pb2.Envelope
    def __init__(self, receipt: _Optional[_Union[_common_pb2.Envelope, _Mapping]] = ...) -> None: ...
