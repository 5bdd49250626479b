from __future__ import annotations

import json
from pathlib import Path

import numpy
import pytest
from fakes.adapter_drafts import SHAPES, SPEC, Draft, parted, weights
from fakes.adapter_fuzzing import agrees
from fakes.hostile_adapters import MALFORMED
from safetensors import deserialize
from safetensors.numpy import save

from node.core.adapter import CONFIG, FILES, WEIGHTS, adapter_digest
from node.crypto.digest import sha256_digest
from node.detect.adapter import check_adapter
from node.errors import InvalidInput, Unavailable
from node.models.base import BaseModel
from node.models.lora import adapter_config
from node.verifier.adapters import FolderAdapters


@pytest.fixture
def store(tmp_path: Path) -> FolderAdapters:
    """Over a base model of one layer, of which only the header is real."""
    header = {"model.layers.0.self_attn.q_proj.weight": {"dtype": "F32", "shape": [5, 5], "data_offsets": [0, 0]}}
    (tmp_path / "base").mkdir()
    (tmp_path / "base" / "model.safetensors").write_bytes(weights(json.dumps(header).encode(), b""))
    return FolderAdapters(tmp_path / "adapters", BaseModel(sha256_digest(b""), tmp_path / "base"))


@pytest.mark.parametrize("dtypes", [("f4", "f4"), ("f2", "f2"), ("f2", "f4"), ("f4", "f2")])
def test_what_is_placed_is_what_the_safetensors_library_would_have_written(
    store: FolderAdapters, dtypes: tuple[str, str]
) -> None:
    values = numpy.random.Generator(numpy.random.PCG64(1))
    tensors = {
        name: values.standard_normal(shape).astype(dtype)
        for (name, shape), dtype in zip(SHAPES.items(), dtypes, strict=True)
    }
    files = {WEIGHTS: save(tensors), CONFIG: adapter_config(SPEC)}
    placed = store.place(adapter_digest(files), files, SPEC)
    assert (placed.folder / WEIGHTS).read_bytes() == save(tensors, {"format": "pt"}) != files[WEIGHTS]


@pytest.mark.parametrize("dtype", ["F32", "BF16", "F16"])
def test_what_is_placed_holds_the_tensors_that_were_handed_in(store: FolderAdapters, dtype: str) -> None:
    draft = Draft(SHAPES, SPEC, dtype=dtype)
    draft.header = dict(reversed(draft.header.items()))
    files = draft.files()
    files[WEIGHTS] = weights(parted(files[WEIGHTS])[0] + b" " * 64, draft.data)
    placed = store.place(adapter_digest(files), files, SPEC)
    written = {path.name: path.read_bytes() for path in placed.folder.iterdir()}
    assert written.keys() == FILES
    assert dict(deserialize(written[WEIGHTS])) == dict(deserialize(files[WEIGHTS]))
    paths = {name: placed.folder / name for name in FILES}
    assert agrees(written, check_adapter(paths, shapes=SHAPES, training=SPEC))


def test_equal_tensors_are_placed_as_equal_files_however_they_came(store: FolderAdapters) -> None:
    """Stored in the other order, described with metadata, padded."""
    plain, other = Draft(SHAPES, SPEC), Draft(SHAPES, SPEC)
    border = other.second["data_offsets"][0]
    size = len(other.data)
    other.first["data_offsets"], other.second["data_offsets"] = [size - border, size], [0, size - border]
    other.data = other.data[border:] + other.data[:border]
    other.header["__metadata__"] = {"format": "pt"}
    placed = [store.place(adapter_digest(files), files, SPEC) for files in (plain.files(), other.files())]
    assert plain.files()[WEIGHTS] != other.files()[WEIGHTS]
    assert placed[0].folder != placed[1].folder
    assert (placed[0].folder / WEIGHTS).read_bytes() == (placed[1].folder / WEIGHTS).read_bytes()


def test_the_configuration_placed_is_ours(store: FolderAdapters) -> None:
    files = Draft(SHAPES, SPEC).files()
    placed = store.place(adapter_digest(files), files, SPEC)
    assert (placed.folder / CONFIG).read_bytes() == adapter_config(SPEC) != files[CONFIG]


def test_an_adapter_keeps_the_identity_that_was_committed_to_and_can_be_placed_twice(store: FolderAdapters) -> None:
    files = Draft(SHAPES, SPEC).files()
    first, again = (store.place(adapter_digest(files), files, SPEC) for _ in range(2))
    assert first == again
    assert first.digest == adapter_digest(files)


@pytest.mark.parametrize("name", ["infinity", "another rank", "a byte after the data", "a path in a file name"])
def test_nothing_is_placed_that_the_gate_refuses(store: FolderAdapters, tmp_path: Path, name: str) -> None:
    files = MALFORMED[name].spoil(Draft(SHAPES, SPEC))
    for attempt in (
        lambda: store.check(files, SPEC),
        lambda: store.place(adapter_digest(files), files, SPEC),
    ):
        with pytest.raises(InvalidInput, match="is refused"):
            attempt()
    assert not list((tmp_path / "adapters").iterdir())


def test_a_disk_that_takes_nothing_is_no_fault_of_the_adapter(store: FolderAdapters, tmp_path: Path) -> None:
    (tmp_path / "adapters").write_text("a file where the folder should be")
    with pytest.raises(Unavailable, match="could not be stored"):
        store.check(Draft(SHAPES, SPEC).files(), SPEC)
