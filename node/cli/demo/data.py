"""Rows for the demonstration: real text that lies on every machine, or the user's own file."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from functools import cache
from pathlib import Path

from node.core import dataset
from node.core.rows import Message, Role, Row
from node.errors import InvalidInput

SHUFFLE_SEED = 1
#: Shorter than the system message that the packaged model's template would add: a fifth of the tokens of such a row.
INSTRUCTION = Message(Role.SYSTEM, "Answer briefly.")


@cache
def standard_library_rows() -> tuple[Row, ...]:
    """What a function of Python's standard library does, in the first sentence of its docstring: some 2,000 rows.

    The same rows for the same Python, whatever this process has imported.
    """
    script = [sys.executable, "-I", str(Path(__file__).with_name("docstrings.py"))]
    found: dict[str, str] = json.loads(subprocess.run(script, capture_output=True, check=True).stdout)
    rows = [_row(f"What does `{name}` do in Python?", sentence) for sentence, name in found.items()]
    random.Random(SHUFFLE_SEED).shuffle(rows)  # noqa: S311 - an order to read in, nothing secret
    return tuple(rows)


def _row(question: str, answer: str) -> Row:
    return Row((INSTRUCTION, Message(Role.USER, question), Message(Role.ASSISTANT, answer)))


def rows_of_file(file: Path) -> tuple[Row, ...]:
    """The rows of a JSON Lines file.

    Raises:
        InvalidInput: the file cannot be read, or names its first wrong lines.
    """
    try:
        data = file.read_bytes()
    except OSError as fault:
        raise InvalidInput(
            f"The data file {file} cannot be read: {fault.strerror}.",
            fix="Give a JSON Lines file with --data FILE.",
            field="data",
        ) from fault
    try:
        return dataset.parse(data)
    except InvalidInput as fault:
        raise InvalidInput(
            f"{file}: {fault.message}",
            fix="Mend these lines and start again.",
            violations=fault.violations,
            **fault.facts,
        ) from fault


def shares(rows: tuple[Row, ...], jobs: int, most: int, least: int) -> list[tuple[Row, ...]]:
    """Disjoint rows for each job, `most` at the most: no two jobs may hide marks in the same rows.

    Raises:
        InvalidInput: there are too few rows for `least` each.
    """
    each = min(most, len(rows) // jobs)
    if each < least:
        raise InvalidInput(
            f"{len(rows)} rows are too few: {jobs} jobs need {least} rows each, and share none.",
            fix=f"Give a file of {jobs * least} rows or more; {jobs * most} are used at the most.",
            field="data",
        )
    return [rows[job * each : (job + 1) * each] for job in range(jobs)]
