from __future__ import annotations

import json
import random
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import save

from node.core.adapter import CONFIG, WEIGHTS
from node.detect.adapter import MAX_CONFIG_BYTES, check_adapter, max_adapter_bytes
from node.errors import InvalidInput

A, B = "base_model.model.q.lora_A.weight", "base_model.model.q.lora_B.weight"
SHAPES = {A: (2, 3), B: (4, 2)}
BYTES = {A: 24, B: 32}
DATA = struct.pack("<14f", *range(1, 15))

Header = dict[str, Any]


def header(**changes: Any) -> Header:
    """A good header; `A_dtype="I8"` and the like change one entry."""
    good: Header = {
        A: {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]},
        B: {"dtype": "F32", "shape": [4, 2], "data_offsets": [24, 56]},
    }
    for name, value in changes.items():
        tensor, _, field = name.partition("_")
        good[{"A": A, "B": B}[tensor]][field] = value
    return good


def weights(head: Header | str | bytes, data: bytes = DATA, *, length: int | None = None) -> bytes:
    raw = head if isinstance(head, bytes) else (head if isinstance(head, str) else json.dumps(head)).encode()
    return struct.pack("<Q", len(raw) if length is None else length) + raw + data


def files(blob: bytes, config: bytes = b"{}") -> dict[str, bytes]:
    return {WEIGHTS: blob, CONFIG: config}


def without(name: str, field: str) -> Header:
    head = header()
    del head[name][field]
    return head


def with_value(at: int, value: bytes) -> bytes:
    return weights(header(), DATA[:at] + value + DATA[at + len(value) :])


def spelled(old: str, new: str) -> bytes:
    text = json.dumps(header())
    assert old in text
    return weights(text.replace(old, new))


def half(dtype: str, value: bytes) -> bytes:
    head = header(A_dtype=dtype, A_data_offsets=[0, 12], B_data_offsets=[12, 44])
    return weights(head, value + b"\0\x3c" * 5 + DATA[24:])


F32 = struct.Struct("<f").pack
BIG = 2**70

MALFORMED: dict[str, Mapping[str, bytes]] = {
    # which files
    "no files": {},
    "no configuration": {WEIGHTS: weights(header())},
    "no weights": {CONFIG: b"{}"},
    "a third file": {**files(weights(header())), "tokenizer.json": b"{}"},
    "pickled weights": {"adapter_model.bin": b"\x80\x02.", CONFIG: b"{}"},
    "pickled weights beside the real ones": {**files(weights(header())), "adapter_model.bin": b"\x80\x02."},
    "a path in a file name": {"../adapter_model.safetensors": weights(header()), CONFIG: b"{}"},
    "a name in capitals": {"ADAPTER_MODEL.safetensors": weights(header()), CONFIG: b"{}"},
    "an endless configuration": files(weights(header()), b"{" * (MAX_CONFIG_BYTES + 1)),
    "weights far too large": files(weights(header(), DATA + bytes(100_000))),
    # the header's length
    "empty weights": files(b""),
    "seven bytes": files(b"\2\0\0\0\0\0\0"),
    "a length and nothing else": files(struct.pack("<Q", 2)),
    "a header of no bytes": files(weights(b"")),
    "a header longer than the file": files(weights(header(), length=10_000)),
    "a header of 2**63 bytes": files(weights(header(), length=2**63)),
    "a header of 2**64 - 1 bytes": files(weights(header(), length=2**64 - 1)),
    "a header one byte short": files(weights(header(), length=len(json.dumps(header())) - 1)),
    "a header one byte long": files(weights(header(), length=len(json.dumps(header())) + 1)),
    "a header padded beyond its limit": files(weights(json.dumps(header()) + " " * 6000)),
    "a zip archive": files(b"PK\x03\x04" + bytes(60)),
    "a pickle under the right name": files(b"\x80\x04\x95" + bytes(60)),
    "an HTML page": files(b"<html><body>404</body></html>" + bytes(60)),
    # the header as JSON
    "a header that is no JSON": files(weights("{not json}")),
    "a list as header": files(weights("[]")),
    "a text as header": files(weights('"x"')),
    "a header behind a space": files(weights(" " + json.dumps(header()))),
    "a header behind a byte order mark": files(weights("\ufeff" + json.dumps(header()))),
    "a header in UTF-16": files(weights(json.dumps(header()).encode("utf-16-le"))),
    "broken UTF-8": files(weights(json.dumps(header()).encode().replace(b"q", b"\xff", 1))),
    "text after the header's object": files(weights(json.dumps(header()) + "{}")),
    "a tensor twice": files(weights(json.dumps(header())[:-1] + f', "{A}": {json.dumps(header()[A])}}}')),
    "a tensor twice in two spellings": files(
        weights(json.dumps(header())[:-1] + f', "\\u0062{A[1:]}": {json.dumps(header()[A])}}}')
    ),
    "a field twice": files(spelled('"dtype": "F32"', '"dtype": "I8", "dtype": "F32"')),
    "metadata twice": files(weights('{"__metadata__": {}, "__metadata__": {}, ' + json.dumps(header())[1:])),
    "brackets without end": files(weights('{"a":' + "[" * 4000 + "]" * 1000)),
    "objects without end": files(weights('{"a":' * 900)),
    "not a number in the header": files(spelled("[24, 56]", "[24, NaN]")),
    "infinity in the header": files(spelled("[24, 56]", "[24, Infinity]")),
    "an offset of 1e400": files(spelled("[24, 56]", "[24, 1e400]")),
    "an integer of 5,000 digits": files(spelled("[24, 56]", "[24, " + "9" * 4500 + "]")),
    "metadata that is a list": files(weights({"__metadata__": [], **header()})),
    "metadata that holds a number": files(weights({"__metadata__": {"rank": 32}, **header()})),
    "metadata that is null": files(weights({"__metadata__": None, **header()})),
    # which tensors
    "no tensors": files(weights({}, b"")),
    "a tensor missing": files(weights({A: header()[A]}, DATA[:24])),
    "a tensor too many": files(weights({**header(), "x": {"dtype": "F32", "shape": [0], "data_offsets": [56, 56]}})),
    "an output head": files(
        weights(
            {
                **header(),
                "base_model.model.lm_head.weight": {"dtype": "F32", "shape": [1, 1], "data_offsets": [56, 60]},
            },
            DATA + bytes(4),
        )
    ),
    "an embedding": files(
        weights(
            {**header(), "base_model.model.model.embed_tokens.weight": header(A_data_offsets=[56, 80])[A]},
            DATA + DATA[:24],
        )
    ),
    "a module to save": files(
        weights(
            {**header(), "base_model.model.norm.modules_to_save.weight": header(A_data_offsets=[56, 80])[A]},
            DATA + DATA[:24],
        )
    ),
    "a bias": files(
        weights(
            {**header(), "base_model.model.q.lora_B.bias": {"dtype": "F32", "shape": [1], "data_offsets": [56, 60]}},
            DATA + bytes(4),
        )
    ),
    "a DoRA magnitude": files(
        weights(
            {**header(), "base_model.model.q.lora_magnitude_vector": header(A_data_offsets=[56, 80])[A]},
            DATA + DATA[:24],
        )
    ),
    "a tensor without a name": files(weights({"": header()[A], B: header()[B]})),
    "a name with a NUL byte": files(weights({A + "\0": header()[A], B: header()[B]})),
    "a name with terminal codes": files(weights({"\x1b[2J": header()[A], B: header()[B]})),
    "a name with a lone surrogate": files(spelled(A, A + "\\ud800")),
    "a name in look-alike letters": files(weights({A.replace("a", "\u0430"): header()[A], B: header()[B]})),
    "the names exchanged": files(weights({B: header()[A], A: header()[B]})),
    # dtype and shape
    "eight-bit integers": files(weights(header(A_dtype="I8"))),
    "double precision": files(weights(header(A_dtype="F64"))),
    "eight-bit floats": files(weights(header(A_dtype="F8_E4M3"))),
    "a dtype in lower case": files(weights(header(A_dtype="f32"))),
    "a dtype that is a list": files(weights(header(A_dtype=["F32"]))),
    "a dtype that is null": files(weights(header(A_dtype=None))),
    "no dtype": files(weights(without(A, "dtype"))),
    "no shape": files(weights(without(A, "shape"))),
    "no offsets": files(weights(without(A, "data_offsets"))),
    "a field too many": files(weights(header(A_requires_grad=True))),
    "a tensor that is a list": files(weights({**header(), A: ["F32", [2, 3], [0, 24]]})),
    "a tensor that is null": files(weights({**header(), A: None})),
    "a greater rank": files(weights(header(A_shape=[3, 3], A_data_offsets=[0, 36], B_data_offsets=[36, 68]), DATA * 2)),
    "a transposed shape": files(weights(header(A_shape=[3, 2]))),
    "a flat shape": files(weights(header(A_shape=[6]))),
    "a third dimension": files(weights(header(A_shape=[1, 2, 3]))),
    "no dimensions": files(weights(header(A_shape=[]))),
    "a negative dimension": files(weights(header(A_shape=[-2, -3]))),
    "a dimension of 2**70": files(weights(header(A_shape=[BIG, 3]))),
    "a dimension that is true": files(weights(header(A_shape=[True, 3]))),
    "a dimension that is a text": files(weights(header(A_shape=["2", 3]))),
    "a fractional dimension": files(weights(header(A_shape=[2.0, 3]))),
    # offsets
    "one offset": files(weights(header(A_data_offsets=[0]))),
    "three offsets": files(weights(header(A_data_offsets=[0, 24, 24]))),
    "offsets that are a text": files(weights(header(A_data_offsets="0-24"))),
    "offsets that are null": files(weights(header(A_data_offsets=None))),
    "offsets that are true and false": files(weights(header(A_data_offsets=[False, True]))),
    "offsets in reverse": files(weights(header(A_data_offsets=[24, 0]))),
    "a negative offset": files(weights(header(A_data_offsets=[-24, 0]))),
    "an offset of 2**70": files(weights(header(A_data_offsets=[BIG, BIG + 24]))),
    "two tensors over the same bytes": files(weights(header(B_data_offsets=[0, 32]), DATA[:32])),
    "two tensors that overlap": files(weights(header(B_data_offsets=[20, 52]), DATA[:52])),
    "a gap between tensors": files(weights(header(B_data_offsets=[28, 60]), DATA + bytes(4))),
    "a gap before the first tensor": files(
        weights(header(A_data_offsets=[4, 28], B_data_offsets=[28, 60]), DATA + bytes(4))
    ),
    "a tensor with too few bytes": files(weights(header(A_data_offsets=[0, 20], B_data_offsets=[20, 52]), DATA[:52])),
    "a tensor beyond the end": files(weights(header(), DATA[:-4])),
    "no data": files(weights(header(), b"")),
    "a byte after the data": files(weights(header(), DATA + b"\0")),
    "a hidden archive after the data": files(weights(header(), DATA + b"PK\x03\x04")),
    # values
    "not a number": files(with_value(0, F32(float("nan")))),
    "not a number in the last value": files(with_value(52, F32(float("nan")))),
    "a signalling not-a-number": files(with_value(8, b"\1\0\x80\x7f")),
    "infinity": files(with_value(4, F32(float("inf")))),
    "negative infinity": files(with_value(24, F32(float("-inf")))),
    "the largest float": files(with_value(4, F32(3.4e38))),
    "a value of 2**17": files(with_value(4, F32(-(2.0**17)))),
    "infinity in bfloat16": files(half("BF16", b"\x80\x7f")),
    "not a number in bfloat16": files(half("BF16", b"\xc0\xff")),
    "infinity in float16": files(half("F16", b"\x00\x7c")),
    "not a number in float16": files(half("F16", b"\x01\xfc")),
}


@pytest.mark.parametrize("case", MALFORMED)
def test_a_malformed_adapter_is_refused_with_a_reason(case: str) -> None:
    began = time.monotonic()
    with pytest.raises(InvalidInput, match=r"^The adapter is refused: ") as refusal:
        check_adapter(MALFORMED[case], shapes=SHAPES)
    assert time.monotonic() - began < 2
    assert refusal.value.message.isprintable()
    assert len(refusal.value.message) < 500
    assert refusal.value.facts["field"]


def test_there_are_enough_malformed_adapters() -> None:
    assert len(MALFORMED) >= 60


@pytest.mark.parametrize("seed", range(50))
def test_an_honest_adapter_passes(seed: int) -> None:
    """Written by the safetensors library, as PEFT does, in each of the dtypes and shapes that occur."""
    draw = random.Random(seed)
    values = numpy.random.Generator(numpy.random.PCG64(seed))
    rank = draw.choice([1, 8, 32])
    shapes: dict[str, tuple[int, int]] = {}
    for layer in range(draw.randint(1, 4)):
        prefix = f"base_model.model.model.layers.{layer}.self_attn.q_proj"
        shapes |= {f"{prefix}.lora_A.weight": (rank, 24), f"{prefix}.lora_B.weight": (40, rank)}
    dtype = draw.choice([numpy.float32, numpy.float16])
    tensors = {
        name: (values.standard_normal(shape) * draw.choice([0, 0.01, 1])).astype(dtype)
        for name, shape in shapes.items()
    }
    check_adapter(files(save(tensors, metadata={"format": "pt"}), b"anything, for it is not read"), shapes=shapes)


@pytest.mark.parametrize(
    "head",
    [
        header(),
        {"__metadata__": {"format": "pt"}, **header()},
        {name: header()[name] for name in (B, A)},
        header(A_data_offsets=[32, 56], B_data_offsets=[0, 32]),
    ],
    ids=["plain", "with metadata", "listed in another order", "stored in another order"],
)
def test_every_order_of_listing_and_storing_passes(head: Header) -> None:
    check_adapter(files(weights(head)), shapes=SHAPES)


def test_the_largest_value_that_passes_is_just_below_two_to_the_seventeen() -> None:
    check_adapter(files(with_value(4, struct.pack("<I", 0x47FFFFFF))), shapes=SHAPES)
    check_adapter(files(half("BF16", b"\xff\x47")), shapes=SHAPES)
    check_adapter(files(half("F16", b"\xff\x7b")), shapes=SHAPES)


def test_an_honest_adapter_is_within_the_upload_limit() -> None:
    blob = save({name: numpy.ones(shape, dtype=numpy.float32) for name, shape in SHAPES.items()}, {"format": "pt"})
    assert len(blob) + MAX_CONFIG_BYTES <= max_adapter_bytes(SHAPES)


flips = st.tuples(st.integers(0, len(weights(header())) - 1), st.integers(0, 255))


@given(st.lists(flips, min_size=1, max_size=4))
def test_whatever_bytes_are_changed_the_gate_passes_or_refuses_and_nothing_else(changes: list[tuple[int, int]]) -> None:
    blob = bytearray(weights(header()))
    for at, value in changes:
        blob[at] = value
    check = _outcome(lambda: check_adapter(files(bytes(blob)), shapes=SHAPES))
    assert check in {"passed", "refused"}


@given(st.binary(max_size=400))
def test_arbitrary_bytes_are_refused(blob: bytes) -> None:
    assert _outcome(lambda: check_adapter(files(blob), shapes=SHAPES)) == "refused"


def _outcome(check: Callable[[], None]) -> str:
    try:
        check()
    except InvalidInput:
        return "refused"
    return "passed"


def test_a_full_sized_adapter_is_checked_within_512_mib_and_without_torch() -> None:
    """39 MB, as rank 32 on SmolLM2-135M has, in a process of its own so that its peak can be read."""
    script = """
import json, pathlib, re, struct, sys
from node.core.adapter import CONFIG, WEIGHTS
from node.detect.adapter import check_adapter
shapes = {f"t{at}": (32, 1024) for at in range(300)}
size = 4 * 32 * 1024
head = {name: {"dtype": "F32", "shape": [32, 1024], "data_offsets": [at * size, (at + 1) * size]}
        for at, name in enumerate(shapes)}
raw = json.dumps(head).encode()
blob = struct.pack("<Q", len(raw)) + raw + bytes(300 * size)
check_adapter({WEIGHTS: blob, CONFIG: b"{}"}, shapes=shapes)
assert "torch" not in sys.modules
print(re.search(r"VmHWM:\\s+(\\d+) kB", pathlib.Path("/proc/self/status").read_text())[1])
"""
    done = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True)
    assert int(done.stdout) / 1024 < 512
