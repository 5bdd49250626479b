import datetime

from google.protobuf import timestamp_pb2 as _timestamp_pb2
from . import common_pb2 as _common_pb2
from . import jobs_pb2 as _jobs_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Provider(_message.Message):
    __slots__ = ("name", "display_name", "base_model_digests", "machine", "register_time", "last_seen_time", "record", "least_price_minor_per_1000_tokens")
    NAME_FIELD_NUMBER: _ClassVar[int]
    DISPLAY_NAME_FIELD_NUMBER: _ClassVar[int]
    BASE_MODEL_DIGESTS_FIELD_NUMBER: _ClassVar[int]
    MACHINE_FIELD_NUMBER: _ClassVar[int]
    REGISTER_TIME_FIELD_NUMBER: _ClassVar[int]
    LAST_SEEN_TIME_FIELD_NUMBER: _ClassVar[int]
    RECORD_FIELD_NUMBER: _ClassVar[int]
    LEAST_PRICE_MINOR_PER_1000_TOKENS_FIELD_NUMBER: _ClassVar[int]
    name: str
    display_name: str
    base_model_digests: _containers.RepeatedScalarFieldContainer[str]
    machine: Machine
    register_time: _timestamp_pb2.Timestamp
    last_seen_time: _timestamp_pb2.Timestamp
    record: Record
    least_price_minor_per_1000_tokens: int
    def __init__(self, name: _Optional[str] = ..., display_name: _Optional[str] = ..., base_model_digests: _Optional[_Iterable[str]] = ..., machine: _Optional[_Union[Machine, _Mapping]] = ..., register_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., last_seen_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., record: _Optional[_Union[Record, _Mapping]] = ..., least_price_minor_per_1000_tokens: _Optional[int] = ...) -> None: ...

class Machine(_message.Message):
    __slots__ = ("gpu_count", "gpu_model", "cpu_count", "memory_bytes")
    GPU_COUNT_FIELD_NUMBER: _ClassVar[int]
    GPU_MODEL_FIELD_NUMBER: _ClassVar[int]
    CPU_COUNT_FIELD_NUMBER: _ClassVar[int]
    MEMORY_BYTES_FIELD_NUMBER: _ClassVar[int]
    gpu_count: int
    gpu_model: str
    cpu_count: int
    memory_bytes: int
    def __init__(self, gpu_count: _Optional[int] = ..., gpu_model: _Optional[str] = ..., cpu_count: _Optional[int] = ..., memory_bytes: _Optional[int] = ...) -> None: ...

class Record(_message.Message):
    __slots__ = ("accepted", "rejected", "inconclusive", "aborted", "forfeited", "faulted", "in_hand")
    ACCEPTED_FIELD_NUMBER: _ClassVar[int]
    REJECTED_FIELD_NUMBER: _ClassVar[int]
    INCONCLUSIVE_FIELD_NUMBER: _ClassVar[int]
    ABORTED_FIELD_NUMBER: _ClassVar[int]
    FORFEITED_FIELD_NUMBER: _ClassVar[int]
    FAULTED_FIELD_NUMBER: _ClassVar[int]
    IN_HAND_FIELD_NUMBER: _ClassVar[int]
    accepted: int
    rejected: int
    inconclusive: int
    aborted: int
    forfeited: int
    faulted: int
    in_hand: int
    def __init__(self, accepted: _Optional[int] = ..., rejected: _Optional[int] = ..., inconclusive: _Optional[int] = ..., aborted: _Optional[int] = ..., forfeited: _Optional[int] = ..., faulted: _Optional[int] = ..., in_hand: _Optional[int] = ...) -> None: ...

class RegisterProviderRequest(_message.Message):
    __slots__ = ("display_name", "base_model_digests", "machine", "least_price_minor_per_1000_tokens")
    DISPLAY_NAME_FIELD_NUMBER: _ClassVar[int]
    BASE_MODEL_DIGESTS_FIELD_NUMBER: _ClassVar[int]
    MACHINE_FIELD_NUMBER: _ClassVar[int]
    LEAST_PRICE_MINOR_PER_1000_TOKENS_FIELD_NUMBER: _ClassVar[int]
    display_name: str
    base_model_digests: _containers.RepeatedScalarFieldContainer[str]
    machine: Machine
    least_price_minor_per_1000_tokens: int
    def __init__(self, display_name: _Optional[str] = ..., base_model_digests: _Optional[_Iterable[str]] = ..., machine: _Optional[_Union[Machine, _Mapping]] = ..., least_price_minor_per_1000_tokens: _Optional[int] = ...) -> None: ...

class GetProviderRequest(_message.Message):
    __slots__ = ("name",)
    NAME_FIELD_NUMBER: _ClassVar[int]
    name: str
    def __init__(self, name: _Optional[str] = ...) -> None: ...

class LeaseJobRequest(_message.Message):
    __slots__ = ("base_model_digests", "declined_jobs", "least_price_minor_per_1000_tokens")
    BASE_MODEL_DIGESTS_FIELD_NUMBER: _ClassVar[int]
    DECLINED_JOBS_FIELD_NUMBER: _ClassVar[int]
    LEAST_PRICE_MINOR_PER_1000_TOKENS_FIELD_NUMBER: _ClassVar[int]
    base_model_digests: _containers.RepeatedScalarFieldContainer[str]
    declined_jobs: _containers.RepeatedScalarFieldContainer[str]
    least_price_minor_per_1000_tokens: int
    def __init__(self, base_model_digests: _Optional[_Iterable[str]] = ..., declined_jobs: _Optional[_Iterable[str]] = ..., least_price_minor_per_1000_tokens: _Optional[int] = ...) -> None: ...

class Lease(_message.Message):
    __slots__ = ("job", "fence", "expire_time", "messages", "trained_tokens")
    JOB_FIELD_NUMBER: _ClassVar[int]
    FENCE_FIELD_NUMBER: _ClassVar[int]
    EXPIRE_TIME_FIELD_NUMBER: _ClassVar[int]
    MESSAGES_FIELD_NUMBER: _ClassVar[int]
    TRAINED_TOKENS_FIELD_NUMBER: _ClassVar[int]
    job: str
    fence: int
    expire_time: _timestamp_pb2.Timestamp
    messages: _containers.RepeatedCompositeFieldContainer[_common_pb2.Envelope]
    trained_tokens: int
    def __init__(self, job: _Optional[str] = ..., fence: _Optional[int] = ..., expire_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., messages: _Optional[_Iterable[_Union[_common_pb2.Envelope, _Mapping]]] = ..., trained_tokens: _Optional[int] = ...) -> None: ...

class HeartbeatRequest(_message.Message):
    __slots__ = ("job", "fence", "progress")
    JOB_FIELD_NUMBER: _ClassVar[int]
    FENCE_FIELD_NUMBER: _ClassVar[int]
    PROGRESS_FIELD_NUMBER: _ClassVar[int]
    job: str
    fence: int
    progress: _jobs_pb2.TrainingProgress
    def __init__(self, job: _Optional[str] = ..., fence: _Optional[int] = ..., progress: _Optional[_Union[_jobs_pb2.TrainingProgress, _Mapping]] = ...) -> None: ...

class HeartbeatResponse(_message.Message):
    __slots__ = ("state", "expire_time", "stop")
    STATE_FIELD_NUMBER: _ClassVar[int]
    EXPIRE_TIME_FIELD_NUMBER: _ClassVar[int]
    STOP_FIELD_NUMBER: _ClassVar[int]
    state: _jobs_pb2.JobState
    expire_time: _timestamp_pb2.Timestamp
    stop: bool
    def __init__(self, state: _Optional[_Union[_jobs_pb2.JobState, str]] = ..., expire_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., stop: _Optional[bool] = ...) -> None: ...

class PostMessageRequest(_message.Message):
    __slots__ = ("job", "fence", "message")
    JOB_FIELD_NUMBER: _ClassVar[int]
    FENCE_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    job: str
    fence: int
    message: _common_pb2.Envelope
    def __init__(self, job: _Optional[str] = ..., fence: _Optional[int] = ..., message: _Optional[_Union[_common_pb2.Envelope, _Mapping]] = ...) -> None: ...

class PostMessageResponse(_message.Message):
    __slots__ = ("state",)
    STATE_FIELD_NUMBER: _ClassVar[int]
    state: _jobs_pb2.JobState
    def __init__(self, state: _Optional[_Union[_jobs_pb2.JobState, str]] = ...) -> None: ...

class DownloadTrainingDataRequest(_message.Message):
    __slots__ = ("job", "fence", "offset")
    JOB_FIELD_NUMBER: _ClassVar[int]
    FENCE_FIELD_NUMBER: _ClassVar[int]
    OFFSET_FIELD_NUMBER: _ClassVar[int]
    job: str
    fence: int
    offset: int
    def __init__(self, job: _Optional[str] = ..., fence: _Optional[int] = ..., offset: _Optional[int] = ...) -> None: ...

class SubmitCheckpointRequest(_message.Message):
    __slots__ = ("job", "fence", "epoch", "digest")
    JOB_FIELD_NUMBER: _ClassVar[int]
    FENCE_FIELD_NUMBER: _ClassVar[int]
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    DIGEST_FIELD_NUMBER: _ClassVar[int]
    job: str
    fence: int
    epoch: int
    digest: str
    def __init__(self, job: _Optional[str] = ..., fence: _Optional[int] = ..., epoch: _Optional[int] = ..., digest: _Optional[str] = ...) -> None: ...

class SubmitCheckpointResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class SubmitAdapterRequest(_message.Message):
    __slots__ = ("job", "fence", "files")
    JOB_FIELD_NUMBER: _ClassVar[int]
    FENCE_FIELD_NUMBER: _ClassVar[int]
    FILES_FIELD_NUMBER: _ClassVar[int]
    job: str
    fence: int
    files: _containers.RepeatedCompositeFieldContainer[_common_pb2.File]
    def __init__(self, job: _Optional[str] = ..., fence: _Optional[int] = ..., files: _Optional[_Iterable[_Union[_common_pb2.File, _Mapping]]] = ...) -> None: ...

class SubmitAdapterResponse(_message.Message):
    __slots__ = ("receipt",)
    RECEIPT_FIELD_NUMBER: _ClassVar[int]
    receipt: _common_pb2.Envelope
    def __init__(self, receipt: _Optional[_Union[_common_pb2.Envelope, _Mapping]] = ...) -> None: ...
