"""Merkle trees with proofs of inclusion and of consistency, as RFC 9162, section 2.1, defines them.

Leaves are byte strings; the caller makes them canonical, and salts them where they must stay secret: a proof hides an
unsalted leaf from nobody who can guess it. Does *not* know what the leaves mean.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence

from node.crypto.digest import Digest
from node.errors import IntegrityFailure, InvalidInput

_sha256 = hashlib.sha256


def leaf_hash(data: bytes) -> bytes:
    """Hash of one leaf: SHA-256 of 0x00 and the data."""
    return _sha256(b"\0" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Hash of an inner node: SHA-256 of 0x01 and both children."""
    return _sha256(b"\1" + left + right).digest()


class Tree:
    """All hashes of a tree over `leaves`, in their order: O(n) to build, then every proof is a walk of O(log n).

    `levels[h][i]` is the root of leaves i * 2**h up to, and without, min((i + 1) * 2**h, size). A node without a
    sibling rises unchanged, which is how the RFC's split at the largest power of two treats it.
    """

    __slots__ = ("_levels",)

    def __init__(self, leaves: Iterable[bytes]) -> None:
        level = [leaf_hash(leaf) for leaf in leaves]
        self._levels = [level]
        while len(level) > 1:
            level = _parents(level)
            self._levels.append(level)

    @property
    def size(self) -> int:
        return len(self._levels[0])

    @property
    def root(self) -> Digest:
        """The tree's root; that of no leaves at all is SHA-256 of nothing."""
        return Digest(self._levels[-1][0]) if self.size else EMPTY_ROOT

    def inclusion(self, index: int) -> tuple[bytes, ...]:
        """Siblings on the way from leaf `index` up to the root. Raises InvalidInput if there is no such leaf."""
        if not 0 <= index < self.size:
            raise InvalidInput(f"A tree of {self.size} leaves has no leaf {index}.", field="index")
        siblings = ((level, (index >> height) ^ 1) for height, level in enumerate(self._levels))
        return tuple(level[sibling] for level, sibling in siblings if sibling < len(level))

    def consistency(self, first_size: int) -> tuple[bytes, ...]:
        """Hashes that show the first `first_size` leaves to be a prefix of this tree (RFC 9162, section 2.1.4.1).

        Empty if either tree says nothing new (`first_size` is 0 or the whole size).
        Raises InvalidInput if `first_size` exceeds the size.
        """
        if not 0 <= first_size <= self.size:
            raise InvalidInput(f"A tree of {self.size} leaves has no prefix of {first_size}.", field="first_size")
        if first_size == 0:
            return ()
        return tuple(self._subproof(first_size, 0, self.size, known=True))

    def _subproof(self, boundary: int, start: int, end: int, *, known: bool) -> list[bytes]:
        """SUBPROOF over leaves start..end, cut at `boundary`; `known` while the left part is the older tree itself."""
        if boundary == end:
            return [] if known else [self._subtree(start, end)]
        middle = start + _largest_power_of_two_below(end - start)
        if boundary <= middle:
            return [*self._subproof(boundary, start, middle, known=known), self._subtree(middle, end)]
        return [*self._subproof(boundary, middle, end, known=False), self._subtree(start, middle)]

    def _subtree(self, start: int, end: int) -> bytes:
        height = (end - start - 1).bit_length()
        return self._levels[height][start >> height]


EMPTY_ROOT = Digest(_sha256().digest())
"""The root of no leaves."""


def verify_inclusion(*, root: Digest, leaf: bytes, index: int, size: int, proof: Sequence[bytes]) -> None:
    """Check that `leaf` (its data) is number `index` of the `size` leaves under `root` (RFC 9162, section 2.1.3.2).

    Raises IntegrityFailure, with expected and actual root, unless it is.
    """
    if not 0 <= index < size:
        raise IntegrityFailure(f"A tree of {size} leaves has no leaf {index}.", expected=size, actual=index)
    whole, _ = _climbed(leaf_hash(leaf), index, size, proof)
    _compare("The leaf is not under the root.", root, whole)


def prefix_root(*, root: Digest, leaf: bytes, index: int, size: int, proof: Sequence[bytes]) -> Digest:
    """The root of the leaves before number `index`, as the tree of `size` leaves under `root` has them.

    The siblings to the left of a leaf's way up are the complete subtrees of what lies before it, so its inclusion proof
    shows both roots at once. `leaf` is the leaf's hash: what it stands for does not matter here.

    Raises IntegrityFailure unless the proof leads to `root`.
    """
    if not 0 <= index < size:
        raise IntegrityFailure(f"A tree of {size} leaves has no leaf {index}.", expected=size, actual=index)
    whole, before = _climbed(leaf, index, size, proof)
    _compare("The leaf is not under the root.", root, whole)
    return Digest(before)


def verify_consistency(
    *, first_root: Digest, first_size: int, second_root: Digest, second_size: int, proof: Sequence[bytes]
) -> None:
    """Check that the first tree's leaves are the first leaves of the second tree (RFC 9162, section 2.1.4.2).

    Raises IntegrityFailure, with expected and actual root, unless they are.
    """
    if not 0 <= first_size <= second_size:
        raise IntegrityFailure("A log never shrinks.", expected=first_size, actual=second_size)
    path = iter(proof)
    if first_size == 0:
        _refuse_leftover(path)
        _compare("The first tree is not empty.", first_root, EMPTY_ROOT.raw)
        if second_size == 0:
            _compare("The second tree is not empty.", second_root, EMPTY_ROOT.raw)
        return
    if first_size == second_size:
        _refuse_leftover(path)
        _compare("Two trees of one size have different roots.", first_root, second_root.raw)
        return
    position, last = first_size - 1, second_size - 1
    while position & 1:
        position, last = position >> 1, last >> 1
    first = second = _next_of(path) if position else first_root.raw
    while last:
        if position & 1:
            sibling = _next_of(path)
            first, second = node_hash(sibling, first), node_hash(sibling, second)
        elif position < last:
            second = node_hash(second, _next_of(path))
        position, last = position >> 1, last >> 1
    _refuse_leftover(path)
    _compare("The proof does not lead to the first root.", first_root, first)
    _compare("The proof does not lead to the second root.", second_root, second)


def _climbed(hashed: bytes, index: int, size: int, proof: Sequence[bytes]) -> tuple[bytes, bytes]:
    """Roots of the whole tree and of the leaves before `index`, from that leaf's hash and its siblings upwards."""
    position, last = index, size - 1
    path = iter(proof)
    whole, before = hashed, b""
    while last:
        if position & 1:
            sibling = _next_of(path)
            whole, before = node_hash(sibling, whole), node_hash(sibling, before) if before else sibling
        elif position < last:
            whole = node_hash(whole, _next_of(path))
        position, last = position >> 1, last >> 1
    _refuse_leftover(path)
    return whole, before or EMPTY_ROOT.raw


def _parents(level: list[bytes]) -> list[bytes]:
    parents = [_sha256(b"\1" + left + right).digest() for left, right in zip(level[::2], level[1::2], strict=False)]
    return [*parents, level[-1]] if len(level) & 1 else parents


def _largest_power_of_two_below(size: int) -> int:
    return 1 << (size - 1).bit_length() - 1


def _next_of(path: Iterator[bytes]) -> bytes:
    try:
        return next(path)
    except StopIteration:
        raise IntegrityFailure("The proof is too short for the tree.") from None


def _refuse_leftover(path: Iterator[bytes]) -> None:
    leftover = sum(1 for _ in path)
    if leftover:
        raise IntegrityFailure(f"The proof has {leftover} hashes too many.", expected=0, actual=leftover)


def _compare(message: str, expected: Digest, actual: bytes) -> None:
    if expected.raw != actual:
        raise IntegrityFailure(message, expected=str(expected), actual=str(Digest(actual)))
