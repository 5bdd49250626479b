"""Errors <-> gRPC statuses, in one place: google.rpc.Status with its standard details (AIP-193).

`ErrorInfo` says which error it is and carries its facts, as text; `LocalizedMessage` the whole sentence; `BadRequest`
the fields; `RetryInfo` when to come back; `RequestInfo` what to look for in the coordinator's traces. Whoever does not
know these reads code and message. Knows nothing of what went wrong: no trace of a stack, nothing but the error's text.
"""

from __future__ import annotations

import re
from typing import Any

import grpc
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import DecodeError, Message
from google.rpc.error_details_pb2 import (  # type: ignore[import-untyped]
    BadRequest,
    ErrorInfo,
    LocalizedMessage,
    RequestInfo,
    RetryInfo,
)
from google.rpc.status_pb2 import Status  # type: ignore[import-untyped]

from node import errors

DETAILS_KEY = "grpc-status-details-bin"
DOMAIN = "hallmark"
#: Peers take 8 KiB of metadata for granted, base64 and percent-encoding included.
DETAILS_BYTES = 4500
#: Our own clients take more and say so: a hundred wrong lines need it.
LONG_DETAILS_BYTES = 32 << 10
ACCEPTS_LONG_DETAILS = (("hallmark-accepts-long-details", "true"),)
MAX_SUMMARY_CHARACTERS = 150
MAX_FACT_CHARACTERS = 300
MAX_VIOLATIONS = 100
RETRY_MS = 1000

#: The first matching row decides; more special errors stand first.
STATUSES: tuple[tuple[type[errors.HallmarkError], grpc.StatusCode], ...] = (
    (errors.InvalidInput, grpc.StatusCode.INVALID_ARGUMENT),
    (errors.NotFound, grpc.StatusCode.NOT_FOUND),
    (errors.PermissionRefused, grpc.StatusCode.PERMISSION_DENIED),
    (errors.Conflict, grpc.StatusCode.FAILED_PRECONDITION),
    (errors.UnknownSigner, grpc.StatusCode.UNAUTHENTICATED),
    (errors.SignatureInvalid, grpc.StatusCode.UNAUTHENTICATED),
    (errors.IntegrityFailure, grpc.StatusCode.DATA_LOSS),
    (errors.QuotaExceeded, grpc.StatusCode.RESOURCE_EXHAUSTED),
    (errors.Unavailable, grpc.StatusCode.UNAVAILABLE),
    (errors.NotInstalled, grpc.StatusCode.UNIMPLEMENTED),
)
_KINDS = {re.sub("(?<=[a-z])(?=[A-Z])", "_", kind.__name__).upper(): kind for kind, _ in STATUSES}
_REASONS = {kind: reason for reason, kind in _KINDS.items()}


def status_of(error: errors.HallmarkError) -> grpc.StatusCode:
    return next(code for kind, code in STATUSES if isinstance(error, kind))


def reason_of(error: errors.HallmarkError) -> str:
    """`ErrorInfo.reason`: the error's name in UPPER_SNAKE_CASE."""
    return _REASONS[type(error)]


def details_of(
    error: errors.HallmarkError, *, request_id: str | None = None, long: bool = False
) -> tuple[tuple[str, bytes], ...]:
    """Trailing metadata that carries an error. What has no room is left out: fields first, then the message's end.

    Args:
        request_id: what the call is known as in traces; left out if None.
        long: the caller takes LONG_DETAILS_BYTES.
    """
    room = LONG_DETAILS_BYTES if long else DETAILS_BYTES
    violations = error.violations[:MAX_VIOLATIONS] if isinstance(error, errors.InvalidInput) else ()
    message = error.message
    while len(packed := _packed(error, message, violations, request_id)) > room and (violations or message):
        if violations:
            violations = violations[: len(violations) * 7 // 8]
        else:
            message = message[: len(message) // 2] + "..." if len(message) > 8 else ""
    return ((DETAILS_KEY, packed),)


def summary_of(error: errors.HallmarkError) -> str:
    """What a client that knows nothing of details sees; short, for it shares the room of the details."""
    text = str(error).encode("utf-8", "replace").decode()
    return text if len(text) <= MAX_SUMMARY_CHARACTERS else text[:MAX_SUMMARY_CHARACTERS] + "..."


def _packed(
    error: errors.HallmarkError, message: str, violations: tuple[tuple[str, str], ...], request_id: str | None
) -> bytes:
    told = error.facts if error.fix is None else {**error.facts, "fix": error.fix}
    facts = {name: _text(str(value)[:MAX_FACT_CHARACTERS]) for name, value in told.items()}
    details: list[Message] = [
        ErrorInfo(reason=reason_of(error), domain=DOMAIN, metadata=facts),
        LocalizedMessage(locale="en", message=_text(message)),
    ]
    if violations:
        fields = [BadRequest.FieldViolation(field=_text(field), description=_text(said)) for field, said in violations]
        details.append(BadRequest(field_violations=fields))
    if isinstance(error, errors.Unavailable):
        delay = Duration()
        delay.FromMilliseconds(int(error.facts.get("retry_after_ms", RETRY_MS)))
        details.append(RetryInfo(retry_delay=delay))
    if request_id:
        details.append(RequestInfo(request_id=request_id))
    packed = Status(code=status_of(error).value[0], message=summary_of(error))
    for detail in details:
        packed.details.add().Pack(detail)
    return bytes(packed.SerializeToString())


def _text(text: str) -> str:
    """Protobuf takes no unpaired surrogates, which paths and wrong input may hold."""
    return text.encode("utf-8", "replace").decode()


def error_of(call: grpc.RpcError) -> errors.HallmarkError:
    """The error behind a failed call, its facts as text; `Unavailable` if nobody answered, or in another form."""
    trailers: Any = call.trailing_metadata() or ()
    packed = dict(trailers).get(DETAILS_KEY)
    code, message = call.code(), call.details()
    if isinstance(packed, bytes) and (found := _unpacked(packed)):
        return found
    return errors.Unavailable(
        f"The coordinator did not answer as expected ({code.name}: {message}).",
        fix="Check that it runs, that the address is right, and that it admitted this party.",
    )


def _unpacked(packed: bytes) -> errors.HallmarkError | None:
    info, said, fields = ErrorInfo(), LocalizedMessage(), BadRequest()
    try:
        for detail in Status.FromString(packed).details:
            for message in (info, said, fields):
                detail.Unpack(message)
    except DecodeError:
        return None
    kind = _KINDS.get(info.reason) if info.domain == DOMAIN else None
    if kind is None:
        return None
    facts: dict[str, Any] = {name: text for name, text in info.metadata.items() if name != "message"}
    if kind is errors.InvalidInput:
        facts["violations"] = tuple((each.field, each.description) for each in fields.field_violations)
    return kind(said.message, **facts)
