"""Trees agree with published roots and with a slow reading of RFC 9162; proofs hold, and nothing else does."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.crypto import merkle
from node.crypto.digest import Digest
from node.errors import IntegrityFailure, InvalidInput

# The eight leaves and the roots of their prefixes with which Certificate Transparency implementations test themselves.
PUBLISHED_LEAVES = [
    bytes.fromhex(text)
    for text in ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"]
]
PUBLISHED_ROOTS = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
PUBLISHED_PATH_0_OF_8 = [
    "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
    "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
    "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
]

SIZES = range(1, 34)


def leaves_of(size: int) -> list[bytes]:
    return [b"leaf %d" % index for index in range(size)]


# A second reading of RFC 9162, section 2.1: recursive, quadratic, and close to the text.


def slow_root(leaves: Sequence[bytes]) -> bytes:
    if not leaves:
        return hashlib.sha256().digest()
    if len(leaves) == 1:
        return hashlib.sha256(b"\x00" + leaves[0]).digest()
    k = slow_split(len(leaves))
    return hashlib.sha256(b"\x01" + slow_root(leaves[:k]) + slow_root(leaves[k:])).digest()


def slow_split(size: int) -> int:
    k = 1
    while 2 * k < size:
        k *= 2
    return k


def slow_path(index: int, leaves: Sequence[bytes]) -> list[bytes]:
    if len(leaves) == 1:
        return []
    k = slow_split(len(leaves))
    if index < k:
        return [*slow_path(index, leaves[:k]), slow_root(leaves[k:])]
    return [*slow_path(index - k, leaves[k:]), slow_root(leaves[:k])]


def slow_subproof(first: int, leaves: Sequence[bytes], complete: bool) -> list[bytes]:
    if first == len(leaves):
        return [] if complete else [slow_root(leaves)]
    k = slow_split(len(leaves))
    if first <= k:
        return [*slow_subproof(first, leaves[:k], complete), slow_root(leaves[k:])]
    return [*slow_subproof(first - k, leaves[k:], False), slow_root(leaves[:k])]


@pytest.mark.parametrize("size", range(9))
def test_the_published_roots_come_out(size: int) -> None:
    assert merkle.Tree(PUBLISHED_LEAVES[:size]).root.hex == PUBLISHED_ROOTS[size]


def test_the_published_path_comes_out() -> None:
    assert [sibling.hex() for sibling in merkle.Tree(PUBLISHED_LEAVES).inclusion(0)] == PUBLISHED_PATH_0_OF_8


@given(st.lists(st.binary(max_size=8), max_size=70))
def test_the_root_is_that_of_the_recursive_definition(leaves: list[bytes]) -> None:
    assert merkle.Tree(leaves).root.raw == slow_root(leaves)


@pytest.mark.parametrize("size", SIZES)
def test_every_inclusion_proof_is_that_of_the_recursive_definition_and_holds(size: int) -> None:
    leaves = leaves_of(size)
    tree = merkle.Tree(leaves)
    for index, leaf in enumerate(leaves):
        proof = tree.inclusion(index)
        assert list(proof) == slow_path(index, leaves)
        merkle.verify_inclusion(root=tree.root, leaf=leaf, index=index, size=size, proof=proof)


@pytest.mark.parametrize("size", SIZES)
def test_every_consistency_proof_is_that_of_the_recursive_definition_and_holds(size: int) -> None:
    leaves = leaves_of(size)
    tree = merkle.Tree(leaves)
    for first_size in range(1, size + 1):
        first = merkle.Tree(leaves[:first_size])
        proof = tree.consistency(first_size)
        assert list(proof) == slow_subproof(first_size, leaves, True)
        merkle.verify_consistency(
            first_root=first.root, first_size=first_size, second_root=tree.root, second_size=size, proof=proof
        )


@pytest.mark.parametrize("size", [0, 1, 5])
def test_every_tree_extends_the_empty_one(size: int) -> None:
    tree = merkle.Tree(leaves_of(size))
    merkle.verify_consistency(
        first_root=merkle.EMPTY_ROOT, first_size=0, second_root=tree.root, second_size=size, proof=tree.consistency(0)
    )


def damaged(proof: Sequence[bytes]) -> list[list[bytes]]:
    """Each way to spoil a proof by one step: a flipped bit, a missing, an added, a cut or a swapped hash."""
    spoiled = [[*proof[:i], bytes([proof[i][0] ^ 1]) + proof[i][1:], *proof[i + 1 :]] for i in range(len(proof))]
    spoiled += [[*proof[:i], *proof[i + 1 :]] for i in range(len(proof))]
    spoiled += [[*proof[:i], proof[i][:31], *proof[i + 1 :]] for i in range(len(proof))]
    spoiled += [[*proof[:i], proof[i + 1], proof[i], *proof[i + 2 :]] for i in range(len(proof) - 1)]
    spoiled += [[*proof, bytes(32)], [bytes(32), *proof]]
    return spoiled


@pytest.mark.parametrize("size", [1, 2, 3, 7, 8, 13])
def test_a_damaged_inclusion_proof_is_refused(size: int) -> None:
    leaves = leaves_of(size)
    tree = merkle.Tree(leaves)
    for index, leaf in enumerate(leaves):
        for proof in damaged(tree.inclusion(index)):
            with pytest.raises(IntegrityFailure):
                merkle.verify_inclusion(root=tree.root, leaf=leaf, index=index, size=size, proof=proof)


@given(st.integers(1, 40), st.data())
def test_a_leaf_is_included_at_its_own_place_only(size: int, data: st.DataObject) -> None:
    tree = merkle.Tree(leaves_of(size))
    index, claimed = data.draw(st.integers(0, size - 1)), data.draw(st.integers(-1, size))
    leaf = data.draw(st.sampled_from([*leaves_of(size), b"another"]))
    if (leaf, claimed) == (leaves_of(size)[index], index):
        return
    with pytest.raises(IntegrityFailure):
        merkle.verify_inclusion(root=tree.root, leaf=leaf, index=claimed, size=size, proof=tree.inclusion(index))


def test_an_inner_node_does_not_pass_as_a_leaf() -> None:
    leaves = leaves_of(4)
    tree = merkle.Tree(leaves)
    inner = merkle.leaf_hash(leaves[0]) + merkle.leaf_hash(leaves[1])
    with pytest.raises(IntegrityFailure):
        merkle.verify_inclusion(root=tree.root, leaf=inner, index=0, size=2, proof=tree.inclusion(0)[1:])


def test_nothing_is_included_in_the_empty_tree() -> None:
    with pytest.raises(IntegrityFailure):
        merkle.verify_inclusion(root=merkle.EMPTY_ROOT, leaf=b"", index=0, size=0, proof=[])


@pytest.mark.parametrize(("first_size", "size"), [(1, 2), (2, 3), (3, 7), (4, 7), (6, 8), (7, 13), (8, 13), (5, 5)])
def test_a_damaged_consistency_proof_is_refused(first_size: int, size: int) -> None:
    first, second = merkle.Tree(leaves_of(first_size)), merkle.Tree(leaves_of(size))
    for proof in damaged(second.consistency(first_size)):
        with pytest.raises(IntegrityFailure):
            merkle.verify_consistency(
                first_root=first.root, first_size=first_size, second_root=second.root, second_size=size, proof=proof
            )


@given(st.integers(1, 40), st.integers(1, 40), st.integers(0, 39))
def test_a_rewritten_past_is_refused(first_size: int, more: int, rewritten: int) -> None:
    size = first_size + more
    rewritten %= first_size
    leaves = leaves_of(size)
    first = merkle.Tree(leaves[:first_size])
    second = merkle.Tree([*leaves[:rewritten], b"rewritten", *leaves[rewritten + 1 :]])
    with pytest.raises(IntegrityFailure):
        merkle.verify_consistency(
            first_root=first.root,
            first_size=first_size,
            second_root=second.root,
            second_size=size,
            proof=second.consistency(first_size),
        )


@pytest.mark.parametrize("size", SIZES)
def test_an_inclusion_proof_shows_the_root_of_everything_before_its_leaf(size: int) -> None:
    leaves = leaves_of(size)
    tree = merkle.Tree(leaves)
    for index, leaf in enumerate(leaves):
        proof = tree.inclusion(index)
        before = merkle.prefix_root(root=tree.root, leaf=merkle.leaf_hash(leaf), index=index, size=size, proof=proof)
        assert before.raw == slow_root(leaves[:index])


@pytest.mark.parametrize(("index", "size"), [(0, 1), (0, 2), (1, 2), (2, 3), (5, 7), (6, 7), (12, 13)])
def test_a_damaged_proof_shows_no_prefix(index: int, size: int) -> None:
    tree = merkle.Tree(leaves_of(size))
    leaf = merkle.leaf_hash(leaves_of(size)[index])
    for proof in damaged(tree.inclusion(index)):
        with pytest.raises(IntegrityFailure):
            merkle.prefix_root(root=tree.root, leaf=leaf, index=index, size=size, proof=proof)
    with pytest.raises(IntegrityFailure):
        merkle.prefix_root(root=tree.root, leaf=bytes(32), index=index, size=size, proof=tree.inclusion(index))
    with pytest.raises(IntegrityFailure):
        merkle.prefix_root(root=tree.root, leaf=leaf, index=size, size=size, proof=tree.inclusion(index))


def test_a_log_that_shrank_or_changed_at_one_size_is_refused() -> None:
    small, large = merkle.Tree(leaves_of(3)), merkle.Tree(leaves_of(5))
    for first, first_size, second, second_size in [
        (large.root, 5, small.root, 3),
        (large.root, 3, small.root, 3),
        (small.root, 0, large.root, 5),
        (merkle.EMPTY_ROOT, 0, large.root, 0),
        (merkle.EMPTY_ROOT, -1, large.root, 5),
    ]:
        with pytest.raises(IntegrityFailure):
            merkle.verify_consistency(
                first_root=first, first_size=first_size, second_root=second, second_size=second_size, proof=[]
            )


def test_a_refusal_carries_expected_and_actual_root() -> None:
    tree = merkle.Tree([b"a"])
    with pytest.raises(IntegrityFailure) as refusal:
        merkle.verify_inclusion(root=tree.root, leaf=b"b", index=0, size=1, proof=[])
    assert refusal.value.facts == {"expected": str(tree.root), "actual": str(Digest(merkle.leaf_hash(b"b")))}


@pytest.mark.parametrize("index", [-1, 3])
def test_no_proof_is_made_for_a_leaf_that_is_not_there(index: int) -> None:
    with pytest.raises(InvalidInput):
        merkle.Tree(leaves_of(3)).inclusion(index)


@pytest.mark.parametrize("first_size", [-1, 4])
def test_no_proof_is_made_for_a_prefix_that_is_not_there(first_size: int) -> None:
    with pytest.raises(InvalidInput):
        merkle.Tree(leaves_of(3)).consistency(first_size)
