"""Checkpoints of others' logs that a party keeps in its home, a file each, and proofs of equivocation beside them.

A checkpoint that a later one was proven to extend is dropped: the later one stands for it.
"""

from __future__ import annotations

from pathlib import Path

from node.core import equivocation
from node.core.checkpoint import Checkpoint, open_checkpoint
from node.core.equivocation import Equivocation
from node.core.receipt import Trust
from node.crypto.digest import canonical_bytes, parse_canonical, sha256_digest
from node.crypto.signing import Envelope
from node.errors import IntegrityFailure
from node.storage.keys import replace_file


class KeptCheckpoints:
    """What a home keeps of the logs that `trust` pins."""

    def __init__(self, home: Path, trust: Trust) -> None:
        self._folder = home / "checkpoints"
        self._proofs = home / "equivocations"
        self._trust = trust

    def all(self) -> list[Envelope]:
        """Every checkpoint kept of these logs, the smallest first."""
        files = sorted(self._folder.glob("*.json"))
        envelopes = [Envelope.from_json(parse_canonical(file.read_bytes())) for file in files]
        known = [envelope for envelope in envelopes if envelope.signer in self._trust.logs]
        return sorted(known, key=lambda envelope: self._open(envelope).size)

    def keep(self, envelope: Envelope) -> None:
        """Adds a checkpoint that somebody showed.

        Raises:
            UnknownSigner: it is of a log that is not trusted.
            IntegrityFailure: it contradicts one that is kept; the message names the file that proves it.
        """
        seen = self._open(envelope)
        for other in self.all():
            kept = self._open(other)
            if (kept.origin, kept.size) == (seen.origin, seen.size) and kept.root != seen.root:
                file = self.prove(equivocation.to_bytes(Equivocation(other, envelope)))
                raise contradicted(seen.origin, file)
        replace_file(self._file(envelope), canonical_bytes(envelope.to_json()))

    def stand_for(self, envelope: Envelope) -> None:
        """Keeps this checkpoint alone: it was proven to extend all others of its log."""
        replace_file(self._file(envelope), canonical_bytes(envelope.to_json()))
        for other in self.all():
            if other.signer == envelope.signer and other != envelope:
                self._file(other).unlink()

    def prove(self, proof: bytes) -> Path:
        """Writes a proof of equivocation; returns its file."""
        file = self._proofs / f"{sha256_digest(proof).hex[:16]}.json"
        replace_file(file, proof)
        return file

    def _open(self, envelope: Envelope) -> Checkpoint:
        return open_checkpoint(envelope, logs=self._trust.logs)

    def _file(self, envelope: Envelope) -> Path:
        return self._folder / f"{envelope.digest.hex[:32]}.json"


def contradicted(origin: str, file: Path) -> IntegrityFailure:
    """What is said of a log that was caught."""
    return IntegrityFailure(
        f"The log of {origin} signed two histories: {file} proves it to anybody.",
        fix=f"Deal with this coordinator no more; show others `hallmark log verify {file}`.",
        actual=str(file),
    )
