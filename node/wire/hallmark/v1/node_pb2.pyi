from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Optional as _Optional

DESCRIPTOR: _descriptor.FileDescriptor

class GetNodeRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class Node(_message.Message):
    __slots__ = ("coordinator_key_id", "coordinator_key_hex", "log_key_id", "log_key_hex", "base_model_digest", "version", "token", "price_minor_per_1000_tokens", "max_length_tokens", "max_lora_rank")
    COORDINATOR_KEY_ID_FIELD_NUMBER: _ClassVar[int]
    COORDINATOR_KEY_HEX_FIELD_NUMBER: _ClassVar[int]
    LOG_KEY_ID_FIELD_NUMBER: _ClassVar[int]
    LOG_KEY_HEX_FIELD_NUMBER: _ClassVar[int]
    BASE_MODEL_DIGEST_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    PRICE_MINOR_PER_1000_TOKENS_FIELD_NUMBER: _ClassVar[int]
    MAX_LENGTH_TOKENS_FIELD_NUMBER: _ClassVar[int]
    MAX_LORA_RANK_FIELD_NUMBER: _ClassVar[int]
    coordinator_key_id: str
    coordinator_key_hex: str
    log_key_id: str
    log_key_hex: str
    base_model_digest: str
    version: str
    token: str
    price_minor_per_1000_tokens: int
    max_length_tokens: int
    max_lora_rank: int
    def __init__(self, coordinator_key_id: _Optional[str] = ..., coordinator_key_hex: _Optional[str] = ..., log_key_id: _Optional[str] = ..., log_key_hex: _Optional[str] = ..., base_model_digest: _Optional[str] = ..., version: _Optional[str] = ..., token: _Optional[str] = ..., price_minor_per_1000_tokens: _Optional[int] = ..., max_length_tokens: _Optional[int] = ..., max_lora_rank: _Optional[int] = ...) -> None: ...
