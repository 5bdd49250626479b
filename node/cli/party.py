"""What the clients' commands share: one party's connection to its coordinator, and how answers are shown."""

from __future__ import annotations

import json
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import typer

from node.cli import options

if TYPE_CHECKING:
    from google.protobuf.message import Message

    from node.client.client import Client, Report
    from node.crypto.certificates import Identity

T = TypeVar("T")


def ask(act: Callable[[Client], Awaitable[T]], *, home: Path | None, coordinator: str | None, role: str) -> T:
    """What `act` answers, over a connection of this home's party.

    Raises:
        NotFound: the home holds no certificate for the role.
        HallmarkError: what `act` raises; of several wrong fields, each is told on stderr first.
    """
    import asyncio

    from node import settings
    from node.client.client import Client
    from node.errors import InvalidInput

    loaded = settings.load(home=home, coordinator=coordinator)
    identity = identity_of(loaded.home, role)

    async def connected() -> T:
        async with Client(loaded.coordinator, identity) as client:
            return await act(client)

    try:
        return asyncio.run(connected())
    except InvalidInput as fault:
        tell_violations(fault.violations)
        raise
    except KeyboardInterrupt:
        typer.echo("hallmark: interrupted; what the coordinator was told stays.", err=True)
        raise typer.Exit(options.INTERRUPTED) from None


def identity_of(home: Path, role: str) -> Identity:
    """This home's party. An operator's home that had none in this role has one then, and that is said.

    Raises:
        NotFound: the home holds no certificate for the role.
    """
    from node.crypto.certificates import Role
    from node.storage import tls

    known = Role(role) in tls.roles(home)
    found = tls.identity(home, Role(role))
    if not known:
        told = f"hallmark: {home} is an operator's; an identity as {role} was made there: {found.key.public.key_id}."
        typer.echo(told, err=True)
    return found


def tell_violations(violations: tuple[tuple[str, str], ...]) -> None:
    """Several wrong places, a line each; a single one is in the error's own line."""
    if len(violations) > 1:
        for place, said in violations:
            typer.echo(f"  {place}: {said}", err=True)


@contextmanager
def bar(what: str) -> Iterator[Report]:
    """A bar on stderr that follows a transfer; only on a terminal."""
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn

    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(bar_width=24), DownloadColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task(what, total=None)
        yield lambda done, total: progress.update(task, completed=done, total=total)


def confirm(question: str, *, yes: bool) -> None:
    """Asks a person before something costs money.

    Raises:
        InvalidInput: nobody is there to be asked, and `yes` was not given.
    """
    from node.errors import InvalidInput

    if yes:
        return
    if not sys.stdin.isatty():
        raise InvalidInput("Nobody is there to confirm this.", fix="Give --yes.", field="yes")
    typer.confirm(question, abort=True, err=True)


def print_json(value: Any) -> None:
    typer.echo(json.dumps(value, indent=2))


def plain(message: Message) -> dict[str, Any]:
    """A message in the JSON form of Protocol Buffers, every field of it; amounts are strings there."""
    from google.protobuf.json_format import MessageToDict

    fields: dict[str, Any] = MessageToDict(
        message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
    )
    return fields


def read(file: Path) -> bytes:
    """Raises InvalidInput if the file cannot be read."""
    from node.errors import InvalidInput

    try:
        return file.read_bytes()
    except OSError as fault:
        raise InvalidInput(f"{file} cannot be read: {fault.strerror}.", field="file") from fault
