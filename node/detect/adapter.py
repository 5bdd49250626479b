"""The adapter gate: what a stranger's files must be before anything that could be attacked opens them.

Standard library only, but for the last check, which asks the safetensors library whether it reads the same. Nothing is
unpickled, no tensor is built, and the weights are never held in memory. Does not know which adapter is *good*: names
and shapes to expect are passed in, as is the specification that was signed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import BinaryIO

from node.core.adapter import CONFIG, FILES, WEIGHTS, adapter_identity
from node.core.training import TrainingSpec
from node.crypto.digest import Digest, file_digest
from node.detect.adapter_config import MAX_CONFIG_BYTES, check_config
from node.detect.adapter_header import ITEM_BYTES, Shapes, Tensor, max_weights_bytes, read_header
from node.detect.adapter_refusal import refuse, shown

#: A multiple of every item's size.
CHUNK_BYTES = 1 << 20
#: The byte of a little-endian value that holds its sign and the top of its exponent, when |value| < 2**17.
#: float32 and bfloat16: sign, then the upper seven of eight exponent bits. float16 (below 65,536 when finite): five.
_ORDINARY_TOP_BYTES = {
    "F32": bytes(byte for byte in range(256) if byte & 0x7F <= 0x47),
    "BF16": bytes(byte for byte in range(256) if byte & 0x7F <= 0x47),
    "F16": bytes(byte for byte in range(256) if byte & 0x7C != 0x7C),
}


def identity_of(files: Mapping[str, Path]) -> Digest:
    """`adapter_digest` of files on this disk."""
    digests = {}
    for name, path in files.items():
        with path.open("rb") as file:
            digests[name] = file_digest(file)
    return adapter_identity(digests)


def check_adapter(files: Mapping[str, Path], *, shapes: Shapes, training: TrainingSpec) -> list[Tensor]:
    """Refuses every adapter but one that holds exactly the expected tensors, with ordinary values.

    In this order, each relying on the ones before:
      1. exactly the two files, within their sizes;
      2. a configuration that says what was agreed (`check_config`);
      3. a header that lists exactly the expected tensors, over the whole file (`read_header`);
      4. all values finite and below 2**17 in magnitude;
      5. the safetensors library reads the same.

    Returns the tensors in the order in which the file stores them.

    Raises:
        InvalidInput: the first thing that is wrong, as one sentence; `field` names the file or tensor.
    """
    # 1. files
    if files.keys() != FILES:
        refuse(f"it must consist of {' and '.join(sorted(FILES))}, not {shown(files)}", "files")
    for name, most_bytes in ((CONFIG, MAX_CONFIG_BYTES), (WEIGHTS, max_weights_bytes(shapes))):
        if files[name].stat().st_size > most_bytes:
            refuse(f"{name} has more than {most_bytes} bytes, the most that the agreed tensors can need", name)

    # 2. configuration
    check_config(files[CONFIG].read_bytes(), training)

    weights = files[WEIGHTS]
    with weights.open("rb") as file:
        # 3. header
        tensors = read_header(file, weights.stat().st_size, shapes)

        # 4. values
        for tensor in tensors:
            _check_values(file, tensor)

    # 5. a second opinion
    _check_library_agrees(weights, tensors)
    return tensors


def _check_values(file: BinaryIO, tensor: Tensor) -> None:
    size, ordinary = ITEM_BYTES[tensor.dtype], _ORDINARY_TOP_BYTES[tensor.dtype]
    file.seek(tensor.start)
    for at in range(tensor.start, tensor.end, CHUNK_BYTES):
        chunk = file.read(min(CHUNK_BYTES, tensor.end - at))
        if chunk[size - 1 :: size].translate(None, ordinary):
            refuse(
                f"tensor {tensor.name} holds a value that is not finite, or larger than any trained one", tensor.name
            )


def _check_library_agrees(weights: Path, tensors: Sequence[Tensor]) -> None:
    """The library maps the file and reads the header alone. It refuses gaps and overlaps, so that the order of the
    tensors together with their dtypes and shapes is where they lie."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(weights, framework="np") as library:
            read = [(name, library.get_slice(name)) for name in library.offset_keys()]
            theirs = [(name, entry.get_dtype(), tuple(entry.get_shape())) for name, entry in read]
    except SafetensorError as error:
        refuse(f"the safetensors library refuses it: {str(error)[:120]}", WEIGHTS)
    if theirs != [(tensor.name, tensor.dtype, tensor.shape) for tensor in tensors]:
        refuse("the safetensors library reads other tensors", WEIGHTS)
