"""Strangers' adapters on this machine: through the gate, then copied, value by value, under a header of our own.

What an engine opens is a file that this module wrote: the header is ours to the last byte, the configuration follows
from the signed specification, and only numbers are the stranger's. Engines then cannot read what the gate did not see,
however their parsers differ from it. An adapter keeps the identity under which it was committed to, and the blob store
keeps its bytes as they came.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from node.core.adapter import CONFIG, WEIGHTS
from node.core.training import TrainingSpec
from node.crypto.digest import sha256_digest
from node.detect.adapter import CHUNK_BYTES, check_adapter, identity_of
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
    """Adapters of one base model. Implements `node.ports.adapters.Adapters`.

    Args:
        folder: where they are placed; what a process that died leaves there is its owner's to remove.
    """

    def __init__(self, folder: Path, model: BaseModel) -> None:
        self._folder = folder
        self._model = model

    def most_bytes(self, training: TrainingSpec) -> int:
        return max(MAX_CONFIG_BYTES, max_weights_bytes(lora_shapes(self._model, training)))

    def completed(self, weights: Path, training: TrainingSpec) -> Mapping[str, Path]:
        content = adapter_config(training)
        config = self._folder / f"{sha256_digest(content).hex}.json"
        with _stored():
            self._folder.mkdir(parents=True, exist_ok=True)
            if not config.exists():  # complete, once it has its name
                with tempfile.NamedTemporaryFile(dir=self._folder, delete=False) as partial:
                    partial.write(content)
                Path(partial.name).replace(config)
        return {WEIGHTS: weights, CONFIG: config}

    def check(self, files: Mapping[str, Path], training: TrainingSpec) -> None:
        check_adapter(files, shapes=lora_shapes(self._model, training), training=training)

    @contextmanager
    def placed(self, files: Mapping[str, Path], training: TrainingSpec) -> Iterator[Adapter]:
        """What is written passed the gate in this very call, whatever was checked before. Each use has a folder of its
        own: two jobs may be about the same adapter at the same time.
        """
        tensors = check_adapter(files, shapes=lora_shapes(self._model, training), training=training)
        identity = identity_of(files)
        with ExitStack() as until_used:
            with _stored():
                self._folder.mkdir(parents=True, exist_ok=True)
                folder = Path(until_used.enter_context(tempfile.TemporaryDirectory(dir=self._folder)))
                rewrite(files[WEIGHTS], tensors, folder / WEIGHTS)
                (folder / CONFIG).write_bytes(adapter_config(training))
            yield Adapter(identity, folder)


@contextmanager
def _stored() -> Iterator[None]:
    """Raises Unavailable where a disk has no room, without the folder's name: a job's parties read this."""
    try:
        yield
    except OSError as fault:
        raise Unavailable(
            f"The adapter could not be stored: {fault.strerror}.", fix="Make room on the disk for temporary files."
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
