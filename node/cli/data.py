"""`hallmark data`: check training data, upload it, see what is there."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from node.cli import options, party
from node.cli.tables import moment, print_table

if TYPE_CHECKING:
    from node.client.client import Client
    from node.wire.hallmark.v1.datasets_pb2 import Dataset

app = typer.Typer(help="Training data: JSON Lines of chat messages or prompt/completion.", no_args_is_help=True)

File = Annotated[Path, typer.Argument(help="JSON Lines of chat messages or prompt/completion.", show_default=False)]


@app.command()
def check(file: File, as_json: options.Json = False) -> None:
    """Checks every line of FILE on this machine, and says what is wrong. Lengths are the coordinator's to say.

    Example: hallmark data check rows.jsonl
    """
    from node.core import dataset
    from node.errors import InvalidInput

    data = party.read(file)
    try:
        rows = dataset.parse(data)
    except InvalidInput as fault:
        party.tell_violations(fault.violations)
        raise
    if as_json:
        return party.print_json({"rows": len(rows), "size_bytes": len(data)})
    return typer.echo(f"{file}: {len(rows):,} rows, every line is well formed.")


@app.command()
def upload(
    file: File,
    check_only: Annotated[bool, typer.Option("--check-only", help="Check and count; keep nothing.")] = False,
    home: options.Home = None,
    coordinator: options.Coordinator = None,
    as_json: options.Json = False,
) -> None:
    """Uploads FILE, or what is still missing of it, and makes a data set. The same bytes again are the same data set.

    Example: hallmark data upload rows.jsonl
    """
    data = party.read(file)
    with party.bar(f"Uploading {file.name}") as report:
        made: Dataset = party.ask(
            lambda client: client.upload_data_set(data, validate_only=check_only, report=report),
            home=home,
            coordinator=coordinator,
            role="client",
        )
    if as_json:
        return party.print_json(party.plain(made))
    return typer.echo(
        f"{made.name}\n  {made.row_count:,} rows, {made.token_count:,} tokens, the longest row has "
        f"{made.longest_row_tokens:,}{'; not kept' if check_only else ''}"
    )


@app.command("list")
def list_(home: options.Home = None, coordinator: options.Coordinator = None, as_json: options.Json = False) -> None:
    """Your data sets, newest first.

    Example: hallmark data list
    """

    async def listed(client: Client) -> list[Dataset]:
        return [each async for each in client.data_sets()]

    found = party.ask(listed, home=home, coordinator=coordinator, role="client")
    if as_json:
        return party.print_json([party.plain(each) for each in found])
    return print_table(
        ("data set", "rows", "tokens", "longest row", "created"),
        [
            (
                each.name,
                each.row_count,
                each.token_count,
                each.longest_row_tokens,
                moment(each.create_time.ToMilliseconds()),
            )
            for each in found
        ],
        wraps=("data set",),
    )


@app.command()
def delete(
    name: Annotated[str, typer.Argument(help="datasets/sha256:..., as `list` shows it.", show_default=False)],
    home: options.Home = None,
    coordinator: options.Coordinator = None,
) -> None:
    """Deletes a data set that no job is over.

    Example: hallmark data delete datasets/sha256:9f86...
    """
    party.ask(lambda client: client.delete_data_set(name), home=home, coordinator=coordinator, role="client")
    typer.echo(f"{name} is deleted.")
