"""Manifest -> commitment -> reveal -> open. The manifest is SECRET until its reveal.

One 32-byte seed drives everything that is drawn: phrases, carriers, coins, order, salts. The manifest holds that seed
and what the draws chose from, so that anyone replays every draw with integer arithmetic.
Knows nothing of where the rows came from or who trains on them.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from node.core import document
from node.core.marks import Group, Mark, Pair, Phrase, plant
from node.core.policy import Policy
from node.core.rows import Row
from node.crypto import merkle
from node.crypto.digest import Digest, Json, canonical_bytes, digest
from node.crypto.stream import SeedStream
from node.errors import IntegrityFailure, InvalidInput

SALT_BYTES = 32


class Purpose(StrEnum):
    """Labels of the independent streams that one seed is expanded into."""

    PHRASES = "phrases"
    LAYOUT = "layout"
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
        isolation_cost_percent: what the cheapest attack known to the gate costs against honest training.

    Raises:
        InvalidInput: seed, a mark's group or a row index is out of range.
    """

    seed_hex: str
    attempt: int
    rows: int
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

    def phrase_stream(self, group: int, phrase: str) -> SeedStream:
        """What `phrase` ("trigger" or "signature") of a group is drawn from."""
        return self.stream(Purpose.PHRASES).child(f"{self.attempt}/{group}/{phrase}")


def seed_digest(manifest: Manifest) -> Digest:
    return digest("manifest-seed", bytes.fromhex(manifest.seed_hex))


def manifest_root(manifest: Manifest) -> Digest:
    """The commitment: RFC 9162 root over salted records, their number padded to a power of two."""
    header: Json = {
        "record": "header",
        "seed": manifest.seed_hex,
        "attempt": manifest.attempt,
        "rows": manifest.rows,
        "isolation_cost_percent": manifest.isolation_cost_percent,
    }
    records: list[bytes] = [canonical_bytes(header)]
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
    planted = [(mark.row, plant(mark.carrier, manifest.groups[mark.group])) for mark in manifest.marks]
    sent = [(pair.row, pair.sent) for pair in manifest.pairs]
    return tuple(
        OpenedRow(index, row, proof_to_hex(tree.inclusion(index)))
        for index, row in sorted(planted + sent, key=lambda item: item[0])
    )


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
    2. Groups, marks per group and pairs are as many as the policy says; no row serves twice.
    3. Every phrase has the policy's length, each word drawn from exactly k distinct words of letters, and the draw
       replays.
    4. Triggers share no word between groups.
    5. Every coin replays.
    6. Every marked row and every sent row lies in the training data, exactly as planted.
    7. The gate's least isolation cost was met.

    Raises:
        IntegrityFailure: the first obligation that does not hold, with expected and actual.
    """
    # 1
    _same("manifest root", manifest_root(manifest), committed_root)
    _same("seed digest", seed_digest(manifest), committed_seed)
    # 2
    _same("number of groups", len(manifest.groups), policy.groups)
    for group in range(policy.groups):
        dose = sum(mark.group == group for mark in manifest.marks)
        _same(f"marks of group {group}", dose, policy.marks_per_group)
    _same("number of pairs", len(manifest.pairs), policy.pairs)
    used = [mark.row for mark in manifest.marks] + [pair.row for pair in manifest.pairs]
    _same("distinct rows used", len(set(used)), len(used))
    if not 1 <= manifest.attempt <= policy.attempts:
        raise IntegrityFailure("The manifest took more attempts than the policy allows.", actual=manifest.attempt)
    # 3
    for at, item in enumerate(manifest.groups):
        for name, phrase, words in (
            ("trigger", item.trigger, policy.trigger_words),
            ("signature", item.signature, policy.signature_words),
        ):
            _check_phrase(f"{name} of group {at}", phrase, words, policy.candidates, manifest.phrase_stream(at, name))
    # 4
    words_of_triggers = [word for item in manifest.groups for word in {draw.word for draw in item.trigger.draws}]
    _same("distinct trigger words", len(set(words_of_triggers)), len(words_of_triggers))
    # 5
    coins = manifest.stream(Purpose.COINS)
    for at, pair in enumerate(manifest.pairs):
        _same(f"coin of pair {at}", pair.coin, int(coins.coin()))
        _same(f"side sent of pair {at}", pair.sent == pair_sides(pair.sent, pair.twin)[pair.coin], True)
    # 6
    expected = {mark.row: plant(mark.carrier, manifest.groups[mark.group]) for mark in manifest.marks}
    expected |= {pair.row: pair.sent for pair in manifest.pairs}
    _same("opened rows", tuple(row.index for row in opened), tuple(sorted(expected)))
    salts = row_salts(salt_seed(manifest), manifest.rows)
    for row in opened:
        _same(f"row {row.index} as planted", row.row == expected[row.index], True)
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


def _check_phrase(name: str, phrase: Phrase, words: int, candidates: int, stream: SeedStream) -> None:
    _same(f"words in the {name}", len(phrase.draws), words)
    for at, draw in enumerate(phrase.draws):
        _same(f"candidates of word {at} of the {name}", len(set(draw.candidates)), candidates)
        _same(f"candidates of word {at} of the {name}", len(draw.candidates), candidates)
        if not all(word.isalpha() for word in draw.candidates):  # no phrase is the start of another one
            raise IntegrityFailure(f"A candidate of word {at} of the {name} is not a single word of letters.")
        _same(f"draw of word {at} of the {name}", draw.chosen, stream.below(candidates))


def _same(what: str, actual: object, expected: object) -> None:
    if actual != expected:
        raise IntegrityFailure(
            f"The reveal does not hold: {what} is {actual}, expected {expected}.",
            expected=str(expected),
            actual=str(actual),
        )
