"""The command `hallmark`: parses, calls one function, turns errors into one line and an exit code.

Light to import: a command imports what it needs when it runs.
"""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer

from node import __version__, errors
from node.cli import (
    account,
    arbiter,
    calibrate,
    challenge,
    config,
    coordinator,
    data,
    escrow,
    init,
    job,
    log,
    plan,
    provider,
    receipt,
    redteam,
    verify,
    vet,
)
from node.cli.bench import command as bench
from node.cli.demo import command as demo
from node.cli.doctor import command as doctor

#: The first matching row decides.
EXIT_CODES: tuple[tuple[type[errors.HallmarkError], int], ...] = (
    (errors.InvalidInput, 2),
    (errors.UnknownSigner, 4),
    (errors.IntegrityFailure, 3),
    (errors.Unavailable, 5),
    (errors.NotInstalled, 6),
    (errors.NotFound, 7),
    (errors.PermissionRefused, 8),
    (errors.Conflict, 9),
)

app = typer.Typer(
    name="hallmark",
    help="A verifier node for decentralised fine-tuning: did the stranger's GPU train on your data?",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.command("demo")(demo.demo)
app.command("vet")(vet.vet)
app.command("plan")(plan.plan)
app.command("calibrate")(calibrate.calibrate)
app.command("init")(init.init)
app.command("admit")(init.admit)
app.add_typer(data.app, name="data")
app.add_typer(job.app, name="job")
app.add_typer(account.app, name="account")
app.add_typer(receipt.app, name="receipt")
app.command("verify")(verify.verify)
app.command("challenge")(challenge.challenge)
app.add_typer(log.app, name="log")
app.add_typer(coordinator.app, name="coordinator")
app.add_typer(provider.app, name="provider")
app.add_typer(arbiter.app, name="arbiter")
app.add_typer(escrow.app, name="escrow")
app.add_typer(redteam.app, name="redteam")
app.add_typer(bench.app, name="bench")
app.add_typer(config.app, name="config")
app.command("doctor")(doctor.doctor)


@app.callback(invoke_without_command=True)
def root(version: Annotated[bool, typer.Option("--version", help="Print the version and exit.")] = False) -> None:
    if version:
        typer.echo(__version__)
        raise typer.Exit


def main() -> None:
    """Runs the command; an error of ours is one line on stderr and its own exit code."""
    os.environ.setdefault("GRPC_VERBOSITY", "ERROR")  # at INFO gRPC's core tells stderr of every connection that ends
    try:
        app()
    except errors.HallmarkError as fault:
        print(f"hallmark: {fault}", file=sys.stderr)
        sys.exit(exit_code(fault))


def exit_code(fault: errors.HallmarkError) -> int:
    return next(code for kind, code in EXIT_CODES if isinstance(fault, kind))
