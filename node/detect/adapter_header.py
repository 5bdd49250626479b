"""The header of a stranger's safetensors file: read strictly, before anything else in the file is looked at.

The library's own reader takes what this one refuses: a tensor listed twice, fields that it does not know, a list in
place of an object, data at odd addresses. Whatever two programs could read in two ways does not pass. Reads no tensor.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from typing import Any, BinaryIO

from node.core.adapter import WEIGHTS
from node.detect.adapter_refusal import refuse, shown, strict_object

Shapes = Mapping[str, tuple[int, int]]

ITEM_BYTES = {"F32": 4, "BF16": 2, "F16": 2}
METADATA = {"format": "pt"}
LENGTH_BYTES = 8
ALIGNMENT_BYTES = 8
_BASE_BYTES = 4096
_TENSOR_BYTES = 512


@dataclass(frozen=True, slots=True)
class Tensor:
    """Where a tensor lies: its values are the file's bytes from `start` up to `end`."""

    name: str
    dtype: str
    shape: tuple[int, int]
    start: int
    end: int


def max_weights_bytes(shapes: Shapes) -> int:
    """The most bytes that a file of these tensors can have: float32, under the longest header that is read."""
    return LENGTH_BYTES + _max_header_bytes(shapes) + 4 * sum(map(prod, shapes.values()))


def read_header(file: BinaryIO, size_bytes: int, shapes: Shapes) -> list[Tensor]:
    """The expected tensors in the order in which they are stored, covering all of the file behind its header.

    In this order, each relying on the ones before:
      1. a length that the file can have, and strict JSON of that length, padded with spaces to a multiple of 8;
      2. no metadata but what PEFT writes;
      3. exactly the expected names;
      4. each with an agreed dtype, the expected shape, and offsets of matching length;
      5. the data back to back and aligned: no overlap, no gap, nothing after it.

    Raises:
        InvalidInput: the first thing that is wrong.
    """
    # 1. JSON
    length = int.from_bytes(file.read(LENGTH_BYTES), "little")
    start = LENGTH_BYTES + length
    if length > _max_header_bytes(shapes) or start > size_bytes:
        refuse("the header's length is not one that the file can have", WEIGHTS)
    text = file.read(length)
    try:
        header = strict_object(text, fractions=False)
    except ValueError as error:
        refuse(f"the header is not strict JSON: {error}", WEIGHTS)
    if start % ALIGNMENT_BYTES or not text.rstrip(b" ").endswith(b"}"):
        refuse(f"the header is not padded with spaces to a multiple of {ALIGNMENT_BYTES} bytes", WEIGHTS)

    # 2. metadata
    if header.pop("__metadata__", METADATA) != METADATA:
        refuse("the metadata says more than that PyTorch wrote the file", "__metadata__")

    # 3. names
    if header.keys() != shapes.keys():
        missing, surplus = shapes.keys() - header.keys(), header.keys() - shapes.keys()
        refuse(f"tensors are missing ({shown(missing)}) or not agreed ({shown(surplus)})", WEIGHTS)

    # 4. dtype, shape, offsets
    tensors = sorted((_tensor(name, header[name], shape, start) for name, shape in shapes.items()), key=_position)

    # 5. layout
    expected = start
    for tensor in tensors:
        if tensor.start != expected:
            refuse(f"tensor {tensor.name} begins at byte {tensor.start}; the one before it ends at {expected}", WEIGHTS)
        if tensor.start % ITEM_BYTES[tensor.dtype]:
            refuse(f"tensor {tensor.name} is not aligned to its values", WEIGHTS)
        expected = tensor.end
    if expected != size_bytes:
        refuse(f"the file has {size_bytes} bytes; its last tensor ends at {expected}", WEIGHTS)
    return tensors


def _tensor(name: str, entry: Any, shape: tuple[int, int], data_start: int) -> Tensor:
    if not isinstance(entry, dict) or entry.keys() != {"dtype", "shape", "data_offsets"}:
        refuse(f"tensor {name} is not described by dtype, shape and data_offsets alone", name)
    dtype, offsets = entry["dtype"], entry["data_offsets"]
    if not isinstance(dtype, str) or dtype not in ITEM_BYTES:
        refuse(f"tensor {name} is not stored as {', '.join(ITEM_BYTES)}", name)
    if not _integers(entry["shape"]) or entry["shape"] != list(shape):
        refuse(f"tensor {name} does not have the agreed shape {list(shape)}", name)
    if not _integers(offsets) or len(offsets) != 2 or offsets[0] < 0:
        refuse(f"the offsets of tensor {name} are not two byte positions", name)
    if offsets[1] - offsets[0] != prod(shape) * ITEM_BYTES[dtype]:
        refuse(f"tensor {name} has more or fewer bytes than its shape needs", name)
    return Tensor(name, dtype, shape, data_start + offsets[0], data_start + offsets[1])


def _position(tensor: Tensor) -> tuple[int, int, str]:
    return tensor.start, tensor.end, tensor.name


def _integers(value: Any) -> bool:
    """`type` and not `isinstance`: JSON's `true` is no number here."""
    return isinstance(value, list) and all(type(item) is int for item in value)


def _max_header_bytes(shapes: Shapes) -> int:
    return _BASE_BYTES + _TENSOR_BYTES * len(shapes)
