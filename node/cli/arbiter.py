"""`hallmark arbiter`: another verifier, which repeats disputed verdicts."""

from __future__ import annotations

from typing import Annotated

import typer

from node.cli import options

app = typer.Typer(help="An arbiter: repeats disputed verdicts with a verifier of its own.", no_args_is_help=True)


@app.command()
def run(
    coordinator: options.Coordinator = None,
    home: options.Home = None,
    model: options.Model = None,
    once: options.Once = False,
) -> None:
    """Rules on the challenges that name this arbiter, as they come, until Ctrl-C. It dials out; nothing listens."""
    _arbitrate(coordinator, home, model, None, once=once)


@app.command()
def rule(
    job: Annotated[str, typer.Argument(help="The job's id.", show_default=False)],
    coordinator: options.Coordinator = None,
    home: options.Home = None,
    model: options.Model = None,
) -> None:
    """Repeats the verdict on one challenged job, posts the ruling, and exits.

    Example: hallmark arbiter rule job-1 --coordinator node.example:50051
    """
    _arbitrate(coordinator, home, model, job, once=True)


def _arbitrate(
    coordinator: options.Coordinator, home: options.Home, model: options.Model, job: str | None, *, once: bool
) -> None:
    from node import bootstrap, settings

    options.log_to_stderr()
    with options.interruptible():
        bootstrap.run_arbiter(
            settings.load(home=home, coordinator=coordinator),
            model,
            job=job,
            once=once,
            report=lambda text: typer.echo(text, err=True),
        )
