from __future__ import annotations

import json
import pickle
import random
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from itertools import cycle
from pathlib import Path
from typing import Any

import numpy
import pytest
from fakes.adapter_drafts import SHAPES, SPEC, Draft, Files, on_disk, shapes_of, weights
from fakes.adapter_fuzzing import agrees, changed_adapter
from fakes.hostile_adapters import MALFORMED
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import save

from node.core.adapter import CONFIG, WEIGHTS
from node.core.training import PROJECTIONS, TrainingSpec
from node.detect.adapter import check_adapter
from node.detect.adapter_config import check_config
from node.detect.adapter_header import Shapes, Tensor, max_weights_bytes
from node.errors import InvalidInput
from node.models.lora import adapter_config

Gate = Callable[..., list[Tensor]]


@pytest.fixture(scope="module")
def check(tmp_path_factory: pytest.TempPathFactory) -> Gate:
    """The gate over files in memory."""
    folder = tmp_path_factory.mktemp("adapter")

    def check(files: Files, *, shapes: Shapes = SHAPES, training: TrainingSpec = SPEC) -> list[Tensor]:
        return check_adapter(on_disk(files, folder), shapes=shapes, training=training)

    return check


@pytest.mark.parametrize("name", MALFORMED)
def test_a_malformed_adapter_is_refused_with_its_reason(check: Gate, name: str) -> None:
    files = MALFORMED[name].spoil(Draft(SHAPES, SPEC))
    with pytest.raises(InvalidInput, match=r"^The adapter is refused: ") as refusal:
        check(files)
    assert MALFORMED[name].reason in refusal.value.message
    assert refusal.value.message.isprintable()
    assert len(refusal.value.message) < 700
    assert refusal.value.facts["field"]


def test_there_are_enough_of_both_kinds() -> None:
    assert len(MALFORMED) >= 60
    assert len(HONEST) >= 50


HONEST = [
    (TrainingSpec(lora_rank=rank, lora_alpha=2 * rank, target_modules=targets), dtype)
    for targets in (PROJECTIONS, PROJECTIONS[:4], ("q_proj", "v_proj"), ("down_proj",))
    for rank in (1, 3, 8, 32, 64)
    for dtype in ("F32", "BF16", "F16")
]


@pytest.mark.parametrize(("spec", "dtype"), HONEST, ids=lambda value: str(getattr(value, "lora_rank", value)))
def test_an_honest_adapter_passes(check: Gate, spec: TrainingSpec, dtype: str) -> None:
    shapes = shapes_of(spec, layers=2)
    check(Draft(shapes, spec, dtype=dtype).files(), shapes=shapes, training=spec)


@pytest.mark.parametrize("scale", [0.0, 1e-45, 0.01, 1.0, 1e4])
@pytest.mark.parametrize("dtypes", [(numpy.float32,), (numpy.float16,), (numpy.float32, numpy.float16)])
def test_what_the_library_writes_passes(check: Gate, dtypes: tuple[Any, ...], scale: float) -> None:
    values = numpy.random.Generator(numpy.random.PCG64(7))
    tensors = {
        name: (values.standard_normal(shape) * scale).astype(dtype)
        for (name, shape), dtype in zip(SHAPES.items(), cycle(dtypes), strict=False)
    }
    for metadata in (None, {"format": "pt"}):
        check({WEIGHTS: save(tensors, metadata), CONFIG: adapter_config(SPEC)})


def with_header(header: dict[str, Any], data: bytes) -> dict[str, bytes]:
    return {**Draft(SHAPES, SPEC).files(), WEIGHTS: weights(json.dumps(header).encode(), data)}


def test_every_order_of_listing_and_storing_passes(check: Gate) -> None:
    draft = Draft(SHAPES, SPEC)
    (a, b), (first, second) = draft.names, (draft.first, draft.second)
    check(with_header({b: second, a: first}, draft.data))
    size = second["data_offsets"][1] - second["data_offsets"][0]
    second["data_offsets"], first["data_offsets"] = [0, size], [size, len(draft.data)]
    check(with_header({a: first, b: second}, draft.data))


@pytest.mark.parametrize(
    ("dtype", "value"), [("F32", b"\xff\xff\xff\x47"), ("BF16", b"\xff\xc7"), ("F16", b"\xff\x7b")]
)
def test_the_largest_value_that_passes_is_just_below_two_to_the_seventeen(
    check: Gate, dtype: str, value: bytes
) -> None:
    draft = Draft(SHAPES, SPEC, dtype=dtype)
    draft.data = draft.data[: -len(value)] + value
    check(draft.files())


def test_a_value_is_found_wherever_it_lies(check: Gate) -> None:
    """Over the border of every piece that is read at a time."""
    spec = TrainingSpec(lora_rank=1, target_modules=("q_proj",))
    shapes = shapes_of(spec, width=600_000)
    for at in (0, 1_048_572, 1_048_576, 2_399_996):
        draft = Draft(shapes, spec)
        draft.data = draft.data[:at] + b"\0\0\xc0\x7f" + draft.data[at + 4 :]
        with pytest.raises(InvalidInput, match="not finite"):
            check(draft.files(), shapes=shapes, training=spec)


def test_the_longest_honest_header_is_within_the_limit(check: Gate) -> None:
    spec = TrainingSpec(lora_rank=1)
    shapes = shapes_of(spec, layers=999, width=1, inner=1)
    draft = Draft(shapes, spec)
    draft.header["__metadata__"] = {"format": "pt"}
    blob = weights(json.dumps(draft.header, indent=4).encode(), draft.data)
    assert len(blob) <= max_weights_bytes(shapes)
    check({**draft.files(), WEIGHTS: blob}, shapes=shapes, training=spec)


def test_the_configuration_that_we_write_passes() -> None:
    for spec, _ in HONEST:
        check_config(adapter_config(spec), spec)


@pytest.mark.parametrize("depth", range(900, 1000, 3))
def test_a_configuration_nested_as_deeply_as_python_reads_is_refused_too(depth: int) -> None:
    nested = b'{"a": ' + b"[" * depth + b"]" * depth + b"}"
    with pytest.raises(InvalidInput, match=r"^The adapter is refused: "):
        check_config(nested, SPEC)


def test_no_order_of_keys_changes_what_is_said_first() -> None:
    said = set()
    for seed in range(5):
        config = list({**Draft(SHAPES, SPEC).config, "use_dora": True, "r": 4, "bias": "all"}.items())
        random.Random(seed).shuffle(config)
        with pytest.raises(InvalidInput) as refusal:
            check_config(json.dumps(dict(config)).encode(), SPEC)
        said.add(refusal.value.message)
    assert len(said) == 1


@given(st.integers(0, 2**64))
@settings(max_examples=300)
def test_whatever_is_changed_the_gate_refuses_or_reads_what_the_library_reads(check: Gate, number: int) -> None:
    _, files = changed_adapter(number)
    try:
        tensors = check(files)
    except InvalidInput:
        return
    assert agrees(files, tensors)


def test_some_changed_adapters_are_still_good(check: Gate) -> None:
    """Otherwise the sentence above would say nothing."""
    accepted = 0
    for number in range(200):
        with suppress(InvalidInput):
            check(changed_adapter(number)[1])
            accepted += 1
    assert accepted >= 5


@given(st.binary(max_size=400))
def test_arbitrary_bytes_are_refused(check: Gate, blob: bytes) -> None:
    for name in (WEIGHTS, CONFIG):
        with pytest.raises(InvalidInput):
            check({**Draft(SHAPES, SPEC).files(), name: blob})


def test_a_full_sized_adapter_is_checked_within_little_memory_and_without_torch(tmp_path: Path) -> None:
    """39 MB, as rank 32 on SmolLM2-135M has, in a process of its own so that its peak can be read."""
    spec = TrainingSpec()
    shapes = shapes_of(spec, layers=30, width=576, inner=1536)
    script = """
import pathlib, pickle, re, sys
from node.detect.adapter import check_adapter
check_adapter(**pickle.load(sys.stdin.buffer))
assert "torch" not in sys.modules
print(re.search(r"VmHWM:\\s+(\\d+) kB", pathlib.Path("/proc/self/status").read_text())[1])
"""
    arguments = {"files": on_disk(Draft(shapes, spec).files(), tmp_path), "shapes": shapes, "training": spec}
    run = [sys.executable, "-c", script]
    done = subprocess.run(run, check=True, capture_output=True, input=pickle.dumps(arguments))
    assert int(done.stdout) / 1024 < 128
