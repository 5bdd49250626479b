from . import common_pb2 as _common_pb2
from . import jobs_pb2 as _jobs_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class ChallengeJobRequest(_message.Message):
    __slots__ = ("job", "challenge")
    JOB_FIELD_NUMBER: _ClassVar[int]
    CHALLENGE_FIELD_NUMBER: _ClassVar[int]
    job: str
    challenge: _common_pb2.Envelope
    def __init__(self, job: _Optional[str] = ..., challenge: _Optional[_Union[_common_pb2.Envelope, _Mapping]] = ...) -> None: ...

class ListCasesRequest(_message.Message):
    __slots__ = ("page_size", "page_token")
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    page_size: int
    page_token: str
    def __init__(self, page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListCasesResponse(_message.Message):
    __slots__ = ("jobs", "next_page_token")
    JOBS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    jobs: _containers.RepeatedCompositeFieldContainer[_jobs_pb2.Job]
    next_page_token: str
    def __init__(self, jobs: _Optional[_Iterable[_Union[_jobs_pb2.Job, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class DownloadCaseFileRequest(_message.Message):
    __slots__ = ("job", "file_name", "offset")
    JOB_FIELD_NUMBER: _ClassVar[int]
    FILE_NAME_FIELD_NUMBER: _ClassVar[int]
    OFFSET_FIELD_NUMBER: _ClassVar[int]
    job: str
    file_name: str
    offset: int
    def __init__(self, job: _Optional[str] = ..., file_name: _Optional[str] = ..., offset: _Optional[int] = ...) -> None: ...

class PostRulingRequest(_message.Message):
    __slots__ = ("job", "ruling")
    JOB_FIELD_NUMBER: _ClassVar[int]
    RULING_FIELD_NUMBER: _ClassVar[int]
    job: str
    ruling: _common_pb2.Envelope
    def __init__(self, job: _Optional[str] = ..., ruling: _Optional[_Union[_common_pb2.Envelope, _Mapping]] = ...) -> None: ...

class ProveFaultRequest(_message.Message):
    __slots__ = ("job", "proof")
    JOB_FIELD_NUMBER: _ClassVar[int]
    PROOF_FIELD_NUMBER: _ClassVar[int]
    job: str
    proof: bytes
    def __init__(self, job: _Optional[str] = ..., proof: _Optional[bytes] = ...) -> None: ...
