"""`hallmark demo`: the whole story on one machine, with nothing to configure."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from node.cli import options

LEAST_MEMORY_GIB = 6
LEAST_DISK_GIB = 2


def demo(
    data: Annotated[
        Path | None,
        typer.Option(help="JSON Lines of chat messages or prompt/completion; default: Python's own docstrings."),
    ] = None,
    model: options.Model = None,
    home: Annotated[Path, typer.Option(help="Folder for keys, receipts and logs.")] = Path("hallmark-demo"),
    listen: Annotated[
        str, typer.Option(help="HOST:PORT of the coordinator; port 0 takes any free one.")
    ] = "127.0.0.1:0",
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON on stdout.")] = False,
) -> None:
    """Three jobs, three providers: one trains, one idles, one trains on a fifth. The evidence decides who is paid.

    Takes 5 to 10 minutes on 2 CPU cores. Exit code 0 only if verdicts and payments are what the evidence demands.
    """
    import asyncio
    import json
    import os

    os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")  # children are started anew; gRPC would warn at each one
    from node import bootstrap, settings
    from node.cli.demo import data as rows
    from node.cli.demo import report, story
    from node.cli.demo.screen import Screen

    loaded = settings.load(home=home.absolute(), listen=listen, database="")
    with options.interruptible(), Screen() as screen:
        screen.step("Checking data, memory and disk")
        loaded.home.mkdir(parents=True, exist_ok=True)
        bootstrap.require_port(listen)
        bootstrap.require_memory(LEAST_MEMORY_GIB)
        bootstrap.require_disk(loaded.home, LEAST_DISK_GIB)
        found = rows.rows_of_file(data) if data else rows.standard_library_rows()
        policy = story.PLAN.policy
        shares = rows.shares(found, len(story.PARTS), story.PLAN.rows, policy.least_rows())
        base = bootstrap.base_model(loaded, model, screen.step)
        plan = story.plan_for(base)
        story.check_rows(shares, plan, base)
        screen.done(f"{len(shares[0])} rows a job, {len(found)} found; base model {base.digest}")
        screen.note(
            f"  Policy: {policy.groups} groups of {policy.marks_per_group} marks, {policy.pairs} held-out pairs. "
            "[yellow]Its least isolation cost is lowered to 0: so few rows cannot hide their marks "
            "from whoever counts phrases. Every verdict says so.[/yellow]"
        )
        acts = asyncio.run(story.play(loaded, base, shares, plan, screen))
    if as_json:
        typer.echo(json.dumps(report.as_json(acts, loaded), indent=2))
    else:
        report.show(acts, loaded)
    if not all(act.as_deserved for act in acts):
        typer.echo(
            "hallmark: a verdict or a payment is not what the provider's work deserves; see the table.", err=True
        )
        raise typer.Exit(1)
