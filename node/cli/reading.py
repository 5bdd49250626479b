"""The base model as `hallmark vet` uses it: reads each row once, on the fastest engine that is installed.

Rows that the model cannot take are left out, not refused: the data set may be for another one. Knows no detectors.
"""

from __future__ import annotations

import importlib.util
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from node.cli.quiet import hushed
from node.core.rows import Row
from node.detect.gibberish import READ_TOKENS
from node.errors import InvalidInput, NotInstalled, Unavailable

if TYPE_CHECKING:
    from node.models.base import BaseModel
    from node.ports.language_model import Reader

#: Rows that the model reads between two lines of progress.
BATCH_ROWS = 20
#: Engines are started with room for adapters, which are never used here.
LORA_RANK = 8


class ReadOnce:
    """Implements Reader: reads each of `readable` once, as far as any detector needs, and tells how far it is.

    Of all other rows it reads nothing: an empty list is their answer.
    """

    def __init__(self, model: Reader, readable: set[Row]) -> None:
        self._model = model
        self._readable = readable
        self._read: dict[Row, list[float]] = {}

    def surprisals(self, rows: Sequence[Row], *, first: int) -> list[list[float]]:
        unread = [row for row in dict.fromkeys(rows) if row in self._readable and row not in self._read]
        started = time.monotonic()
        for start in range(0, len(unread), BATCH_ROWS):
            batch = unread[start : start + BATCH_ROWS]
            self._read.update(zip(batch, self._model.surprisals(batch, first=READ_TOKENS), strict=True))
            _tell_progress(start + len(batch), len(unread), time.monotonic() - started)
        return [self._read.get(row, [])[:first] for row in rows]


def open_reader(rows: Sequence[Row], folder: Path | None) -> tuple[Reader | None, tuple[int, ...]]:
    """The base model's reader, and the lines (from 1) of `rows` that it cannot take.

    None, and a line on stderr that says so, where torch is not installed.

    Raises:
        NotInstalled: a model was asked for and torch, or the packaged model, is missing.
    """
    if any(importlib.util.find_spec(name) is None for name in ("torch", "transformers")):
        if folder:
            raise NotInstalled("Reading with a model needs torch.", fix="Install the extra `cpu` or `gpu`.")
        _tell("torch is not installed: the rows are counted, but read by no model.")
        return None, ()
    from node import bootstrap, settings

    base = bootstrap.base_model(settings.load(), folder, _tell)
    lengths = _tokens_read(base, rows)
    readable = {row for row, length in lengths.items() if length}
    unread = tuple(line for line, row in enumerate(rows, start=1) if row not in readable)
    if not readable:
        _tell("The base model can take none of the rows: they are counted, but read by no model.")
        return None, unread
    return ReadOnce(_engine(base, max(lengths.values())), readable), unread


def _tokens_read(base: BaseModel, rows: Sequence[Row]) -> dict[Row, int]:
    """What the model reads of each row, in tokens; 0 if it is too much, or its chat template refuses the row."""
    from node.models.base import longest_row_tokens
    from node.models.chat import ChatTokenizer

    tokenizer, limit = ChatTokenizer(base.folder), longest_row_tokens(base, sys.maxsize)
    lengths = dict.fromkeys(rows, 0)
    for row in lengths:
        try:
            encoded = tokenizer.encode_row(row)
        except InvalidInput:
            continue
        length = len(encoded.prompt_ids) + len(encoded.response_ids[:READ_TOKENS])
        if length <= limit:
            lengths[row] = length
    return lengths


def _engine(base: BaseModel, longest_tokens: int) -> Reader:
    """vLLM, or transformers where vLLM is missing or cannot serve this model.

    In bfloat16, which is enough to see what stands far out: it takes half the time, on CPUs with such instructions.
    """
    from node.verifier.reference_engine import ReferenceEngine
    from node.verifier.vllm_engine import VllmEngine

    _tell("Starting vLLM, about 10 s")
    try:
        with hushed():
            return VllmEngine(base, max_length_tokens=longest_tokens, lora_rank=LORA_RANK, dtype="bfloat16")
    except (NotInstalled, Unavailable) as refusal:
        _tell(f"{refusal.message.splitlines()[0]} Starting transformers instead, which reads the rows one by one.")
    with hushed():
        return ReferenceEngine(base)


def _tell_progress(done: int, rows: int, seconds: float) -> None:
    """One line that is written anew on a terminal, a line each elsewhere."""
    minutes = seconds / done * (rows - done) / 60
    left = f"about {minutes:.0f} min remain" if minutes >= 1 else "less than a minute remains"
    text = f"Read {done} of {rows} rows" + (f"; {left}" if done < rows else "")
    if sys.stderr.isatty():
        typer.echo(f"{text:<60}" + ("\r" if done < rows else "\n"), err=True, nl=False)
    else:
        _tell(text)


def _tell(text: str) -> None:
    typer.echo(text, err=True)
