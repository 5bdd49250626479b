"""Errors across the wire: every kind arrives as itself, whatever it says, and a strange answer as Unavailable."""

from __future__ import annotations

import inspect
from typing import Any

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.rpc import error_details_pb2
from google.rpc.status_pb2 import Status
from grpc_status import rpc_status
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


def failed(error: errors.HallmarkError, **how: Any) -> FakeCall:
    return FakeCall(status.status_of(error), status.summary_of(error), status.details_of(error, **how))


def there_and_back(error: errors.HallmarkError, **how: Any) -> errors.HallmarkError:
    return status.error_of(failed(error, **how))


def packed(*details: Message) -> bytes:
    answer = Status(code=9, message="odd")
    for detail in details:
        answer.details.add().Pack(detail)
    return answer.SerializeToString()


@pytest.mark.parametrize("kind", KINDS)
def test_every_error_arrives_as_itself(kind: type[errors.HallmarkError]) -> None:
    for fix in (None, "Mend it."):
        arrived = there_and_back(kind("It is wrong.", fix=fix, field="a", line=3))
        assert type(arrived) is kind
        assert (arrived.message, arrived.fix, arrived.facts) == ("It is wrong.", fix, {"field": "a", "line": "3"})


def test_whoever_knows_googles_statuses_reads_reason_fields_and_when_to_retry() -> None:
    answer = rpc_status.from_call(failed(errors.InvalidInput("No.", field="policy.groups", expected=4), request_id="7"))
    info, fields, request = (
        error_details_pb2.ErrorInfo(),
        error_details_pb2.BadRequest(),
        error_details_pb2.RequestInfo(),
    )
    for detail in answer.details:
        for message in (info, fields, request):
            detail.Unpack(message)
    assert answer.code == grpc.StatusCode.INVALID_ARGUMENT.value[0]
    assert (info.reason, info.domain) == ("INVALID_INPUT", "hallmark")
    assert dict(info.metadata) == {"field": "policy.groups", "expected": "4"}
    assert [(each.field, each.description) for each in fields.field_violations] == [("policy.groups", "No.")]
    assert request.request_id == "7"


@pytest.mark.parametrize(
    ("error", "seconds"),
    [(errors.Unavailable("Later."), 1.0), (errors.QuotaExceeded("Slower.", retry_after_ms=250), 0.25)],
)
def test_what_may_work_later_says_when(error: errors.HallmarkError, seconds: float) -> None:
    retry = error_details_pb2.RetryInfo()
    assert any(detail.Unpack(retry) for detail in rpc_status.from_call(failed(error)).details)
    assert Duration.ToTimedelta(retry.retry_delay).total_seconds() == seconds


LINES = tuple((f"line {line}: $.messages[0].role", "must be one of system, user and assistant") for line in range(150))


def test_a_hundred_fields_arrive_at_whoever_takes_them_and_the_first_ones_at_everybody() -> None:
    error = errors.InvalidInput("150 lines are wrong.", fix="Mend them.", violations=LINES)
    whole, short = there_and_back(error, long=True), there_and_back(error)
    assert isinstance(whole, errors.InvalidInput)
    assert isinstance(short, errors.InvalidInput)
    assert whole.violations == LINES[:100]
    assert 20 < len(short.violations) < 100
    assert short.violations == LINES[: len(short.violations)]
    assert short.message == whole.message == "150 lines are wrong."


def test_text_that_no_protobuf_holds_is_spelled_with_question_marks() -> None:
    arrived = there_and_back(errors.NotFound("\udcff is not here.", fix="\udcff", actual="\udcff"))
    assert (arrived.message, arrived.fix, arrived.facts) == ("? is not here.", "?", {"actual": "?"})


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
        ((status.DETAILS_KEY, packed()),),
        ((status.DETAILS_KEY, packed(error_details_pb2.ErrorInfo(reason="SYSTEM_EXIT", domain="hallmark"))),),
        ((status.DETAILS_KEY, packed(error_details_pb2.ErrorInfo(reason="CONFLICT", domain="googleapis.com"))),),
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
        errors.QuotaExceeded: "RESOURCE_EXHAUSTED",
        errors.Unavailable: "UNAVAILABLE",
        errors.NotInstalled: "UNIMPLEMENTED",
    }
    assert {kind: status.status_of(kind("said")).name for kind in KINDS} == expected
