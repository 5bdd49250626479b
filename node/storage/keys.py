"""Private keys and pinned public keys as files: PEM, readable by their owner alone; trust as JSON."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable
from pathlib import Path

from node.core.receipt import Trust
from node.crypto.signing import PrivateKey, PublicKey
from node.errors import HallmarkError, InvalidInput, NotFound


def load_or_create(file: Path) -> PrivateKey:
    """The key in a PEM file; a new one if there is no such file.

    Raises:
        InvalidInput: the file holds no Ed25519 key.
    """
    return PrivateKey.from_pem(read_or_create(file, lambda: PrivateKey.generate().to_pem()))


def read_or_create(file: Path, make: Callable[[], bytes]) -> bytes:
    """The content of a file that its owner alone may read; what `make` gives is written if there is none."""
    if file.exists():
        return file.read_bytes()
    _make_private(file.parent)
    content = make()
    try:
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return read_or_create(file, make)  # another process was faster
    with os.fdopen(descriptor, "wb") as out:
        out.write(content)
    return content


def replace_file(file: Path, content: bytes) -> None:
    """Writes a file whole or not at all, readable by its owner alone: another process may read it meanwhile.

    A file that has this content already is left as it is, so that nobody takes it for changed.
    """
    if file.exists() and file.read_bytes() == content:
        return
    _make_private(file.parent)
    descriptor, name = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}.")
    with os.fdopen(descriptor, "wb") as out:
        out.write(content)
        out.flush()
        os.fsync(out.fileno())
    Path(name).replace(file)


def _make_private(folder: Path) -> None:
    """Makes a folder that its owner alone may enter, and those above it; whatever exists keeps its mode."""
    if not folder.exists():
        _make_private(folder.parent)
        folder.mkdir(mode=0o700, exist_ok=True)


def write_trust(file: Path, *, coordinator: PublicKey, log: PublicKey) -> None:
    """Pins one coordinator and its log."""
    content = {"coordinators": {coordinator.key_id: coordinator.hex}, "logs": {log.key_id: log.hex}}
    replace_file(file, (json.dumps(content, indent=2) + "\n").encode())


def read_trust(file: Path) -> Trust:
    """The pinned keys of a trust file.

    Raises:
        NotFound: there is no such file.
        InvalidInput: it is not a trust file, or a key does not belong to its id.
    """
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        return Trust(coordinators=_keys(content["coordinators"]), logs=_keys(content["logs"]))
    except FileNotFoundError as fault:
        raise NotFound(
            f"There is no trust file {file}.", fix="Name one with --trust FILE: it pins the keys that you rely on."
        ) from fault
    except (ValueError, KeyError, TypeError, AttributeError, HallmarkError) as fault:
        raise InvalidInput(f"{file} is not a trust file ({fault}).", field="trust") from fault


def _keys(entries: dict[str, str]) -> dict[str, PublicKey]:
    keys = {key_id: PublicKey.from_hex(text) for key_id, text in entries.items()}
    for key_id, key in keys.items():
        if key.key_id != key_id:
            raise InvalidInput(f"The key listed as {key_id} is {key.key_id}.", field="trust")
    return keys
