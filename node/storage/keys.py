"""Private keys and pinned public keys as files: PEM, readable by their owner alone; trust as JSON."""

from __future__ import annotations

import json
import os
from pathlib import Path

from node.core.receipt import Trust
from node.crypto.signing import PrivateKey, PublicKey
from node.errors import HallmarkError, InvalidInput, NotFound


def load_or_create(file: Path) -> PrivateKey:
    """The key in a PEM file; a new one if there is no such file.

    Raises:
        InvalidInput: the file holds no Ed25519 key.
    """
    if file.exists():
        return PrivateKey.from_pem(file.read_bytes())
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    key = PrivateKey.generate()
    try:
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return load_or_create(file)  # another process was faster
    with os.fdopen(descriptor, "wb") as out:
        out.write(key.to_pem())
    return key


def write_trust(file: Path, *, coordinator: PublicKey, log: PublicKey) -> None:
    """Pins one coordinator and its log."""
    content = {"coordinators": {coordinator.key_id: coordinator.hex}, "logs": {log.key_id: log.hex}}
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


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
