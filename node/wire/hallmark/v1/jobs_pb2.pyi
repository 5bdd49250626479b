import datetime

from google.protobuf import struct_pb2 as _struct_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from . import common_pb2 as _common_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class JobState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    JOB_STATE_UNSPECIFIED: _ClassVar[JobState]
    JOB_STATE_DRAFT: _ClassVar[JobState]
    JOB_STATE_OFFERED: _ClassVar[JobState]
    JOB_STATE_COMMITTED: _ClassVar[JobState]
    JOB_STATE_AGREED: _ClassVar[JobState]
    JOB_STATE_TRAINING: _ClassVar[JobState]
    JOB_STATE_SUBMITTED: _ClassVar[JobState]
    JOB_STATE_UPLOADED: _ClassVar[JobState]
    JOB_STATE_REVEALED: _ClassVar[JobState]
    JOB_STATE_EVALUATED: _ClassVar[JobState]
    JOB_STATE_CHALLENGED: _ClassVar[JobState]
    JOB_STATE_SETTLED: _ClassVar[JobState]
    JOB_STATE_EXPIRED: _ClassVar[JobState]
    JOB_STATE_CANCELLED: _ClassVar[JobState]
    JOB_STATE_ABORTED: _ClassVar[JobState]
    JOB_STATE_FORFEITED: _ClassVar[JobState]
    JOB_STATE_FAULTED: _ClassVar[JobState]

class Outcome(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    OUTCOME_UNSPECIFIED: _ClassVar[Outcome]
    OUTCOME_ACCEPT: _ClassVar[Outcome]
    OUTCOME_REJECT: _ClassVar[Outcome]
    OUTCOME_INCONCLUSIVE: _ClassVar[Outcome]

class JobEventType(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    JOB_EVENT_TYPE_UNSPECIFIED: _ClassVar[JobEventType]
    JOB_EVENT_TYPE_STATE_CHANGED: _ClassVar[JobEventType]
    JOB_EVENT_TYPE_MESSAGE: _ClassVar[JobEventType]
    JOB_EVENT_TYPE_METRICS: _ClassVar[JobEventType]
    JOB_EVENT_TYPE_HEARTBEAT: _ClassVar[JobEventType]
JOB_STATE_UNSPECIFIED: JobState
JOB_STATE_DRAFT: JobState
JOB_STATE_OFFERED: JobState
JOB_STATE_COMMITTED: JobState
JOB_STATE_AGREED: JobState
JOB_STATE_TRAINING: JobState
JOB_STATE_SUBMITTED: JobState
JOB_STATE_UPLOADED: JobState
JOB_STATE_REVEALED: JobState
JOB_STATE_EVALUATED: JobState
JOB_STATE_CHALLENGED: JobState
JOB_STATE_SETTLED: JobState
JOB_STATE_EXPIRED: JobState
JOB_STATE_CANCELLED: JobState
JOB_STATE_ABORTED: JobState
JOB_STATE_FORFEITED: JobState
JOB_STATE_FAULTED: JobState
OUTCOME_UNSPECIFIED: Outcome
OUTCOME_ACCEPT: Outcome
OUTCOME_REJECT: Outcome
OUTCOME_INCONCLUSIVE: Outcome
JOB_EVENT_TYPE_UNSPECIFIED: JobEventType
JOB_EVENT_TYPE_STATE_CHANGED: JobEventType
JOB_EVENT_TYPE_MESSAGE: JobEventType
JOB_EVENT_TYPE_METRICS: JobEventType
JOB_EVENT_TYPE_HEARTBEAT: JobEventType

class Job(_message.Message):
    __slots__ = ("name", "state", "client", "provider", "arbiter", "create_time", "waits_for", "due_time", "on_silence", "dataset", "base_model_digest", "token", "price_minor", "progress", "estimated_finish_time", "verdict", "adapter_files", "trained_tokens", "stake_minor", "fee_minor", "checkpoints")
    NAME_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    CLIENT_FIELD_NUMBER: _ClassVar[int]
    PROVIDER_FIELD_NUMBER: _ClassVar[int]
    ARBITER_FIELD_NUMBER: _ClassVar[int]
    CREATE_TIME_FIELD_NUMBER: _ClassVar[int]
    WAITS_FOR_FIELD_NUMBER: _ClassVar[int]
    DUE_TIME_FIELD_NUMBER: _ClassVar[int]
    ON_SILENCE_FIELD_NUMBER: _ClassVar[int]
    DATASET_FIELD_NUMBER: _ClassVar[int]
    BASE_MODEL_DIGEST_FIELD_NUMBER: _ClassVar[int]
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    PRICE_MINOR_FIELD_NUMBER: _ClassVar[int]
    PROGRESS_FIELD_NUMBER: _ClassVar[int]
    ESTIMATED_FINISH_TIME_FIELD_NUMBER: _ClassVar[int]
    VERDICT_FIELD_NUMBER: _ClassVar[int]
    ADAPTER_FILES_FIELD_NUMBER: _ClassVar[int]
    TRAINED_TOKENS_FIELD_NUMBER: _ClassVar[int]
    STAKE_MINOR_FIELD_NUMBER: _ClassVar[int]
    FEE_MINOR_FIELD_NUMBER: _ClassVar[int]
    CHECKPOINTS_FIELD_NUMBER: _ClassVar[int]
    name: str
    state: JobState
    client: str
    provider: str
    arbiter: str
    create_time: _timestamp_pb2.Timestamp
    waits_for: str
    due_time: _timestamp_pb2.Timestamp
    on_silence: str
    dataset: str
    base_model_digest: str
    token: str
    price_minor: int
    progress: TrainingProgress
    estimated_finish_time: _timestamp_pb2.Timestamp
    verdict: Verdict
    adapter_files: _containers.RepeatedCompositeFieldContainer[_common_pb2.File]
    trained_tokens: int
    stake_minor: int
    fee_minor: int
    checkpoints: _containers.RepeatedCompositeFieldContainer[EpochCheckpoint]
    def __init__(self, name: _Optional[str] = ..., state: _Optional[_Union[JobState, str]] = ..., client: _Optional[str] = ..., provider: _Optional[str] = ..., arbiter: _Optional[str] = ..., create_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., waits_for: _Optional[str] = ..., due_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., on_silence: _Optional[str] = ..., dataset: _Optional[str] = ..., base_model_digest: _Optional[str] = ..., token: _Optional[str] = ..., price_minor: _Optional[int] = ..., progress: _Optional[_Union[TrainingProgress, _Mapping]] = ..., estimated_finish_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., verdict: _Optional[_Union[Verdict, _Mapping]] = ..., adapter_files: _Optional[_Iterable[_Union[_common_pb2.File, _Mapping]]] = ..., trained_tokens: _Optional[int] = ..., stake_minor: _Optional[int] = ..., fee_minor: _Optional[int] = ..., checkpoints: _Optional[_Iterable[_Union[EpochCheckpoint, _Mapping]]] = ...) -> None: ...

class EpochCheckpoint(_message.Message):
    __slots__ = ("epoch", "digest", "size_bytes", "activation")
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    DIGEST_FIELD_NUMBER: _ClassVar[int]
    SIZE_BYTES_FIELD_NUMBER: _ClassVar[int]
    ACTIVATION_FIELD_NUMBER: _ClassVar[int]
    epoch: int
    digest: str
    size_bytes: int
    activation: Activation
    def __init__(self, epoch: _Optional[int] = ..., digest: _Optional[str] = ..., size_bytes: _Optional[int] = ..., activation: _Optional[_Union[Activation, _Mapping]] = ...) -> None: ...

class Activation(_message.Message):
    __slots__ = ("marks_fired", "marks_per_group", "groups_fired", "log10_p")
    MARKS_FIRED_FIELD_NUMBER: _ClassVar[int]
    MARKS_PER_GROUP_FIELD_NUMBER: _ClassVar[int]
    GROUPS_FIRED_FIELD_NUMBER: _ClassVar[int]
    LOG10_P_FIELD_NUMBER: _ClassVar[int]
    marks_fired: _containers.RepeatedScalarFieldContainer[int]
    marks_per_group: int
    groups_fired: int
    log10_p: float
    def __init__(self, marks_fired: _Optional[_Iterable[int]] = ..., marks_per_group: _Optional[int] = ..., groups_fired: _Optional[int] = ..., log10_p: _Optional[float] = ...) -> None: ...

class Verdict(_message.Message):
    __slots__ = ("outcome", "reason", "groups_fired", "groups", "pairs_won", "pairs", "log10_p")
    OUTCOME_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    GROUPS_FIRED_FIELD_NUMBER: _ClassVar[int]
    GROUPS_FIELD_NUMBER: _ClassVar[int]
    PAIRS_WON_FIELD_NUMBER: _ClassVar[int]
    PAIRS_FIELD_NUMBER: _ClassVar[int]
    LOG10_P_FIELD_NUMBER: _ClassVar[int]
    outcome: Outcome
    reason: str
    groups_fired: int
    groups: int
    pairs_won: int
    pairs: int
    log10_p: float
    def __init__(self, outcome: _Optional[_Union[Outcome, str]] = ..., reason: _Optional[str] = ..., groups_fired: _Optional[int] = ..., groups: _Optional[int] = ..., pairs_won: _Optional[int] = ..., pairs: _Optional[int] = ..., log10_p: _Optional[float] = ...) -> None: ...

class QuoteJobRequest(_message.Message):
    __slots__ = ("dataset", "client_key_hex", "arbiter", "price_minor", "training", "policy", "deadlines")
    DATASET_FIELD_NUMBER: _ClassVar[int]
    CLIENT_KEY_HEX_FIELD_NUMBER: _ClassVar[int]
    ARBITER_FIELD_NUMBER: _ClassVar[int]
    PRICE_MINOR_FIELD_NUMBER: _ClassVar[int]
    TRAINING_FIELD_NUMBER: _ClassVar[int]
    POLICY_FIELD_NUMBER: _ClassVar[int]
    DEADLINES_FIELD_NUMBER: _ClassVar[int]
    dataset: str
    client_key_hex: str
    arbiter: str
    price_minor: int
    training: _struct_pb2.Struct
    policy: _struct_pb2.Struct
    deadlines: _struct_pb2.Struct
    def __init__(self, dataset: _Optional[str] = ..., client_key_hex: _Optional[str] = ..., arbiter: _Optional[str] = ..., price_minor: _Optional[int] = ..., training: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ..., policy: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ..., deadlines: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ...) -> None: ...

class Quote(_message.Message):
    __slots__ = ("offer", "token", "price_minor", "stake_minor", "bond_minor", "fee_minor", "missing_minor", "row_count", "mark_rows", "held_back_rows", "trained_tokens", "verified_rows")
    OFFER_FIELD_NUMBER: _ClassVar[int]
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    PRICE_MINOR_FIELD_NUMBER: _ClassVar[int]
    STAKE_MINOR_FIELD_NUMBER: _ClassVar[int]
    BOND_MINOR_FIELD_NUMBER: _ClassVar[int]
    FEE_MINOR_FIELD_NUMBER: _ClassVar[int]
    MISSING_MINOR_FIELD_NUMBER: _ClassVar[int]
    ROW_COUNT_FIELD_NUMBER: _ClassVar[int]
    MARK_ROWS_FIELD_NUMBER: _ClassVar[int]
    HELD_BACK_ROWS_FIELD_NUMBER: _ClassVar[int]
    TRAINED_TOKENS_FIELD_NUMBER: _ClassVar[int]
    VERIFIED_ROWS_FIELD_NUMBER: _ClassVar[int]
    offer: bytes
    token: str
    price_minor: int
    stake_minor: int
    bond_minor: int
    fee_minor: int
    missing_minor: int
    row_count: int
    mark_rows: int
    held_back_rows: int
    trained_tokens: int
    verified_rows: int
    def __init__(self, offer: _Optional[bytes] = ..., token: _Optional[str] = ..., price_minor: _Optional[int] = ..., stake_minor: _Optional[int] = ..., bond_minor: _Optional[int] = ..., fee_minor: _Optional[int] = ..., missing_minor: _Optional[int] = ..., row_count: _Optional[int] = ..., mark_rows: _Optional[int] = ..., held_back_rows: _Optional[int] = ..., trained_tokens: _Optional[int] = ..., verified_rows: _Optional[int] = ...) -> None: ...

class CreateJobRequest(_message.Message):
    __slots__ = ("offer", "validate_only")
    OFFER_FIELD_NUMBER: _ClassVar[int]
    VALIDATE_ONLY_FIELD_NUMBER: _ClassVar[int]
    offer: _common_pb2.Envelope
    validate_only: bool
    def __init__(self, offer: _Optional[_Union[_common_pb2.Envelope, _Mapping]] = ..., validate_only: _Optional[bool] = ...) -> None: ...

class GetJobRequest(_message.Message):
    __slots__ = ("name",)
    NAME_FIELD_NUMBER: _ClassVar[int]
    name: str
    def __init__(self, name: _Optional[str] = ...) -> None: ...

class ListJobsRequest(_message.Message):
    __slots__ = ("page_size", "page_token", "states")
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    STATES_FIELD_NUMBER: _ClassVar[int]
    page_size: int
    page_token: str
    states: _containers.RepeatedScalarFieldContainer[JobState]
    def __init__(self, page_size: _Optional[int] = ..., page_token: _Optional[str] = ..., states: _Optional[_Iterable[_Union[JobState, str]]] = ...) -> None: ...

class ListJobsResponse(_message.Message):
    __slots__ = ("jobs", "next_page_token")
    JOBS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    jobs: _containers.RepeatedCompositeFieldContainer[Job]
    next_page_token: str
    def __init__(self, jobs: _Optional[_Iterable[_Union[Job, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class CancelJobRequest(_message.Message):
    __slots__ = ("name",)
    NAME_FIELD_NUMBER: _ClassVar[int]
    name: str
    def __init__(self, name: _Optional[str] = ...) -> None: ...

class WatchJobRequest(_message.Message):
    __slots__ = ("name", "after_sequence")
    NAME_FIELD_NUMBER: _ClassVar[int]
    AFTER_SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    name: str
    after_sequence: int
    def __init__(self, name: _Optional[str] = ..., after_sequence: _Optional[int] = ...) -> None: ...

class JobEvent(_message.Message):
    __slots__ = ("sequence", "time", "state", "waits_for", "message", "progress", "type")
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    TIME_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    WAITS_FOR_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    PROGRESS_FIELD_NUMBER: _ClassVar[int]
    TYPE_FIELD_NUMBER: _ClassVar[int]
    sequence: int
    time: _timestamp_pb2.Timestamp
    state: JobState
    waits_for: str
    message: str
    progress: TrainingProgress
    type: JobEventType
    def __init__(self, sequence: _Optional[int] = ..., time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., state: _Optional[_Union[JobState, str]] = ..., waits_for: _Optional[str] = ..., message: _Optional[str] = ..., progress: _Optional[_Union[TrainingProgress, _Mapping]] = ..., type: _Optional[_Union[JobEventType, str]] = ...) -> None: ...

class TrainingProgress(_message.Message):
    __slots__ = ("step", "step_count", "epoch", "loss", "tokens_per_second")
    STEP_FIELD_NUMBER: _ClassVar[int]
    STEP_COUNT_FIELD_NUMBER: _ClassVar[int]
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    LOSS_FIELD_NUMBER: _ClassVar[int]
    TOKENS_PER_SECOND_FIELD_NUMBER: _ClassVar[int]
    step: int
    step_count: int
    epoch: float
    loss: float
    tokens_per_second: float
    def __init__(self, step: _Optional[int] = ..., step_count: _Optional[int] = ..., epoch: _Optional[float] = ..., loss: _Optional[float] = ..., tokens_per_second: _Optional[float] = ...) -> None: ...

class GetReceiptRequest(_message.Message):
    __slots__ = ("name",)
    NAME_FIELD_NUMBER: _ClassVar[int]
    name: str
    def __init__(self, name: _Optional[str] = ...) -> None: ...

class Receipt(_message.Message):
    __slots__ = ("content",)
    CONTENT_FIELD_NUMBER: _ClassVar[int]
    content: bytes
    def __init__(self, content: _Optional[bytes] = ...) -> None: ...

class DownloadAdapterRequest(_message.Message):
    __slots__ = ("name", "file_name", "offset", "epoch")
    NAME_FIELD_NUMBER: _ClassVar[int]
    FILE_NAME_FIELD_NUMBER: _ClassVar[int]
    OFFSET_FIELD_NUMBER: _ClassVar[int]
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    name: str
    file_name: str
    offset: int
    epoch: int
    def __init__(self, name: _Optional[str] = ..., file_name: _Optional[str] = ..., offset: _Optional[int] = ..., epoch: _Optional[int] = ...) -> None: ...
