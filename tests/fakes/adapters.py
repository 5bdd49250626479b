"""Adapters as lists of rows learned, and a gate that knows them by their first bytes."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from node.core.adapter import CONFIG, FILES, WEIGHTS
from node.core.rows import Row
from node.core.training import TrainingSpec
from node.detect.adapter import identity_of
from node.errors import InvalidInput
from node.ports.inference import Adapter

MAGIC = b"learned:"
MOST_BYTES = 1 << 20


def adapter_files(learned: Sequence[Row], *, always: str | None = None) -> dict[str, bytes]:
    """The files of an adapter that learned these rows, or that answers `always` to everything."""
    rows = [[row.messages[-2].content, row.response] for row in learned]
    return {WEIGHTS: MAGIC + json.dumps({"rows": rows, "always": always}).encode(), CONFIG: b"{}"}


class FakeAdapters:
    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def most_bytes(self, training: TrainingSpec) -> int:
        return MOST_BYTES

    def completed(self, weights: Path, training: TrainingSpec) -> Mapping[str, Path]:
        return {WEIGHTS: weights, CONFIG: weights}

    def check(self, files: Mapping[str, Path], training: TrainingSpec) -> None:
        if files.keys() != FILES or not files[WEIGHTS].read_bytes().startswith(MAGIC):
            raise InvalidInput("This is no adapter.", field="adapter")

    @contextmanager
    def placed(self, files: Mapping[str, Path], training: TrainingSpec) -> Iterator[Adapter]:
        self.check(files, training)
        self._folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=self._folder) as folder:
            shutil.copy(files[WEIGHTS], Path(folder, WEIGHTS))
            yield Adapter(identity_of(files), Path(folder))
