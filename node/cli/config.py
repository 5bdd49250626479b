"""`hallmark config`: which settings are in force, and where each of them comes from."""

from __future__ import annotations

import re
from typing import Annotated

import typer

from node.cli import options

app = typer.Typer(help="The settings in force and where they come from.", no_args_is_help=True)

#: In a URL: from the colon after the user's name to the last @ before the path, and a query's password.
_PASSWORD = re.compile(r"(?<=://)(?P<user>[^:/@?]*):.*@|(?P<query>\bpassword=)[^&]*")


@app.command()
def show(
    home: options.Home = None,
    describe: Annotated[bool, typer.Option("--describe", help="Say what each setting is for.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print JSON, descriptions included.")] = False,
) -> None:
    """Prints every setting, its value and its origin: default, file, environment variable or option.

    Example: HALLMARK_LISTEN=127.0.0.1:50052 hallmark config show
    """
    from node import settings

    found = settings.described(home=home)
    if json:
        from dataclasses import asdict
        from json import dumps

        print(dumps([asdict(each) | {"value": _shown(each.value)} for each in found], indent=2))
        return

    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, header_style="bold", pad_edge=False)
    for column in ("setting", "value", "origin", *(["what it is for"] if describe else [])):
        table.add_column(column, overflow="fold")
    for each in found:
        value = str(_shown(each.value)) or '""'
        table.add_row(each.name, value, each.origin, *([each.description] if describe else []))
    Console(highlight=False, markup=False).print(table)


@app.command()
def path() -> None:
    """Prints the file that settings are read from, whether or not it is there."""
    from node import settings

    print(settings.config_file())


def masked(text: str) -> str:
    """`text` with the passwords of the URLs in it replaced by asterisks."""
    return _PASSWORD.sub(
        lambda found: f"{found['query'] or found['user'] + ':'}***{'' if found['query'] else '@'}", text
    )


def _shown(value: object) -> bool | int | float | str:
    return value if isinstance(value, bool | int | float) else masked(str(value))
