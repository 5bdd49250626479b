"""`hallmark redteam`: dishonest providers, to see for yourself what they get away with."""

from __future__ import annotations

from typing import Annotated

import typer

from node.cli import options

app = typer.Typer(help="Dishonest providers, and what they get away with.", no_args_is_help=True)


@app.callback()
def group() -> None:
    """Keeps `run` a subcommand while it is the only one."""


@app.command()
def run(
    strategy: Annotated[str, typer.Argument(help="How to cheat: idle or partial.", show_default=False)],
    coordinator: options.Coordinator = None,
    home: options.Home = None,
    model: options.Model = None,
    once: options.Once = False,
) -> None:
    """Runs a provider that cheats as STRATEGY says; everything else about it is a provider's usual work."""
    from node import bootstrap, settings
    from node.errors import InvalidInput
    from node.redteam import STRATEGIES

    if strategy not in STRATEGIES:
        raise InvalidInput(
            f"There is no strategy {strategy!r}.", fix=f"Choose one of {', '.join(STRATEGIES)}.", field="strategy"
        )
    options.log_to_stderr()
    with options.interruptible():
        bootstrap.run_provider(
            settings.load(home=home, coordinator=coordinator),
            [model] if model else [],
            once=once,
            dishonesty=STRATEGIES[strategy].wrap,
            report=lambda text: typer.echo(text, err=True),
        )
