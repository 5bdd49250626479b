"""Errors <-> gRPC statuses, in one place. The message and its facts travel as google.rpc-style details in trailers."""

from __future__ import annotations

import json
from typing import Any

import grpc

from node import errors

DETAILS_KEY = "hallmark-error-bin"
#: Peers take 8 KiB of metadata for granted, base64 and percent-encoding included.
MAX_DETAILS_BYTES = 4500
MAX_SUMMARY_CHARACTERS = 150

#: The first matching row decides; more special errors stand first.
STATUSES: tuple[tuple[type[errors.HallmarkError], grpc.StatusCode], ...] = (
    (errors.InvalidInput, grpc.StatusCode.INVALID_ARGUMENT),
    (errors.NotFound, grpc.StatusCode.NOT_FOUND),
    (errors.PermissionRefused, grpc.StatusCode.PERMISSION_DENIED),
    (errors.Conflict, grpc.StatusCode.FAILED_PRECONDITION),
    (errors.UnknownSigner, grpc.StatusCode.UNAUTHENTICATED),
    (errors.SignatureInvalid, grpc.StatusCode.UNAUTHENTICATED),
    (errors.IntegrityFailure, grpc.StatusCode.DATA_LOSS),
    (errors.Unavailable, grpc.StatusCode.UNAVAILABLE),
    (errors.NotInstalled, grpc.StatusCode.UNIMPLEMENTED),
)


def status_of(error: errors.HallmarkError) -> grpc.StatusCode:
    return next(code for kind, code in STATUSES if isinstance(error, kind))


def details_of(error: errors.HallmarkError) -> tuple[tuple[str, bytes], ...]:
    """Trailing metadata that carries an error; a message too long for it loses its end."""
    message = error.message
    while len(details := _packed(error, message)) > MAX_DETAILS_BYTES and message:
        message = message[: len(message) // 2] + "..." if len(message) > 8 else ""
    return ((DETAILS_KEY, details),)


def summary_of(error: errors.HallmarkError) -> str:
    """What a client that knows nothing of our details sees; short, for it shares the room of the details."""
    text = str(error)
    return text if len(text) <= MAX_SUMMARY_CHARACTERS else text[:MAX_SUMMARY_CHARACTERS] + "..."


def _packed(error: errors.HallmarkError, message: str) -> bytes:
    facts = {"kind": type(error).__name__, "message": message, "fix": error.fix, "facts": error.facts}
    return json.dumps(facts).encode()


def error_of(call: grpc.RpcError) -> errors.HallmarkError:
    """The error behind a failed call; `Unavailable` if the other side could not be reached or did not say."""
    trailers: Any = call.trailing_metadata() or ()
    details = dict(trailers).get(DETAILS_KEY)
    code, message = call.code(), call.details()
    if isinstance(details, bytes):
        try:
            found = json.loads(details)
            kind = {row[0].__name__: row[0] for row in STATUSES}[found["kind"]]
            return kind(found["message"], fix=found["fix"], **found["facts"])
        except (ValueError, KeyError, TypeError):
            pass  # an answer in no form of ours; say what gRPC says
    return errors.Unavailable(
        f"The coordinator did not answer as expected ({code.name}: {message}).",
        fix="Check that it runs and that the address is right.",
    )
