"""A request for admission proves both keys of the party; nobody is admitted as somebody else."""

from __future__ import annotations

import json

import pytest
from fakes.world import key
from hypothesis import given
from hypothesis import strategies as st

from node.core import admission
from node.core.admission import REQUEST_TYPE, Admission, PinnedKey
from node.crypto import certificates
from node.crypto.certificates import Party, Role
from node.crypto.digest import canonical_bytes
from node.crypto.signing import sign
from node.errors import HallmarkError, InvalidInput, UnknownSigner

TLS_KEY = certificates.new_key()
REQUEST = admission.request(key("provider"), Role.PROVIDER, TLS_KEY)
PINNED = PinnedKey(key("coordinator").public.key_id, key("coordinator").public.hex)


def test_a_request_names_its_party() -> None:
    party, asked = admission.read_request(REQUEST)
    assert party == Party(key("provider").public, Role.PROVIDER)
    assert certificates.requested(asked) == party


def test_nobody_asks_in_anothers_name() -> None:
    """The request names the provider; the thief has only a key of its own to sign the envelope with."""
    stolen = certificates.request(Party(key("provider").public, Role.PROVIDER), certificates.new_key())
    forged = canonical_bytes(sign(key("thief"), REQUEST_TYPE, stolen).to_json())
    with pytest.raises(UnknownSigner):
        admission.read_request(forged)


def test_a_signature_for_something_else_admits_nobody() -> None:
    asked = certificates.request(Party(key("provider").public, Role.PROVIDER), TLS_KEY)
    with pytest.raises(HallmarkError):
        admission.read_request(canonical_bytes(sign(key("provider"), "application/other", asked).to_json()))


@given(st.integers(0, len(REQUEST) - 2), st.integers(1, 255))
def test_no_changed_byte_of_a_request_passes(at: int, mask: int) -> None:
    changed = bytearray(REQUEST)
    changed[at] ^= mask
    if bytes(changed).strip() == REQUEST.strip():
        return  # white space around it
    with pytest.raises(HallmarkError):
        admission.read_request(bytes(changed))


def test_an_answer_is_read_back() -> None:
    answer = Admission("certificate", "authorities", PINNED, PINNED)
    assert admission.read_answer(admission.answer(answer)) == answer


@pytest.mark.parametrize("nonsense", [b"", b"{}", b"[]", b"\xff", json.dumps({"certificate": 1}).encode(), REQUEST])
def test_what_is_no_answer_is_refused(nonsense: bytes) -> None:
    with pytest.raises(InvalidInput) as refusal:
        admission.read_answer(nonsense)
    assert refusal.value.facts["field"] == "answer"


def test_whoever_installs_the_request_is_told_that_it_is_one() -> None:
    with pytest.raises(InvalidInput, match="is a request for admission"):
        admission.read_answer(REQUEST)
