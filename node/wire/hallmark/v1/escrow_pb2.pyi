from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Optional as _Optional

DESCRIPTOR: _descriptor.FileDescriptor

class DepositRequest(_message.Message):
    __slots__ = ("request_id", "party", "amount_minor")
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    PARTY_FIELD_NUMBER: _ClassVar[int]
    AMOUNT_MINOR_FIELD_NUMBER: _ClassVar[int]
    request_id: str
    party: str
    amount_minor: int
    def __init__(self, request_id: _Optional[str] = ..., party: _Optional[str] = ..., amount_minor: _Optional[int] = ...) -> None: ...

class GetBalanceRequest(_message.Message):
    __slots__ = ("party",)
    PARTY_FIELD_NUMBER: _ClassVar[int]
    party: str
    def __init__(self, party: _Optional[str] = ...) -> None: ...

class Balance(_message.Message):
    __slots__ = ("party", "token", "available_minor", "locked_minor")
    PARTY_FIELD_NUMBER: _ClassVar[int]
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    AVAILABLE_MINOR_FIELD_NUMBER: _ClassVar[int]
    LOCKED_MINOR_FIELD_NUMBER: _ClassVar[int]
    party: str
    token: str
    available_minor: int
    locked_minor: int
    def __init__(self, party: _Optional[str] = ..., token: _Optional[str] = ..., available_minor: _Optional[int] = ..., locked_minor: _Optional[int] = ...) -> None: ...
