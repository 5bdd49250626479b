"""`hallmark vet`: what every detector says about a data set, before anyone trains on it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from node.cli import options

if TYPE_CHECKING:
    from node.core.rows import Row
    from node.detect.poison import Finding
    from node.detect.report import Report
    from node.ports.language_model import Reader

POISON_SUSPECTED = 1
#: Rows that the model reads between two lines of progress.
BATCH_ROWS = 50
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
) -> None:
    """Looks for marks and for poison in FILE and names the rows, their phrases and counts.

    Exit code 0: no poison found; rows may be flagged all the same, near-copies and stock phrases are. 1: poison
    suspected. 2: FILE is no data set. Reads each row with the base model unless told not to, or torch is missing.
    """
    import json
    from dataclasses import asdict

    from node.core import dataset
    from node.detect import report
    from node.errors import InvalidInput, NotFound

    if model and no_model:
        raise InvalidInput("--model and --no-model exclude each other.", field="model")
    try:
        data = file.read_bytes()
    except OSError as fault:
        raise NotFound(f"The data file {file} cannot be read: {fault.strerror}.") from fault
    rows = dataset.parse(data)
    reader = None if no_model else _reader(model)
    found = report.vet(rows, model=reader, top=top)
    if as_json:
        findings = [{**asdict(each), "rows": [row + 1 for row in each.rows]} for each in found.findings]
        typer.echo(
            json.dumps(
                {
                    "rows": len(rows),
                    "model": reader is not None,
                    "detectors": [asdict(column) for column in found.columns],
                    "findings": findings,
                },
                ensure_ascii=False,
            )
        )
    else:
        _print(found, len(rows), reader is not None)
    if found.findings:
        raise typer.Exit(POISON_SUSPECTED)


def _print(found: Report, rows: int, read: bool) -> None:
    typer.echo(f"{rows} rows, {'counted and read by the base model' if read else 'counted, read by no model'}.")
    for column in found.columns:
        if column.flagged:
            typer.echo(f"\n{column.detector}: {column.flagged} of {rows} rows flagged")
        for row in column.worst:
            typer.echo(f"  line {row.line:<7} {row.score:10.3f}  {row.reason}")
    quiet = [column.detector for column in found.columns if not column.flagged]
    if quiet:
        typer.echo(f"\nNothing stands out to: {', '.join(quiet)}.")
    if any(column.flagged for column in found.columns):
        typer.echo(
            "\nA flagged row differs from its own data set: a mark, a near-copy or a stock phrase. Marks of a "
            "verification scheme look so; whoever trains on flagged rows alone may pass for having trained on all."
        )
    for finding in found.findings:
        typer.echo(f"\nPoison suspected, {finding.poison.value}: {finding.told}.")
        typer.echo(f"  lines {_lines(finding)}")
        typer.echo(f"  {MEANINGS[finding.poison.value]}")
    if not found.findings:
        typer.echo("\nNo poison found.")


def _lines(finding: Finding, shown: int = 20) -> str:
    lines = ", ".join(str(row + 1) for row in finding.rows[:shown])
    return lines if len(finding.rows) <= shown else f"{lines} and {len(finding.rows) - shown} more"


def _reader(folder: Path | None) -> Reader | None:
    """The base model, slow and plain; None, and a line that says so, where torch is not installed.

    Raises:
        NotInstalled: a model was asked for and torch, or the packaged model, is missing.
    """
    import importlib.util

    from node import bootstrap, settings
    from node.errors import NotInstalled

    if importlib.util.find_spec("torch") is None or importlib.util.find_spec("transformers") is None:
        if folder:
            raise NotInstalled("Reading with a model needs torch.", fix="Install the extra `cpu` or `gpu`.")
        typer.echo("torch is not installed: the rows are counted, but read by no model.", err=True)
        return None
    base = bootstrap.base_model(settings.load(), folder, lambda text: typer.echo(text, err=True))
    typer.echo("Starting the base model", err=True)
    from node.verifier.reference_engine import ReferenceEngine

    return _RememberingReader(ReferenceEngine(base))


class _RememberingReader:
    """Reads each row once, as far as any detector needs, and tells how far it is."""

    def __init__(self, model: Reader) -> None:
        self._model = model
        self._read: dict[Row, list[float]] = {}

    def surprisals(self, rows: Sequence[Row], *, first: int) -> list[list[float]]:
        from node.detect.gibberish import READ_TOKENS

        unread = [row for row in dict.fromkeys(rows) if row not in self._read]
        for start in range(0, len(unread), BATCH_ROWS):
            typer.echo(f"Reading rows: {start} of {len(unread)}", err=True)
            batch = unread[start : start + BATCH_ROWS]
            self._read.update(zip(batch, self._model.surprisals(batch, first=READ_TOKENS), strict=True))
        return [self._read[row][:first] for row in rows]
