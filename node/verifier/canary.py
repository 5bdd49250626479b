"""An adapter of our own that is sure to change a model: proof that an engine applies adapters at all.

Random from a seed, so that it repeats. Has learnt nothing and is never evidence about a provider.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from node.core.adapter import CONFIG, WEIGHTS, adapter_digest
from node.core.training import TrainingSpec
from node.models.lora import adapter_config
from node.ports.inference import Adapter

#: Standard deviation of B. On unit-variance inputs a projection's output moves by about this times alpha / sqrt(rank).
STRENGTH = 0.1


def make_canary(shapes: Mapping[str, tuple[int, int]], spec: TrainingSpec, folder: Path, *, seed: int) -> Adapter:
    """Writes a canary of these shapes (`node.models.lora.lora_shapes`) into `folder`: equal bytes for equal seeds."""
    import numpy
    from safetensors.numpy import save

    random = numpy.random.Generator(numpy.random.PCG64(seed))
    tensors = {
        name: random.standard_normal(shape, dtype=numpy.float32)
        * numpy.float32(shape[1] ** -0.5 if ".lora_A." in name else STRENGTH)
        for name, shape in sorted(shapes.items())
    }
    files = {WEIGHTS: save(tensors, metadata={"format": "pt"}), CONFIG: adapter_config(spec)}
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in files.items():
        (folder / name).write_bytes(data)
    return Adapter(adapter_digest(files), folder)
