"""Errors across the wire: every kind arrives as itself, whatever it says, and a strange answer as Unavailable."""

from __future__ import annotations

import inspect
import json

import grpc
import pytest
from hypothesis import given
from hypothesis import strategies as st

from node import errors
from node.wire import status

KINDS = [
    kind
    for _, kind in inspect.getmembers(errors, inspect.isclass)
    if issubclass(kind, errors.HallmarkError) and kind is not errors.HallmarkError
]
#: What a peer takes without being told: gRPC's default for a message's whole metadata.
METADATA_BYTES = 8192


class FakeCall(grpc.RpcError):
    """A failed call as grpcio shows it."""

    def __init__(
        self, code: grpc.StatusCode, details: str, trailers: tuple[tuple[str, bytes | str], ...] | None
    ) -> None:
        super().__init__()
        self._code, self._details, self._trailers = code, details, trailers

    def code(self) -> grpc.StatusCode:
        return self._code

    def details(self) -> str:
        return self._details

    def trailing_metadata(self) -> tuple[tuple[str, bytes | str], ...] | None:
        return self._trailers


def there_and_back(error: errors.HallmarkError) -> errors.HallmarkError:
    return status.error_of(FakeCall(status.status_of(error), status.summary_of(error), status.details_of(error)))


@pytest.mark.parametrize("kind", KINDS)
def test_every_error_arrives_as_itself(kind: type[errors.HallmarkError]) -> None:
    for fix in (None, "Mend it."):
        arrived = there_and_back(kind("It is wrong.", fix=fix, field="a", line=3))
        assert type(arrived) is kind
        assert (arrived.message, arrived.fix, arrived.facts) == ("It is wrong.", fix, {"field": "a", "line": 3})


@given(st.text(max_size=20_000))
def test_a_message_of_any_length_arrives_from_its_start_within_grpcs_own_limit(text: str) -> None:
    error = errors.InvalidInput(text, fix="Mend it.", line=1)
    ((_, details),) = status.details_of(error)
    on_the_wire = len(details) * 4 // 3 + sum(3 if byte > 126 or byte < 32 else 1 for byte in _percent(error))
    assert on_the_wire < METADATA_BYTES
    arrived = there_and_back(error)
    assert type(arrived) is errors.InvalidInput
    assert arrived.fix == "Mend it."
    assert text.startswith(arrived.message.removesuffix("...")) or arrived.message == text


def _percent(error: errors.HallmarkError) -> bytes:
    return status.summary_of(error).encode("utf-8", "surrogatepass")


@pytest.mark.parametrize(
    "trailers",
    [
        None,
        (),
        (("other", b"x"),),
        ((status.DETAILS_KEY, "text"),),
        ((status.DETAILS_KEY, b"\xff"),),
        ((status.DETAILS_KEY, b"{"),),
        ((status.DETAILS_KEY, b"[]"),),
        ((status.DETAILS_KEY, b"7"),),
        ((status.DETAILS_KEY, json.dumps({"kind": "SystemExit", "message": "m", "fix": None, "facts": {}}).encode()),),
        ((status.DETAILS_KEY, json.dumps({"kind": "Conflict"}).encode()),),
        ((status.DETAILS_KEY, json.dumps({"kind": "Conflict", "message": "m", "fix": None, "facts": 7}).encode()),),
        (
            (
                status.DETAILS_KEY,
                json.dumps({"kind": "Conflict", "message": "m", "fix": None, "facts": {"fix": 1}}).encode(),
            ),
        ),
    ],
)
def test_an_answer_in_no_form_of_ours_is_unavailable(trailers: tuple[tuple[str, bytes | str], ...] | None) -> None:
    error = status.error_of(FakeCall(grpc.StatusCode.UNKNOWN, "odd", trailers))
    assert type(error) is errors.Unavailable
    assert "UNKNOWN: odd" in error.message
    assert error.fix


def test_statuses_are_those_that_a_grpc_client_expects() -> None:
    expected = {
        errors.InvalidInput: "INVALID_ARGUMENT",
        errors.NotFound: "NOT_FOUND",
        errors.PermissionRefused: "PERMISSION_DENIED",
        errors.Conflict: "FAILED_PRECONDITION",
        errors.UnknownSigner: "UNAUTHENTICATED",
        errors.SignatureInvalid: "UNAUTHENTICATED",
        errors.IntegrityFailure: "DATA_LOSS",
        errors.Unavailable: "UNAVAILABLE",
        errors.NotInstalled: "UNIMPLEMENTED",
    }
    assert {kind: status.status_of(kind("said")).name for kind in KINDS} == expected
