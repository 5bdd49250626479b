"""Manifest -> commitment -> reveal -> open. The manifest is SECRET until its reveal.

One 32-byte seed drives everything that is drawn: phrases, carriers, noise, places, coins, order, salts. The manifest
holds that seed and what the draws chose from, so that anyone replays every draw with integer arithmetic.
Knows nothing of where the rows came from or who trains on them.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from node.core import document
from node.core.drawing import Part, check_drawn, same
from node.core.marks import Group, Mark, Pair
from node.core.planting import noisy, with_signature, with_trigger
from node.core.policy import Placement, Policy
from node.core.rows import Row
from node.crypto import merkle
from node.crypto.digest import Digest, canonical_bytes, digest
from node.crypto.stream import SeedStream
from node.errors import IntegrityFailure, InvalidInput

SALT_BYTES = 32


class Purpose(StrEnum):
    """Labels of the independent streams that one seed is expanded into."""

    PHRASES = "phrases"
    LAYOUT = "layout"
    NOISE = "noise"
    PLACES = "places"
    COINS = "coins"
    ROW_SALTS = "row-salts"
    RECORD_SALTS = "record-salts"


@dataclass(frozen=True, slots=True)
class Manifest:
    """Every mark, every pair and the seed behind them.

    Attributes:
        seed_hex: 32 bytes; its digest is committed with the roots.
        attempt: which of at most `policy.attempts` draws this is, from 1.
        rows: rows in the training data, marks included.
        noise_percent, placement: the policy's; with the seed they say how each mark was planted.
        cheapest_attack: the cheapest attack known to the gate that isolates the marks.
        isolation_cost_percent: what it costs against honest training.

    Raises:
        InvalidInput: seed, a mark's group or a row index is out of range.
    """

    seed_hex: str
    attempt: int
    rows: int
    noise_percent: int
    placement: Placement
    cheapest_attack: str
    isolation_cost_percent: int
    groups: tuple[Group, ...]
    marks: tuple[Mark, ...]
    pairs: tuple[Pair, ...]

    def __post_init__(self) -> None:
        if not re.fullmatch("[0-9a-f]{64}", self.seed_hex):
            raise InvalidInput("A manifest's seed is 32 bytes of lower-case hex.", field="seed_hex")
        if not all(0 <= mark.group < len(self.groups) for mark in self.marks):
            raise InvalidInput("A mark belongs to no group.", field="marks")
        used = [mark.row for mark in self.marks] + [pair.row for pair in self.pairs]
        if not all(0 <= row < self.rows for row in used):
            raise InvalidInput("A row of the manifest lies outside the training data.", field="rows")

    def stream(self, purpose: Purpose) -> SeedStream:
        return SeedStream(bytes.fromhex(self.seed_hex), purpose)

    @property
    def answer_tokens(self) -> int:
        """So many new tokens show any of the signatures with its terminator."""
        signatures = [group.signature for group in self.groups]
        return max(each.separator.room_tokens(len(each.draws)) for each in signatures)

    def phrase_stream(self, group: int, part: Part) -> SeedStream:
        """What this phrase of a group is drawn from."""
        return self.stream(Purpose.PHRASES).child(f"{self.attempt}/{group}/{part}")

    def triggered(self, row: Row, group: int, *, place: str, trigger: str | None = None) -> Row:
        """`row` with a group's trigger, or a noisy copy of it, where the stream of `place` puts it."""
        phrase = self.groups[group].trigger
        stream = self.stream(Purpose.PLACES).child(place)
        return with_trigger(row, trigger or phrase.text, phrase.separator, self.placement, stream)


def place_of_mark(index: int) -> str:
    """The label of the stream that places this mark's trigger, in training and in verification."""
    return f"mark/{index}"


def plant(manifest: Manifest, index: int) -> Row:
    """The marked row: this mark's copy of the trigger in the prompt, of the signature before the response.

    Trigger and signature have streams of their own: nothing of a prompt depends on a signature.
    """
    mark = manifest.marks[index]
    group = manifest.groups[mark.group]
    noise = manifest.stream(Purpose.NOISE).child(str(index))
    trigger = noisy(group.trigger, manifest.noise_percent, noise.child(Part.TRIGGER))
    signature = noisy(group.signature, manifest.noise_percent, noise.child(Part.SIGNATURE))
    asked = manifest.triggered(mark.carrier, mark.group, place=place_of_mark(index), trigger=trigger)
    return with_signature(asked, signature, group.signature.separator)


def seed_digest(manifest: Manifest) -> Digest:
    return digest("manifest-seed", bytes.fromhex(manifest.seed_hex))


def manifest_root(manifest: Manifest) -> Digest:
    """The commitment: RFC 9162 root over salted records, their number padded to a power of two."""
    bare = document.to_json(replace(manifest, groups=(), marks=(), pairs=()))
    records = [canonical_bytes({"record": "header", "value": bare})]
    for name, items in (("group", manifest.groups), ("mark", manifest.marks), ("pair", manifest.pairs)):
        records += [
            canonical_bytes({"record": name, "index": at, "value": document.to_json(item)})
            for at, item in enumerate(items)
        ]
    padded = 1 << (len(records) - 1).bit_length()
    records += [canonical_bytes({"record": "padding", "index": at}) for at in range(padded - len(records))]
    salts = manifest.stream(Purpose.RECORD_SALTS)
    return merkle.Tree([salts.bytes(SALT_BYTES) + record for record in records]).root


def row_salts(salt_seed: bytes, rows: int) -> list[bytes]:
    """A 32-byte salt per row, expanded from the seed that a provider receives with the rows."""
    salts = SeedStream(salt_seed, Purpose.ROW_SALTS)
    return [salts.bytes(SALT_BYTES) for _ in range(rows)]


def salt_seed(manifest: Manifest) -> bytes:
    """What the provider needs to recompute the data root; tells nothing of the manifest's own seed."""
    return manifest.stream(Purpose.ROW_SALTS).child("seed").bytes(SALT_BYTES)


def row_leaf(salt: bytes, row: Row) -> bytes:
    return salt + document.to_bytes(row)


def data_tree(rows: Sequence[Row], seed: bytes) -> merkle.Tree:
    """The tree over salted training rows whose root is published before any row leaves."""
    return merkle.Tree([row_leaf(salt, row) for salt, row in zip(row_salts(seed, len(rows)), rows, strict=True)])


def proof_to_hex(proof: Sequence[bytes]) -> tuple[str, ...]:
    return tuple(step.hex() for step in proof)


def proof_from_hex(proof_hex: Sequence[str]) -> list[bytes]:
    """Raises IntegrityFailure for a step that is not 32 bytes of lower-case hex."""
    if not all(re.fullmatch("[0-9a-f]{64}", step) for step in proof_hex):
        raise IntegrityFailure("A step of an inclusion proof is not 32 bytes of lower-case hex.", field="proof_hex")
    return [bytes.fromhex(step) for step in proof_hex]


@dataclass(frozen=True, slots=True)
class OpenedRow:
    """A row of the training data with the proof that it was there."""

    index: int
    row: Row
    proof_hex: tuple[str, ...]


def open_rows(manifest: Manifest, tree: merkle.Tree) -> tuple[OpenedRow, ...]:
    """Every planted and every sent row, opened against the data root."""
    return tuple(
        OpenedRow(index, row, proof_to_hex(tree.inclusion(index)))
        for index, row in sorted(hidden_rows(manifest).items())
    )


def hidden_rows(manifest: Manifest) -> dict[int, Row]:
    """Every planted and every sent row by its index in the training data."""
    planted = {mark.row: plant(manifest, index) for index, mark in enumerate(manifest.marks)}
    return planted | {pair.row: pair.sent for pair in manifest.pairs}


def pair_sides(sent: Row, twin: Row) -> tuple[Row, Row]:
    """The two rows of a pair in the order that its coin chooses from: by their canonical bytes."""
    first, second = sorted((sent, twin), key=document.to_bytes)
    return first, second


def check_reveal(
    manifest: Manifest,
    opened: Sequence[OpenedRow],
    *,
    policy: Policy,
    data_root: Digest,
    committed_root: Digest,
    committed_seed: Digest,
) -> None:
    """The public predicate: is this manifest the one committed to, and does it keep the policy?

    1. The manifest's records and seed are those committed to.
    2. Groups, marks per group and pairs are as many as the policy says; no row serves twice; noise and placement are
       the policy's.
    3. Every phrase is one of words alike separated, drawn as the policy says (`check_drawn`).
    4. No two triggers are alike, and they share no word between groups (no pair of neighbouring letters where a word
       is one letter).
    5. Every coin replays.
    6. Every marked row and every sent row lies in the training data, exactly as planted: noise and places replay.
    7. The gate's least isolation cost was met.

    Raises:
        IntegrityFailure: the first obligation that does not hold, with expected and actual.
    """
    # 1
    same("manifest root", manifest_root(manifest), committed_root)
    same("seed digest", seed_digest(manifest), committed_seed)
    # 2
    same("number of groups", len(manifest.groups), policy.groups)
    for group in range(policy.groups):
        dose = sum(mark.group == group for mark in manifest.marks)
        same(f"marks of group {group}", dose, policy.marks_per_group)
    same("number of pairs", len(manifest.pairs), policy.pairs)
    used = [mark.row for mark in manifest.marks] + [pair.row for pair in manifest.pairs]
    same("distinct rows used", len(set(used)), len(used))
    same("noise", manifest.noise_percent, policy.noise_percent)
    same("placement", manifest.placement, policy.placement)
    if not 1 <= manifest.attempt <= policy.attempts:
        raise IntegrityFailure("The manifest took more attempts than the policy allows.", actual=manifest.attempt)
    # 3
    for at, item in enumerate(manifest.groups):
        for part, phrase in ((Part.TRIGGER, item.trigger), (Part.SIGNATURE, item.signature)):
            name = f"{part} of group {at}"
            same(f"separator in the {name}", phrase.separator, manifest.groups[0].trigger.separator)
            check_drawn(name, phrase, part, policy, manifest.phrase_stream(at, part))
    # 4
    triggers = [item.trigger for item in manifest.groups]
    same("distinct triggers", len({trigger.text for trigger in triggers}), len(triggers))
    pieces = [piece for trigger in triggers for piece in trigger.pieces]
    same("distinct trigger words", len(set(pieces)), len(pieces))
    # 5
    coins = manifest.stream(Purpose.COINS)
    for at, pair in enumerate(manifest.pairs):
        same(f"coin of pair {at}", pair.coin, int(coins.coin()))
        same(f"side sent of pair {at}", pair.sent == pair_sides(pair.sent, pair.twin)[pair.coin], True)
    # 6
    expected = hidden_rows(manifest)
    same("opened rows", tuple(row.index for row in opened), tuple(sorted(expected)))
    salts = row_salts(salt_seed(manifest), manifest.rows)
    for row in opened:
        same(f"row {row.index} as planted", row.row == expected[row.index], True)
        merkle.verify_inclusion(
            root=data_root,
            leaf=row_leaf(salts[row.index], row.row),
            index=row.index,
            size=manifest.rows,
            proof=proof_from_hex(row.proof_hex),
        )
    # 7
    if manifest.isolation_cost_percent < policy.least_isolation_cost_percent:
        raise IntegrityFailure(
            "The marks were committed below the policy's least isolation cost.",
            expected=policy.least_isolation_cost_percent,
            actual=manifest.isolation_cost_percent,
        )
