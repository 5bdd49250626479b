"""Checks of a node's home: keys, certificates, database, blobs, the converted base model."""

from __future__ import annotations

import os
import shlex
import stat
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from node.cli.doctor.findings import Finding, broken, ok, warning
from node.cli.doctor.machine import nearest
from node.settings import Settings


def keys(settings: Settings) -> Iterator[Finding]:
    """Private keys belong to their owner alone."""
    files = [file for folder in ("keys", "tls") for file in settings.home.glob(f"{folder}/**/*") if file.is_file()]
    if not (settings.home / "keys").is_dir():
        yield warning(
            f"{settings.home} has no keys yet. A client, provider or arbiter needs --role besides.",
            f"hallmark init --home {_quoted(settings.home)}",
        )
        return
    folders = sorted({file.parent for file in files})
    open_ones = [path for path in [*folders, *files] if path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO)]
    if open_ones:
        yield broken(
            f"Others on this machine may read {', '.join(map(str, open_ones))}.",
            f"chmod --recursive go= {' '.join(_quoted(settings.home / name) for name in ('keys', 'tls'))}",
        )
    else:
        yield ok(f"{len(files)} files of keys and certificates, readable by their owner alone")


def certificates(settings: Settings) -> Iterator[Finding]:
    import time

    from node.storage import tls

    now_ms = time.time_ns() // 1_000_000
    ends, soon = tls.certificate_ends(settings.home), tls.certificates_expiring(settings.home, now_ms=now_ms)
    for file, end_ms in soon.items():
        day = datetime.fromtimestamp(end_ms / 1000, UTC).date()
        told = f"{file.relative_to(settings.home)} {'ended' if end_ms < now_ms else 'ends'} on {day}."
        yield (broken if end_ms < now_ms else warning)(told, _renewal(settings, file))
    if ends and not soon:
        first = datetime.fromtimestamp(min(ends.values()) / 1000, UTC).date()
        yield ok(f"{len(ends)} certificates; the first ends on {first}")
    if not ends:
        yield warning("There are no certificates yet.", f"hallmark init --home {_quoted(settings.home)}")


def blobs(settings: Settings) -> Iterator[Finding]:
    folder = nearest(settings.state)
    if os.access(folder, os.W_OK | os.X_OK):
        yield ok(f"{folder} can be written")
    else:
        yield broken(f"{folder} cannot be written.", f"sudo chown --recursive $(id -un) {_quoted(folder)}")


def base_model(settings: Settings) -> Iterator[Finding]:
    models = [folder for folder in settings.cache.glob("models/*") if not folder.name.startswith(".")]
    if models:
        yield ok(f"Converted base models: {', '.join(sorted(folder.name for folder in models))}")
    else:
        yield warning(
            f"No base model is converted in {settings.cache}.",
            "The first start does it, in about 20 s; or give one with --model DIR.",
        )


def _renewal(settings: Settings, file: Path) -> str:
    if file.parent.name == "authorities":
        return f"hallmark init --rotate-ca --home {_quoted(settings.home)}"
    if file.stem in ("server", "operator"):
        return f"hallmark init --rotate --home {_quoted(settings.home)}"
    return f"hallmark init --role {file.stem} --home {_quoted(settings.home)}"


def _quoted(path: Path) -> str:
    return shlex.quote(str(path))
