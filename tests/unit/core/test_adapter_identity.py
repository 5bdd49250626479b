from __future__ import annotations

from node.core.adapter import CONFIG, WEIGHTS, adapter_digest, adapter_identity
from node.crypto.digest import canonical_bytes, sha256_digest

FILES = {WEIGHTS: b"numbers", CONFIG: b"{}"}


def test_an_adapter_has_one_identity_however_its_files_are_known() -> None:
    assert adapter_digest(FILES) == adapter_identity({name: sha256_digest(data) for name, data in FILES.items()})


def test_the_order_of_the_files_does_not_matter() -> None:
    assert adapter_digest(FILES) == adapter_digest(dict(reversed(FILES.items())))


def test_names_and_contents_both_matter() -> None:
    exchanged = {WEIGHTS: FILES[CONFIG], CONFIG: FILES[WEIGHTS]}
    others = [exchanged, FILES | {CONFIG: b"{ }"}, FILES | {"more": b""}, {WEIGHTS: FILES[WEIGHTS]}]
    assert len({adapter_digest(files) for files in (FILES, *others)}) == 5


def test_an_identity_is_no_files_own_digest() -> None:
    """Whoever uploads bytes of that digest has not uploaded an adapter."""
    manifest = canonical_bytes({name: str(sha256_digest(data)) for name, data in FILES.items()})
    assert adapter_digest(FILES) != sha256_digest(manifest)
