"""The file from which anybody repeats a verdict by hand: a job's messages, or its receipt."""

from __future__ import annotations

import json
from typing import Any

import pytest

from node.core import revealed
from node.core.messages import Chain, Reveal
from node.crypto.digest import canonical_bytes
from node.errors import IntegrityFailure, UnknownSigner

HIDDEN = 7  # messages up to the reveal


def until_reveal(story: Any) -> Chain:
    return Chain(story.chain.envelopes[:HIDDEN], story.chain.messages[:HIDDEN])


def test_a_jobs_messages_up_to_its_reveal_read_as_they_were_written(story: Any) -> None:
    chain = until_reveal(story)
    assert isinstance(chain.messages[-1], Reveal)
    assert revealed.from_bytes(revealed.to_bytes(chain), trusted=story.trust.coordinators) == chain


def test_a_receipt_holds_them_too(story: Any) -> None:
    assert revealed.from_bytes(story.receipt, trusted=story.trust.coordinators) == story.chain


def test_messages_that_end_before_the_reveal_are_refused(story: Any) -> None:
    early = Chain(story.chain.envelopes[: HIDDEN - 1], story.chain.messages[: HIDDEN - 1])
    with pytest.raises(IntegrityFailure, match="no Reveal"):
        revealed.from_bytes(revealed.to_bytes(early), trusted=story.trust.coordinators)


def test_a_coordinator_whom_nobody_trusts_is_not_believed(story: Any) -> None:
    with pytest.raises(UnknownSigner):
        revealed.from_bytes(revealed.to_bytes(until_reveal(story)), trusted={})


def test_no_byte_of_the_file_can_change(story: Any) -> None:
    data = revealed.to_bytes(until_reveal(story))
    for at in range(0, len(data), len(data) // 60):
        changed = data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]
        with pytest.raises(IntegrityFailure):
            revealed.from_bytes(changed, trusted=story.trust.coordinators)


@pytest.mark.parametrize("changes", [{"format": "hallmark.messages.v2"}, {"more": 1}, {"messages": {}}])
def test_another_document_is_refused(story: Any, changes: dict[str, Any]) -> None:
    document = json.loads(revealed.to_bytes(until_reveal(story))) | changes
    with pytest.raises(IntegrityFailure, match="neither a receipt nor"):
        revealed.from_bytes(canonical_bytes(document), trusted=story.trust.coordinators)
