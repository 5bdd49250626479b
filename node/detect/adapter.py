"""The adapter gate: what a stranger's files must be before anything that could be attacked opens them.

Standard library only, but for the last check, which asks the safetensors library whether it reads the same. Nothing is
unpickled and no tensor is built. Does not know which adapter is *good*: names and shapes to expect are passed in.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from math import prod
from typing import Any, NoReturn

from node.core.adapter import CONFIG, FILES, WEIGHTS
from node.errors import InvalidInput

Shapes = Mapping[str, tuple[int, int]]

MAX_CONFIG_BYTES = 64 * 1024
_LENGTH_BYTES = 8
_HEADER_BASE_BYTES = 4096
_HEADER_TENSOR_BYTES = 512
_ITEM_BYTES = {"F32": 4, "BF16": 2, "F16": 2}
#: The byte of a little-endian value that holds its sign and the top of its exponent, when |value| < 2**17.
#: float32 and bfloat16: sign, then the upper seven of eight exponent bits. float16 (below 65,536 when finite): five.
_ORDINARY_TOP_BYTES = {
    "F32": bytes(byte for byte in range(256) if byte & 0x7F <= 0x47),
    "BF16": bytes(byte for byte in range(256) if byte & 0x7F <= 0x47),
    "F16": bytes(byte for byte in range(256) if byte & 0x7C != 0x7C),
}


def max_adapter_bytes(shapes: Shapes) -> int:
    """The most bytes that both files together may have: the cap for an upload while it is still arriving."""
    return MAX_CONFIG_BYTES + _LENGTH_BYTES + _max_header_bytes(shapes) + 4 * sum(map(prod, shapes.values()))


def check_adapter(files: Mapping[str, bytes], *, shapes: Shapes) -> None:
    """Refuses every adapter but one that holds exactly the expected tensors, with ordinary values.

    In this order, each relying on the ones before:
      1. exactly the two files, within their sizes;
      2. a header of plausible length: UTF-8 JSON, no key twice, only integers as numbers;
      3. exactly the expected tensor names;
      4. each with an agreed dtype, the expected shape, and offsets of matching length;
      5. the data back to back: no overlap, no gap, nothing after it;
      6. all values finite and below 2**17 in magnitude;
      7. the safetensors library reads the same.
    The configuration is not read at all: ours takes its place.

    Raises:
        InvalidInput: the first thing that is wrong, as one sentence; `field` names the file or tensor.
    """
    # 1. files
    if files.keys() != FILES:
        _refuse(f"it must consist of {' and '.join(sorted(FILES))}, not {_names(files)}", "files")
    if len(files[CONFIG]) > MAX_CONFIG_BYTES:
        _refuse(f"its configuration has more than {MAX_CONFIG_BYTES} bytes", CONFIG)
    weights = files[WEIGHTS]
    if len(weights) > max_adapter_bytes(shapes) - MAX_CONFIG_BYTES:
        _refuse("its weights are larger than the agreed tensors can be", WEIGHTS)

    # 2. header
    header, data_start = _header(weights, _max_header_bytes(shapes))

    # 3. names
    if header.keys() != shapes.keys():
        missing, surplus = shapes.keys() - header.keys(), header.keys() - shapes.keys()
        _refuse(f"tensors are missing ({_names(missing)}) or not agreed ({_names(surplus)})", WEIGHTS)

    # 4. dtype, shape, offsets
    spans = sorted((*_span(name, header[name], shapes[name]), name) for name in header)

    # 5. layout
    end_before = 0
    for start, end, name in spans:
        if start != end_before:
            _refuse(f"tensor {name} starts at byte {start}; the one before it ends at {end_before}", name)
        end_before = end
    if data_start + end_before != len(weights):
        _refuse("the file does not end where its last tensor ends", WEIGHTS)

    # 6. values
    for start, end, name in spans:
        dtype = header[name]["dtype"]
        size = _ITEM_BYTES[dtype]
        top_bytes = weights[data_start + start + size - 1 : data_start + end : size]
        if top_bytes.translate(None, _ORDINARY_TOP_BYTES[dtype]):
            _refuse(f"tensor {name} holds a value that is not finite, or larger than any trained one", name)

    # 7. a second opinion
    _check_library_agrees(weights, header, {name: (data_start + at, data_start + to) for at, to, name in spans})


def _max_header_bytes(shapes: Shapes) -> int:
    return _HEADER_BASE_BYTES + _HEADER_TENSOR_BYTES * len(shapes)


def _header(weights: bytes, max_bytes: int) -> tuple[dict[str, Any], int]:
    """The tensors' entries, and where the data starts."""
    length = int.from_bytes(weights[:_LENGTH_BYTES], "little")
    data_start = _LENGTH_BYTES + length
    if len(weights) < _LENGTH_BYTES or length > max_bytes or data_start > len(weights):
        _refuse("the header's length is not one that the file can have", WEIGHTS)
    text = weights[_LENGTH_BYTES:data_start]
    if not text.startswith(b"{"):
        _refuse("the header does not start with an object", WEIGHTS)
    try:
        header = json.loads(
            text.decode(), object_pairs_hook=_object, parse_float=_refuse_number, parse_constant=_refuse_number
        )
    except (ValueError, RecursionError) as error:
        _refuse(f"the header is not strict JSON ({str(error)[:80]})", WEIGHTS)
    metadata = header.pop("__metadata__", {})
    if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
        _refuse("the metadata is not a map of texts", "__metadata__")
    return header, data_start


def _span(name: str, tensor: Any, shape: tuple[int, int]) -> tuple[int, int]:
    if not isinstance(tensor, dict) or tensor.keys() != {"dtype", "shape", "data_offsets"}:
        _refuse(f"tensor {name} is not described by dtype, shape and data_offsets alone", name)
    if tensor["dtype"] not in list(_ITEM_BYTES):
        _refuse(f"tensor {name} is not stored as {', '.join(_ITEM_BYTES)}", name)
    if not _integers(tensor["shape"]) or tensor["shape"] != list(shape):
        _refuse(f"tensor {name} does not have the agreed shape {list(shape)}", name)
    offsets = tensor["data_offsets"]
    if not _integers(offsets) or len(offsets) != 2 or offsets[0] < 0:
        _refuse(f"the offsets of tensor {name} are not two byte positions", name)
    if offsets[1] - offsets[0] != prod(shape) * _ITEM_BYTES[tensor["dtype"]]:
        _refuse(f"tensor {name} has more or fewer bytes than its shape needs", name)
    return offsets[0], offsets[1]


def _check_library_agrees(weights: bytes, header: dict[str, Any], spans: Mapping[str, tuple[int, int]]) -> None:
    from safetensors import SafetensorError, deserialize

    try:
        tensors = dict(deserialize(weights))  # type: ignore[no-untyped-call]
    except SafetensorError as error:
        _refuse(f"the safetensors library refuses it: {error}", WEIGHTS)
    for name, (start, end) in spans.items():
        read = tensors.pop(name, None)
        ours = (header[name]["dtype"], header[name]["shape"], weights[start:end])
        if read is None or (read["dtype"], read["shape"], bytes(read["data"])) != ours:
            _refuse(f"the safetensors library reads tensor {name} otherwise", name)
    if tensors:
        _refuse(f"the safetensors library finds more tensors: {_names(tensors)}", WEIGHTS)


def _integers(value: Any) -> bool:
    """`type` and not `isinstance`: JSON's `true` is no number here."""
    return isinstance(value, list) and all(type(item) is int for item in value)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key appears twice")
    return found


def _refuse_number(spelling: str) -> NoReturn:
    raise ValueError(f"{spelling} is not an integer")


def _names(names: Any) -> str:
    """A stranger's names for a person's eyes: few, short, and without control characters."""
    shown = [ascii(str(name)[:60]) for name in sorted(names)[:3]]
    return ", ".join([*shown, "..."] if len(names) > len(shown) else shown) or "none"


def _refuse(reason: str, field: str) -> NoReturn:
    raise InvalidInput(
        f"The adapter is refused: {reason}.",
        fix="Hand in what PEFT saves after training on the agreed specification.",
        field=field,
    )
