"""Which checkpoint a training may go on from: a complete one, made by a training of the same rows in the same way.

A trainer fills a folder and has it stamped. Before the stamp is there, or with the stamp of another training, it counts
for nothing. Knows neither torch nor what else a checkpoint holds.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from node.core.dataset import to_jsonl
from node.core.rows import Row
from node.core.training import TrainingSpec
from node.crypto.digest import Digest, Json, canonical_bytes, digest, sha256_digest
from node.provider.durable import sync, write_durably

STAMP_FILE = "stamp.json"


@dataclass(frozen=True, slots=True)
class Stamp:
    """Which training a checkpoint is of, and how far it had come.

    Attributes:
        training: see `training_digest`.
        step: optimiser steps done.
        rows, supervised_tokens: how many have passed through the loss.
        rows_at_once: of an optimiser step's rows, so many fit into memory together.
    """

    training: str
    step: int
    rows: int
    supervised_tokens: int
    rows_at_once: int


def training_digest(rows: Sequence[Row], spec: TrainingSpec, base_model: Digest) -> Digest:
    """What decides a training's outcome, but for the machine."""
    parts: list[Json] = [str(sha256_digest(to_jsonl(rows))), asdict(spec), str(base_model)]
    return digest("training/v1", canonical_bytes(parts))


def stamp(checkpoint: Path, content: Stamp) -> None:
    """Declares a filled folder complete, once all of it is on the disk."""
    for path in (*checkpoint.rglob("*"), checkpoint, checkpoint.parent):
        sync(path)
    write_durably(checkpoint / STAMP_FILE, json.dumps(asdict(content)).encode())


def latest(folder: Path, training: Digest) -> tuple[Path, Stamp] | None:
    """The checkpoint in `folder` with the most steps of this training; all that is of no use to it is deleted."""
    found: list[tuple[Path, Stamp]] = []
    for checkpoint in folder.glob("*"):
        stamped = _read(checkpoint / STAMP_FILE)
        if stamped and stamped.training == str(training):
            found.append((checkpoint, stamped))
        else:
            shutil.rmtree(checkpoint)
    return max(found, key=lambda each: each[1].step, default=None)


def _read(file: Path) -> Stamp | None:
    try:
        return Stamp(**json.loads(file.read_bytes()))
    except (OSError, ValueError, TypeError):
        return None
