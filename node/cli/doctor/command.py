"""`hallmark doctor`: runs every check, in seconds and without loading a model library; exit code 1 if one is broken."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from node.cli import options

if TYPE_CHECKING:
    from node.cli.doctor.findings import Check

BROKEN_EXIT_CODE = 1
MARKS = {"ok": "[green]ok     [/]", "warning": "[yellow]warning[/]", "broken": "[red]broken [/]"}


def checks(*, must_serve: bool) -> dict[str, Check]:
    """Every check by its name, in the order in which things are needed."""
    from node.cli.doctor import database, home, machine, serving

    return {
        "python": machine.python,
        "packages": machine.packages,
        "memory": machine.memory,
        "disk": machine.disk,
        "clock": machine.clock,
        "keys": home.keys,
        "certificates": home.certificates,
        "database": database.database,
        "blobs": home.blobs,
        "base model": home.base_model,
        "coordinator": serving.serving if must_serve else serving.found,
    }


def doctor(
    home: options.Home = None,
    must_serve: Annotated[bool, typer.Option("--serving", help="A coordinator must be serving here now.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Looks for what would keep a node from working here, and says how to cure it. A warning is no failure.

    Example: hallmark doctor --serving && echo "all is well"
    """
    from node import settings
    from node.cli.doctor.findings import Level, findings

    loaded = settings.load(home=home)
    found = [
        (name, finding) for name, check in checks(must_serve=must_serve).items() for finding in findings(check, loaded)
    ]
    if json:
        from dataclasses import asdict
        from json import dumps

        print(dumps([{"check": name, **asdict(finding)} for name, finding in found], indent=2))
    else:
        from rich.console import Console
        from rich.markup import escape

        console = Console(highlight=False, soft_wrap=True)
        for name, finding in found:
            console.print(f"{MARKS[finding.level]}  {name:12}  {escape(finding.found)}")
            if finding.fix:
                console.print(f"                       {escape(finding.fix)}")
    if any(finding.level is Level.BROKEN for _, finding in found):
        raise typer.Exit(BROKEN_EXIT_CODE)
