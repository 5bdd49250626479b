"""The commitment to a manifest: nothing in it can change afterwards, not by one bit."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from node.core import document
from node.core.manifest import (
    Manifest,
    Purpose,
    check_reveal,
    data_tree,
    manifest_root,
    proof_from_hex,
    row_leaf,
    row_salts,
    salt_seed,
    seed_digest,
)
from node.crypto import merkle
from node.crypto.digest import canonical_bytes
from node.errors import IntegrityFailure


def leaves(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    if isinstance(value, dict | list):
        for name, item in value.items() if isinstance(value, dict) else enumerate(value):
            yield from leaves(item, (*path, name))
    else:
        yield path


def with_one_bit_changed(value: Any, path: tuple[Any, ...]) -> Any:
    changed = copy.deepcopy(value)
    at = changed
    for name in path[:-1]:
        at = at[name]
    leaf = at[path[-1]]
    at[path[-1]] = (
        chr(ord(leaf[0]) ^ 1) + leaf[1:] if leaf and isinstance(leaf, str) else "x" if leaf == "" else leaf ^ 1
    )
    return changed


def test_one_bit_changed_in_any_field_is_refused(story: Any) -> None:
    whole = document.to_json(story.manifest)
    paths = list(leaves(whole))
    assert len(paths) > 250
    for path in paths:
        with pytest.raises(IntegrityFailure):
            check_reveal(
                document.from_json(Manifest, with_one_bit_changed(whole, path)),
                story.opened,
                policy=story.chain.offer.policy,
                data_root=story.commit.data_root,
                committed_root=story.commit.manifest_root,
                committed_seed=story.commit.seed,
            )


def test_records_that_change_places_give_another_root(story: Any) -> None:
    manifest: Manifest = story.manifest
    for changed in (
        replace(manifest, marks=manifest.marks[::-1]),
        replace(manifest, pairs=manifest.pairs[::-1]),
        replace(manifest, groups=manifest.groups[::-1]),
        replace(manifest, marks=manifest.marks[:-1]),
        replace(manifest, marks=(*manifest.marks, manifest.marks[0])),
    ):
        assert manifest_root(changed) != manifest_root(manifest)


def test_the_number_of_records_is_padded_to_a_power_of_two(story: Any) -> None:
    """An independent reading of the commitment: salted canonical records, header first, padding last."""
    manifest: Manifest = story.manifest
    header = {
        "seed_hex": manifest.seed_hex,
        "attempt": manifest.attempt,
        "rows": manifest.rows,
        "noise_percent": manifest.noise_percent,
        "placement": manifest.placement.value,
        "cheapest_attack": manifest.cheapest_attack,
        "isolation_cost_percent": manifest.isolation_cost_percent,
        "groups": [],
        "marks": [],
        "pairs": [],
    }
    records: list[Any] = [{"record": "header", "value": header}]
    for name in ("group", "mark", "pair"):
        for index, item in enumerate(getattr(manifest, f"{name}s")):
            records.append({"record": name, "index": index, "value": document.to_json(item)})
    assert len(records) == 1 + 3 + 9 + 6
    records += [{"record": "padding", "index": index} for index in range(32 - len(records))]
    salts = manifest.stream(Purpose.RECORD_SALTS)
    assert merkle.Tree(salts.bytes(32) + canonical_bytes(record) for record in records).root == manifest_root(manifest)


def test_equal_records_have_different_leaves(story: Any) -> None:
    salts = story.manifest.stream(Purpose.RECORD_SALTS)
    assert salts.bytes(32) != salts.bytes(32)


def test_what_the_provider_gets_for_the_data_root_says_nothing_of_the_manifests_seed(story: Any) -> None:
    manifest: Manifest = story.manifest
    given = salt_seed(manifest)
    assert given.hex() != manifest.seed_hex
    own_streams = [manifest.stream(purpose) for purpose in Purpose]
    assert all(stream.bytes(32) not in (given, row_salts(given, 1)[0]) for stream in own_streams)


def test_every_row_lies_under_the_data_root_with_a_salt_of_its_own(story: Any) -> None:
    seed = salt_seed(story.manifest)
    salts = row_salts(seed, len(story.training_rows))
    assert len(set(salts)) == len(salts)
    tree = data_tree(story.training_rows, seed)
    assert tree.root == story.commit.data_root
    for at, row in enumerate(story.training_rows):
        merkle.verify_inclusion(
            root=tree.root, leaf=row_leaf(salts[at], row), index=at, size=tree.size, proof=tree.inclusion(at)
        )


def test_the_seed_is_committed_without_being_shown(story: Any) -> None:
    assert story.commit.seed == seed_digest(story.manifest)
    assert story.manifest.seed_hex not in str(story.commit.seed)


@pytest.mark.parametrize("step", ["", "00", "AB" * 32, "zz" * 32, "00" * 33, "00" * 32 + "\n"])
def test_a_proof_step_that_is_no_hash_is_refused(step: str) -> None:
    with pytest.raises(IntegrityFailure):
        proof_from_hex((step,))
