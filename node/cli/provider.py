"""`hallmark provider`: run a node operator's worker."""

from __future__ import annotations

import typer

from node.cli import options

app = typer.Typer(help="A provider's worker: leases jobs, trains, delivers.", no_args_is_help=True)


@app.callback()
def group() -> None:
    """Keeps `run` a subcommand while it is the only one."""


@app.command()
def run(
    coordinator: options.Coordinator = None,
    home: options.Home = None,
    model: options.Model = None,
    once: options.Once = False,
) -> None:
    """Leases jobs from the coordinator, trains them on this machine's own Ray, delivers, until Ctrl-C."""
    from node import bootstrap, settings

    options.log_to_stderr()
    with options.interruptible():
        bootstrap.run_provider(
            settings.load(home=home, coordinator=coordinator),
            model,
            once=once,
            dishonesty=None,
            report=lambda text: typer.echo(text, err=True),
        )
