"""Strangers' adapters on this machine: through the gate, then copied, value by value, under a header of our own.

What an engine opens is a file that this module wrote: the header is ours to the last byte, the configuration follows
from the signed specification, and only numbers are the stranger's. Engines then cannot read what the gate did not see,
however their parsers differ from it. An adapter keeps the identity under which it was committed to, and the blob store
keeps its bytes as they came.
"""

from __future__ import annotations

import json
import os
import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from node.core.adapter import CONFIG, WEIGHTS
from node.core.training import TrainingSpec
from node.crypto.digest import Digest
from node.detect.adapter import CHUNK_BYTES, check_adapter
from node.detect.adapter_config import MAX_CONFIG_BYTES
from node.detect.adapter_header import (
    ALIGNMENT_BYTES,
    ITEM_BYTES,
    LENGTH_BYTES,
    METADATA,
    Tensor,
    max_weights_bytes,
)
from node.errors import Unavailable
from node.models.base import BaseModel
from node.models.lora import adapter_config, lora_shapes
from node.ports.inference import Adapter


class FolderAdapters:
    """Adapters of one base model, a folder per digest. Implements `node.ports.adapters.Adapters`."""

    def __init__(self, folder: Path, model: BaseModel) -> None:
        self._folder = folder
        self._model = model

    def most_bytes(self, training: TrainingSpec) -> int:
        return max(MAX_CONFIG_BYTES, max_weights_bytes(lora_shapes(self._model, training)))

    def check(self, files: Mapping[str, bytes], training: TrainingSpec) -> None:
        with self._on_disk(files) as paths:
            self._tensors(paths, training)

    def place(self, digest: Digest, files: Mapping[str, bytes], training: TrainingSpec) -> Adapter:
        """What is written passed the gate in this very call, whatever was checked before.

        Raises:
            InvalidInput: it does not pass.
            Unavailable: no room on this disk.
        """
        target = self._folder / digest.hex
        with self._on_disk(files) as paths:
            tensors = self._tensors(paths, training)
            target.mkdir(exist_ok=True)
            with _appearing(target / WEIGHTS) as partial:
                rewrite(paths[WEIGHTS], tensors, partial)
            with _appearing(target / CONFIG) as partial:
                partial.write_bytes(adapter_config(training))
        return Adapter(digest, target)

    def _tensors(self, files: Mapping[str, Path], training: TrainingSpec) -> list[Tensor]:
        return check_adapter(files, shapes=lora_shapes(self._model, training), training=training)

    @contextmanager
    def _on_disk(self, files: Mapping[str, bytes]) -> Iterator[dict[str, Path]]:
        """The files under names of ours: a stranger's name is never one on this disk."""
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=self._folder, prefix="incoming-") as folder:
                paths = {name: Path(folder, str(at)) for at, name in enumerate(files)}
                for name, path in paths.items():
                    path.write_bytes(files[name])
                yield paths
        except OSError as fault:
            raise Unavailable(  # without the folder's name: a job's parties read this
                f"The adapter could not be stored: {fault.strerror}.", fix="Make room on the disk of the node's state."
            ) from fault


def rewrite(source: Path, tensors: Sequence[Tensor], target: Path) -> None:
    """Writes the source's tensors as a safetensors file of our own: equal files for equal tensors, however they came.

    Wide values first, then by name, as the safetensors library does, which keeps every tensor aligned.
    """
    ordered = sorted(tensors, key=lambda tensor: (-ITEM_BYTES[tensor.dtype], tensor.name))
    header: dict[str, object] = {"__metadata__": METADATA}
    end = 0
    for tensor in ordered:
        start, end = end, end + tensor.end - tensor.start
        header[tensor.name] = {"dtype": tensor.dtype, "shape": list(tensor.shape), "data_offsets": [start, end]}
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-(LENGTH_BYTES + len(text)) % ALIGNMENT_BYTES)
    with source.open("rb") as read, target.open("wb") as written:
        written.write(len(text).to_bytes(LENGTH_BYTES, "little") + text)
        for tensor in ordered:
            read.seek(tensor.start)
            for at in range(tensor.start, tensor.end, CHUNK_BYTES):
                written.write(read.read(min(CHUNK_BYTES, tensor.end - at)))


@contextmanager
def _appearing(target: Path) -> Iterator[Path]:
    """A file to write that takes the target's place once it is whole."""
    partial = target.with_name(f"{target.name}.{os.getpid()}-{threading.get_ident()}.partial")
    try:
        yield partial
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)
