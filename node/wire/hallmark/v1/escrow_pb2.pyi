import datetime

from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class TransferPhase(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    TRANSFER_PHASE_UNSPECIFIED: _ClassVar[TransferPhase]
    TRANSFER_PHASE_DIRECT: _ClassVar[TransferPhase]
    TRANSFER_PHASE_PENDING: _ClassVar[TransferPhase]
    TRANSFER_PHASE_POST: _ClassVar[TransferPhase]
    TRANSFER_PHASE_VOID: _ClassVar[TransferPhase]
TRANSFER_PHASE_UNSPECIFIED: TransferPhase
TRANSFER_PHASE_DIRECT: TransferPhase
TRANSFER_PHASE_PENDING: TransferPhase
TRANSFER_PHASE_POST: TransferPhase
TRANSFER_PHASE_VOID: TransferPhase

class Account(_message.Message):
    __slots__ = ("name", "token", "available_minor", "locked_minor", "locked")
    NAME_FIELD_NUMBER: _ClassVar[int]
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    AVAILABLE_MINOR_FIELD_NUMBER: _ClassVar[int]
    LOCKED_MINOR_FIELD_NUMBER: _ClassVar[int]
    LOCKED_FIELD_NUMBER: _ClassVar[int]
    name: str
    token: str
    available_minor: int
    locked_minor: int
    locked: _containers.RepeatedCompositeFieldContainer[Locked]
    def __init__(self, name: _Optional[str] = ..., token: _Optional[str] = ..., available_minor: _Optional[int] = ..., locked_minor: _Optional[int] = ..., locked: _Optional[_Iterable[_Union[Locked, _Mapping]]] = ...) -> None: ...

class Locked(_message.Message):
    __slots__ = ("job", "amount_minor")
    JOB_FIELD_NUMBER: _ClassVar[int]
    AMOUNT_MINOR_FIELD_NUMBER: _ClassVar[int]
    job: str
    amount_minor: int
    def __init__(self, job: _Optional[str] = ..., amount_minor: _Optional[int] = ...) -> None: ...

class Transfer(_message.Message):
    __slots__ = ("number", "time", "debit", "credit", "token", "amount_minor", "kind", "job", "phase")
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    TIME_FIELD_NUMBER: _ClassVar[int]
    DEBIT_FIELD_NUMBER: _ClassVar[int]
    CREDIT_FIELD_NUMBER: _ClassVar[int]
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    AMOUNT_MINOR_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    JOB_FIELD_NUMBER: _ClassVar[int]
    PHASE_FIELD_NUMBER: _ClassVar[int]
    number: int
    time: _timestamp_pb2.Timestamp
    debit: str
    credit: str
    token: str
    amount_minor: int
    kind: str
    job: str
    phase: TransferPhase
    def __init__(self, number: _Optional[int] = ..., time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., debit: _Optional[str] = ..., credit: _Optional[str] = ..., token: _Optional[str] = ..., amount_minor: _Optional[int] = ..., kind: _Optional[str] = ..., job: _Optional[str] = ..., phase: _Optional[_Union[TransferPhase, str]] = ...) -> None: ...

class GetAccountRequest(_message.Message):
    __slots__ = ("name",)
    NAME_FIELD_NUMBER: _ClassVar[int]
    name: str
    def __init__(self, name: _Optional[str] = ...) -> None: ...

class ListTransfersRequest(_message.Message):
    __slots__ = ("parent", "page_size", "page_token")
    PARENT_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    parent: str
    page_size: int
    page_token: str
    def __init__(self, parent: _Optional[str] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListTransfersResponse(_message.Message):
    __slots__ = ("transfers", "next_page_token")
    TRANSFERS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    transfers: _containers.RepeatedCompositeFieldContainer[Transfer]
    next_page_token: str
    def __init__(self, transfers: _Optional[_Iterable[_Union[Transfer, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class DepositRequest(_message.Message):
    __slots__ = ("request_id", "account", "amount_minor")
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    ACCOUNT_FIELD_NUMBER: _ClassVar[int]
    AMOUNT_MINOR_FIELD_NUMBER: _ClassVar[int]
    request_id: str
    account: str
    amount_minor: int
    def __init__(self, request_id: _Optional[str] = ..., account: _Optional[str] = ..., amount_minor: _Optional[int] = ...) -> None: ...

class WithdrawRequest(_message.Message):
    __slots__ = ("request_id", "account", "amount_minor")
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    ACCOUNT_FIELD_NUMBER: _ClassVar[int]
    AMOUNT_MINOR_FIELD_NUMBER: _ClassVar[int]
    request_id: str
    account: str
    amount_minor: int
    def __init__(self, request_id: _Optional[str] = ..., account: _Optional[str] = ..., amount_minor: _Optional[int] = ...) -> None: ...
