"""A Merkle tree's proofs from stored subtrees alone (RFC 9162, section 2.1), O(log n) hashes each.

Only *complete* subtrees are ever stored: node (level, index) is the root of leaves index * 2**level up to, and
without, (index + 1) * 2**level, and never changes once those leaves are there. Every other hash of any tree over the
first n leaves folds from them. Does not know where the nodes are kept: it says which it needs, and is handed them.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import reduce
from typing import TypeAlias

from node.crypto.merkle import node_hash
from node.errors import InvalidInput

Node: TypeAlias = tuple[int, int]
"""(level, index) of a complete subtree"""

Leaves: TypeAlias = tuple[int, int]
"""(first, behind the last) of a run of leaves that is one node of some tree: its complete parts shrink rightwards"""


def completed_by(leaf: int) -> list[Node]:
    """The inner nodes that leaf number `leaf` completes, lowest first."""
    behind = leaf + 1
    complete_levels = (behind & -behind).bit_length() - 1
    return [(level, leaf >> level) for level in range(1, complete_levels + 1)]


def parts(leaves: Leaves) -> list[Node]:
    """The complete subtrees that a run of leaves consists of, left to right, largest first."""
    first, end = leaves
    found = []
    while first < end:
        level = (end - first).bit_length() - 1
        found.append((level, first >> level))
        first += 1 << level
    return found


def fold(leaves: Leaves, nodes: Mapping[Node, bytes]) -> bytes:
    """The root over a run of at least one leaf, its parts given in `nodes`."""
    hashes = [nodes[part] for part in reversed(parts(leaves))]
    return reduce(lambda right, left: node_hash(left, right), hashes)


def inclusion(index: int, size: int) -> list[Leaves]:
    """What the siblings of leaf `index` cover, from the leaf up. Raises InvalidInput if there is no such leaf."""
    if not 0 <= index < size:
        raise InvalidInput(f"A tree of {size} leaves has no leaf {index}.", field="index")
    siblings = (((index >> level) ^ 1) << level for level in range((size - 1).bit_length()))
    return [(first, min(first + (1 << level), size)) for level, first in enumerate(siblings) if first < size]


def consistency(old: int, new: int) -> list[Leaves]:
    """What the hashes of a proof cover that the first `old` of `new` leaves came first; none if `old` is 0 or `new`.

    Raises InvalidInput if `old` exceeds `new`.
    """
    if not 0 <= old <= new:
        raise InvalidInput(f"A tree of {new} leaves has no prefix of {old}.", field="old_size")
    if old in (0, new):
        return []
    level = (old & -old).bit_length() - 1  # the last complete part of the old tree is where both trees meet
    meeting = (old - (1 << level), old)
    above = inclusion(meeting[0] >> level, -(-new >> level))
    siblings = [(first << level, min(end << level, new)) for first, end in above]
    return siblings if old == 1 << level else [meeting, *siblings]
