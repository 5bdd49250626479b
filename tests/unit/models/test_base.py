from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from node.crypto.digest import digest
from node.errors import InvalidInput
from node.models.base import DIGEST_DOMAIN, HASH_CACHE, local_model, make_once, model_digest

FILES = {
    "config.json": b"{}",
    "tokenizer.json": b"{}",
    "tokenizer_config.json": b"{}",
    "chat_template.jinja": b"{{ messages }}",
    "model.safetensors": b"weights",
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, data in FILES.items():
        (tmp_path / name).write_bytes(data)
    return tmp_path


def test_the_digest_covers_the_names_and_hashes_of_the_defining_files(folder: Path) -> None:
    pairs = sorted([name, hashlib.sha256(data).hexdigest()] for name, data in FILES.items())
    expected = digest(DIGEST_DOMAIN, json.dumps(pairs, separators=(",", ":")).encode())
    assert local_model(folder).digest == expected
    assert local_model(folder).digest == expected, "and again, from remembered hashes"


def test_a_file_that_does_not_define_the_model_changes_nothing(folder: Path) -> None:
    before = model_digest(folder)
    (folder / "README.md").write_text("about")
    (folder / "generation_config.json").write_text("{}")
    assert model_digest(folder) == before


@pytest.mark.parametrize("name", FILES)
def test_any_change_of_a_defining_file_changes_the_digest(folder: Path, name: str) -> None:
    before = model_digest(folder)
    (folder / name).write_bytes(FILES[name] + b" ")
    assert model_digest(folder) != before


def test_a_change_that_keeps_size_and_modification_time_is_noticed(folder: Path) -> None:
    before = model_digest(folder)
    weights = folder / "model.safetensors"
    stat = weights.stat()
    weights.write_bytes(b"WEIGHTS")
    os.utime(weights, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert model_digest(folder) != before


def test_an_unchanged_file_is_not_read_again(folder: Path) -> None:
    model_digest(folder)
    cache = folder / HASH_CACHE
    remembered = json.loads(cache.read_bytes())
    remembered["model.safetensors"][-1] = "0" * 64
    cache.write_text(json.dumps(remembered))
    poisoned = model_digest(folder)
    cache.unlink()
    assert model_digest(folder) != poisoned


@pytest.mark.parametrize("content", ["", "[]", "{", '{"model.safetensors": 1}', '{"model.safetensors": [1]}'])
def test_a_damaged_memory_is_ignored(folder: Path, content: str) -> None:
    expected = model_digest(folder)
    (folder / HASH_CACHE).write_text(content)
    assert model_digest(folder) == expected


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json", "tokenizer_config.json", "model.safetensors"])
def test_a_missing_part_is_named(folder: Path, name: str) -> None:
    (folder / name).unlink()
    with pytest.raises(InvalidInput, match=r"lacks .*" + name.replace("model", "")):
        local_model(folder)


def test_pickled_weights_are_no_weights(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(InvalidInput, match="safetensors"):
        local_model(folder)


def test_a_model_without_chat_template_is_refused(folder: Path) -> None:
    (folder / "chat_template.jinja").unlink()
    with pytest.raises(InvalidInput, match="chat template"):
        local_model(folder)


def test_a_model_that_brings_code_is_refused(folder: Path) -> None:
    (folder / "config.json").write_text('{"auto_map": {"AutoModel": "evil.Model"}}')
    with pytest.raises(InvalidInput, match="never run"):
        local_model(folder)


@pytest.mark.parametrize("content", ["{", "[]"])
def test_a_broken_configuration_is_named(folder: Path, content: str) -> None:
    (folder / "config.json").write_text(content)
    with pytest.raises(InvalidInput, match=r"config\.json"):
        local_model(folder)


def test_a_path_that_is_no_directory_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="not a directory"):
        local_model(tmp_path / "nowhere")


def test_models_and_their_rendering_need_no_torch() -> None:
    script = "import sys, node.models.base, node.models.chat, node.models.lora; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0


def test_a_folder_is_made_once(tmp_path: Path) -> None:
    target = tmp_path / "cache" / "model"
    make_once(target, lambda folder: (folder / "a").write_text("first"))
    make_once(target, lambda folder: (folder / "a").write_text("second"))
    assert (target / "a").read_text() == "first"


def test_a_making_that_is_interrupted_leaves_nothing_and_can_be_repeated(tmp_path: Path) -> None:
    def interrupted(folder: Path) -> None:
        (folder / "a").write_text("half")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        make_once(tmp_path / "model", interrupted)
    assert [path.name for path in tmp_path.iterdir()] == [".model.lock"]
    make_once(tmp_path / "model", lambda folder: (folder / "a").write_text("whole"))
    assert (tmp_path / "model" / "a").read_text() == "whole"


def test_what_a_killed_process_left_is_removed(tmp_path: Path) -> None:
    (tmp_path / ".model.unfinished-x").mkdir()
    make_once(tmp_path / "model", lambda folder: (folder / "a").write_text("whole"))
    assert sorted(path.name for path in tmp_path.iterdir()) == [".model.lock", "model"]


def test_of_several_processes_one_makes_it_and_the_others_wait(tmp_path: Path) -> None:
    script = """
import sys, time
from pathlib import Path
from node.models.base import make_once
def fill(folder):
    time.sleep(0.2)
    (folder / "a").write_text("whole")
    print("made")
make_once(Path(sys.argv[1]), fill)
assert (Path(sys.argv[1]) / "a").read_text() == "whole"
"""
    command = [sys.executable, "-c", script, str(tmp_path / "model")]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(4)]
    printed = [process.communicate(timeout=60)[0] for process in running]
    assert [process.returncode for process in running] == [0] * 4
    assert sorted(printed) == ["", "", "", "made\n"]
