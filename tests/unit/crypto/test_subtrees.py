"""Proofs that fold from complete subtrees are those of the whole tree, and each needs a logarithm of them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.crypto import subtrees
from node.crypto.merkle import Tree, leaf_hash, node_hash, verify_consistency, verify_inclusion
from node.crypto.subtrees import Leaves, Node
from node.errors import InvalidInput

MOST = 200
LEAVES = [bytes([number]) for number in range(MOST)]


def grown(leaves: list[bytes]) -> dict[Node, bytes]:
    """What a log keeps after appending these leaves one by one."""
    nodes: dict[Node, bytes] = {}
    for number, leaf in enumerate(leaves):
        nodes[0, number] = leaf_hash(leaf)
        for level, index in subtrees.completed_by(number):
            nodes[level, index] = node_hash(nodes[level - 1, 2 * index], nodes[level - 1, 2 * index + 1])
    return nodes


NODES = grown(LEAVES)


def folded(runs: list[Leaves]) -> tuple[bytes, ...]:
    return tuple(subtrees.fold(leaves, NODES) for leaves in runs)


def test_two_nodes_are_kept_for_each_leaf_and_none_twice() -> None:
    assert len(NODES) < 2 * MOST
    assert sum(1 + len(subtrees.completed_by(number)) for number in range(MOST)) == len(NODES)


@given(st.integers(1, MOST))
def test_the_root_of_any_size_folds_from_its_parts(size: int) -> None:
    assert subtrees.fold((0, size), NODES) == Tree(LEAVES[:size]).root.raw
    assert len(subtrees.parts((0, size))) == size.bit_count()


@given(st.data())
def test_inclusion_is_proved_as_by_the_whole_tree(data: st.DataObject) -> None:
    size = data.draw(st.integers(1, MOST))
    index = data.draw(st.integers(0, size - 1))
    proof, tree = folded(subtrees.inclusion(index, size)), Tree(LEAVES[:size])
    assert proof == tree.inclusion(index)
    verify_inclusion(root=tree.root, leaf=LEAVES[index], index=index, size=size, proof=proof)


@given(st.data())
def test_consistency_is_proved_as_by_the_whole_tree(data: st.DataObject) -> None:
    new = data.draw(st.integers(0, MOST))
    old = data.draw(st.integers(0, new))
    proof, before, after = folded(subtrees.consistency(old, new)), Tree(LEAVES[:old]), Tree(LEAVES[:new])
    assert proof == after.consistency(old)
    verify_consistency(first_root=before.root, first_size=old, second_root=after.root, second_size=new, proof=proof)


@given(st.data())
def test_no_proof_reads_more_than_twice_the_logarithm_of_the_size(data: st.DataObject) -> None:
    new = data.draw(st.integers(2, 2**40))
    old = data.draw(st.integers(1, new))
    for runs in (subtrees.inclusion(old - 1, new), subtrees.consistency(old, new)):
        nodes = [part for leaves in runs for part in subtrees.parts(leaves)]
        assert len(nodes) <= 2 * new.bit_length()


def test_what_is_not_there_has_no_proof() -> None:
    for index, size in ((0, 0), (3, 3), (-1, 3)):
        with pytest.raises(InvalidInput):
            subtrees.inclusion(index, size)
    for old, new in ((4, 3), (-1, 3)):
        with pytest.raises(InvalidInput):
            subtrees.consistency(old, new)
