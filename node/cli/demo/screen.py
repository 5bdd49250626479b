"""What the demonstration shows while it runs: what happens now, who acts next, how training goes."""

from __future__ import annotations

from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from node.core.events import JobEvent
from node.core.job import SILENCE


class Screen:
    """Live progress on stderr, so that stdout carries the result alone."""

    def __init__(self) -> None:
        self._console = Console(stderr=True, highlight=False, soft_wrap=True)
        self._progress = Progress(
            TextColumn("[bold]{task.description}"),
            BarColumn(bar_width=24),
            TextColumn("{task.fields[detail]}"),
            TimeElapsedColumn(),
            console=self._console,
            transient=True,
        )
        self._epochs_told = 0
        self._task = self._progress.add_task("starting", total=None, detail="")

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def heading(self, text: str) -> None:
        self._console.print(f"\n[bold]{text}[/bold]")

    def note(self, text: str) -> None:
        self._console.print(text)

    def step(self, text: str) -> None:
        """Something that takes time begins."""
        self._progress.reset(self._task, total=None, description=text, detail="")

    def done(self, text: str) -> None:
        self._console.print(f"  [green]✓[/green] {text}")

    def event(self, event: JobEvent) -> None:
        """A job's event: progress moves the bar, anything else is a line that says who acts next."""
        if event.progress:
            at = event.progress
            detail = f"epoch {at.epoch:.1f}  loss {at.loss:.3f}  {at.tokens_per_second:.0f} tokens/s"
            self._progress.update(
                self._task, description="  Provider trains", completed=at.step, total=at.steps, detail=detail
            )
            if not self._console.is_terminal and int(at.epoch) > self._epochs_told:
                self._console.print(f"  training  {detail}")
            self._epochs_told = int(at.epoch)
            return
        waits = SILENCE[event.state].actor.value if event.state in SILENCE else "nobody"
        self._console.print(f"  [dim]{event.state.value:<9}[/dim] {event.message} [dim]Next: {waits}.[/dim]")
        self.step(f"  Waiting for the {waits}" if waits != "nobody" else "  Fetching the receipt")
