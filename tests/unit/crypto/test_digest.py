"""Digests are SHA-256, spelled in one way, and apart from each other by domain."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.crypto.digest import Digest, digest, sha256_digest
from node.errors import InvalidInput


def test_a_plain_digest_is_what_sha256sum_prints() -> None:
    assert str(sha256_digest(b"abc")) == "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def test_a_domain_digest_hashes_name_nul_data() -> None:
    assert digest("row", b"abc").raw == hashlib.sha256(b"hallmark:row\x00abc").digest()


@given(st.binary(min_size=32, max_size=32))
def test_every_digest_is_read_back_from_its_spelling(raw: bytes) -> None:
    assert Digest.parse(str(Digest(raw))) == Digest(raw)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "ab" * 32,
        "sha256:" + "AB" * 32,
        "sha256:" + "ab" * 31,
        "sha256:" + "ab" * 33,
        "sha256:" + "ab" * 32 + "\n",
        " sha256:" + "ab" * 32,
        "sha512:" + "ab" * 32,
        "sha256:" + "٣" * 64,
    ],
)
def test_another_spelling_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput):
        Digest.parse(text)


def test_a_digest_of_another_length_is_refused() -> None:
    with pytest.raises(InvalidInput):
        Digest(b"short")


@pytest.mark.parametrize("domain", ["", "Row", "row\0", "row:", "réponse", "a b"])
def test_a_domain_that_could_run_into_the_data_is_refused(domain: str) -> None:
    with pytest.raises(InvalidInput):
        digest(domain, b"")


@given(st.sampled_from(["a", "a.b", "a/b", "ab", "b"]), st.sampled_from(["a", "a.b", "a/b", "ab", "b"]), st.binary())
def test_the_same_data_in_two_domains_has_two_digests(one: str, other: str, data: bytes) -> None:
    assert (digest(one, data) == digest(other, data)) == (one == other)


def test_digests_sort_by_their_bytes() -> None:
    low, high = Digest(b"\0" * 32), Digest(b"\xff" * 32)
    assert sorted([high, low]) == [low, high]
