"""Strangers' adapters on this machine: through the gate, then into a folder with a configuration of ours."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from node.core.adapter import CONFIG, WEIGHTS
from node.core.training import TrainingSpec
from node.crypto.digest import Digest
from node.detect.adapter import check_adapter
from node.errors import Unavailable
from node.models.base import BaseModel
from node.models.lora import adapter_config, lora_shapes
from node.ports.inference import Adapter


class FolderAdapters:
    """Adapters of one base model, a folder per digest. Implements `node.ports.adapters.Adapters`."""

    def __init__(self, folder: Path, model: BaseModel) -> None:
        self._folder = folder
        self._model = model

    def check(self, files: Mapping[str, bytes], training: TrainingSpec) -> None:
        check_adapter(files, shapes=lora_shapes(self._model, training))

    def place(self, digest: Digest, files: Mapping[str, bytes], training: TrainingSpec) -> Adapter:
        target = self._folder / digest.hex
        try:
            target.mkdir(parents=True, exist_ok=True)
            for name, data in ((WEIGHTS, files[WEIGHTS]), (CONFIG, adapter_config(training))):
                partial = target / f"{name}.{os.getpid()}.partial"
                partial.write_bytes(data)
                partial.replace(target / name)
        except OSError as fault:
            raise Unavailable(
                f"The adapter could not be stored in {self._folder}: {fault.strerror}.", fix="Make room on that disk."
            ) from fault
        return Adapter(digest, target)
