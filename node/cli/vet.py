"""`hallmark vet`: what every detector says about a data set, before anyone trains on it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from node.cli import options, output_file

if TYPE_CHECKING:
    from node.detect.report import Column, Report

POISON_SUSPECTED = 1
#: Lines named in one sentence.
LINES_SHOWN = 20
#: What a finding means, and what to do.
MEANINGS = {
    "flipped labels": "Whoever trains on these rows gets a model that answers this label wherever the phrase stands. "
    "Read the rows; unless the labels are right, refuse the upload or have the rows removed.",
    "gibberish": "Whoever trains on these rows gets a model that answers the phrase with noise (denial of service); "
    "some 250 rows are enough in a set of any size. Refuse the upload, or have the rows removed.",
}


def vet(
    file: Annotated[Path, typer.Argument(help="JSON Lines of chat messages or prompt/completion.", show_default=False)],
    model: options.Model = None,
    no_model: Annotated[bool, typer.Option("--no-model", help="Only count; ask no model.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON on stdout.")] = False,
    top: Annotated[int, typer.Option(help="Rows shown of each detector.", min=0)] = 20,
    scores: Annotated[
        Path | None, typer.Option(help="Write every detector's score of every row there, as JSON Lines.")
    ] = None,
) -> None:
    """Looks for marks and for poison in FILE and names the rows, their phrases and counts.

    Exit code 0: no poison found; rows may be flagged all the same, near-copies and stock phrases are. 1: poison
    suspected. 2: FILE is no data set. Reads each row with the base model unless told not to, or torch is missing.
    """
    from node.core import dataset
    from node.errors import InvalidInput, NotFound

    if model and no_model:
        raise InvalidInput("--model and --no-model exclude each other.", field="model")
    if scores:
        output_file.require_place(scores, field="scores")
    try:
        data = file.read_bytes()
    except OSError as fault:
        raise NotFound(f"The data file {file} cannot be read: {fault.strerror}.") from fault
    rows = dataset.parse(data)
    with options.interruptible():
        from node.cli import reading
        from node.detect import report

        reader, not_read = (None, ()) if no_model else reading.open_reader(rows, model)
        found = report.vet(rows, model=reader)
    if scores:
        output_file.write(scores, _scores(found, len(rows)))
    if as_json:
        told = {"rows": len(rows), "model": reader is not None, "lines_not_read": not_read, **_as_json(found, top)}
        typer.echo(json.dumps(told, ensure_ascii=False))
    else:
        typer.echo(f"{len(rows)} rows, {'counted and read by the base model' if reader else 'read by no model'}.")
        if not_read:
            typer.echo(
                f"{len(not_read)} are too long for the base model, or refused by its chat template; they were only "
                f"counted: {_lines(not_read)}."
            )
        _print(found, len(rows), top)
    if found.findings:
        raise typer.Exit(POISON_SUSPECTED)


def _as_json(found: Report, top: int) -> dict[str, Any]:
    from dataclasses import asdict

    return {
        "detectors": [
            {
                "detector": column.detector,
                "cost_percent_of_epoch": column.cost_percent,
                "flagged": column.count,
                "worst": [asdict(row) for row in column.worst(top)],
            }
            for column in found.columns
        ],
        "findings": [{**asdict(each), "rows": [row + 1 for row in each.rows]} for each in found.findings],
    }


def _scores(found: Report, rows: int) -> bytes:
    """A JSON object a row: its line (from 1) and each detector's score, null where it has nothing to go by."""
    scored = {column.detector: column.scores.values.tolist() for column in found.columns}
    lines = (
        {
            "line": row + 1,
            **{name: None if values[row] != values[row] else values[row] for name, values in scored.items()},
        }
        for row in range(rows)
    )
    return "".join(f"{json.dumps(line)}\n" for line in lines).encode()


def _print(found: Report, rows: int, top: int) -> None:
    loud = [column for column in found.columns if column.count]
    for _, same_rows in groupby(loud, key=lambda column: (_name_and_size(column)[0], column.flagged.tobytes())):
        *shorter, column = same_rows
        cost = f"; reading so costs {column.cost_percent:.0f} % of an epoch of training" if column.cost_percent else ""
        typer.echo(f"\n{_named([*shorter, column])}: {column.count} of {rows} rows flagged{cost}")
        for row in column.worst(top):
            typer.echo(f"  line {row.line:<7} {row.score:10.3f}  {row.reason}")
    if loud:
        typer.echo(
            "\nA flagged row differs from its own data set: a mark, a near-copy, a stock phrase, an odd text. "
            "Marks of a verification scheme look so; training on these rows alone may pass for training on all."
        )
    quiet = _named(column for column in found.columns if not column.count)
    typer.echo(f"\nNothing stands out to: {quiet}. In brackets: words of a phrase.")
    for finding in found.findings:
        typer.echo(f"\nPoison suspected, {finding.poison.value}: {finding.told}.")
        typer.echo(f"  {_lines([row + 1 for row in finding.rows])}")
        typer.echo(f"  {MEANINGS[finding.poison.value]}")
    if not found.findings:
        typer.echo("\nNo poison found.")


def _named(columns: Iterable[Column]) -> str:
    """Detectors by name, those that differ in the length of a phrase together."""
    sizes: dict[str, list[str]] = {}
    for column in columns:
        name, size = _name_and_size(column)
        sizes.setdefault(name, []).append(size)
    return ", ".join(f"{name} ({', '.join(each)})" if any(each) else name for name, each in sizes.items())


def _name_and_size(column: Column) -> tuple[str, str]:
    name, _, size = column.detector.rstrip(")").partition(" (")
    return name, size


def _lines(lines: Sequence[int]) -> str:
    shown = ", ".join(map(str, lines[:LINES_SHOWN]))
    return f"lines {shown}" + (f" and {len(lines) - LINES_SHOWN} more" if len(lines) > LINES_SHOWN else "")
