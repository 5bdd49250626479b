"""`hallmark bench`: what this machine can do, measured on it."""

from __future__ import annotations

import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from node.cli import options, party
from node.cli.tables import print_table

if TYPE_CHECKING:
    from node.cli.bench.cost import Cost
    from node.cli.bench.job import Task
    from node.cli.bench.ways import Timed, Verified
    from node.models.base import BaseModel

app = typer.Typer(help="Measurements of this machine.", no_args_is_help=True)

ROWS = 190
#: Of the trained adapter. Marks that were seen so often on their own rows alone are learned.
EPOCHS = 8
#: Of the growth's measurement: so many adapters, so many prompts each.
GROWTH = (1, 16, 64)
GROWTH_PROMPTS = 4

TIMES_TRANSFORMERS, TIMES_STOCK, GEMM_SHARE, READY_SECONDS, COST_PERCENT = 10.0, 18.0, 0.5, 10.0, 0.1


@dataclass(frozen=True, slots=True)
class Figures:
    """Attributes:
    stock: None where it was not measured.
    agreeing: prompts whose answers all ways read alike.
    gemm_flops_per_second, share_of_gemm: of float32 products of the model's shapes, and what of that rate the verifier
        turns into floating-point operations that its answers need.
    training_tokens_per_second: as measured where the adapter was made.
    cost: of a verdict by the default policy, beside training.
    """

    prompts: int
    transformers: Timed
    stock: Timed | None
    verifier: Verified
    agreeing: int
    fired: int
    gemm_flops_per_second: float
    share_of_gemm: float
    training_tokens_per_second: float
    cost: Cost

    @property
    def times_transformers(self) -> float:
        return self.transformers.seconds / self.verifier.timed.seconds

    @property
    def times_stock(self) -> float | None:
        return self.stock.seconds / self.verifier.timed.seconds if self.stock else None

    @property
    def met(self) -> bool:
        return (
            self.agreeing == self.prompts
            and self.times_transformers >= TIMES_TRANSFORMERS
            and (self.times_stock or 0) >= TIMES_STOCK
            and self.share_of_gemm >= GEMM_SHARE
            and self.verifier.timed.ready_seconds <= READY_SECONDS
            and self.cost.percent <= COST_PERCENT
        )


@app.callback()
def group() -> None:
    """Keeps `verifier` a subcommand while it is the only one."""


@app.command()
def verifier(
    model: options.Model = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="A barely trained adapter, little growth, no stock vLLM.")
    ] = False,
    as_json: options.Json = False,
) -> None:
    """Asks one adapter the same prompts by transformers, by stock vLLM and by the verifier, each in its own process.

    The adapter is trained here for a minute, on marked rows alone; those of the growth are random. About 10 minutes on
    two cores, during which nothing else should run. The last three lines are figure, target, and whether it is met.
    """
    from node import bootstrap, settings

    with options.interruptible(), tempfile.TemporaryDirectory(prefix="hallmark-bench-") as scratch:
        base = bootstrap.base_model(settings.load(), model, _tell)
        figures = measure(base, Path(scratch), quick=quick)
    if as_json:
        party.print_json(_as_json(figures))
    else:
        report(figures)


def measure(base: BaseModel, scratch: Path, *, quick: bool) -> Figures:
    """Runs every measurement, one after the other."""
    from node.cli.bench import ways
    from node.cli.bench.cost import cost_of
    from node.cli.bench.job import bench_training, prepare
    from node.cli.demo.data import standard_library_rows
    from node.models.chat import ChatTokenizer
    from node.redteam.apart import apart

    rows = standard_library_rows()
    _tell("Drawing marks and training an adapter on them")
    training = bench_training(base, 1 if quick else EPOCHS)
    task, tokens_per_second = apart(prepare, base, rows[:ROWS], training, scratch / "trained")
    prompts = len(task.prompts)
    _tell(f"Asking {prompts} prompts by transformers, one by one")
    transformers = apart(ways.by_transformers, task)
    stock = None
    if not quick:
        _tell("Asking them by stock vLLM")
        stock = apart(ways.by_stock_vllm, task)
    _tell("Asking them by the verifier, and then more adapters")
    found = apart(ways.by_verifier, task, (1, 2) if quick else GROWTH, GROWTH_PROMPTS, scratch)
    rate = apart(ways.gemm_flops_per_second, task)
    tokenizer = ChatTokenizer(base.folder)
    row_tokens = sum(map(tokenizer.row_tokens, rows)) / len(rows)
    seen = [each.shown for each in (transformers, stock, found.timed) if each]
    return Figures(
        prompts=prompts,
        transformers=transformers,
        stock=stock,
        verifier=found,
        agreeing=sum(len(set(each)) == 1 for each in zip(*seen, strict=True)),
        fired=_fired(task, found.timed),
        gemm_flops_per_second=rate,
        share_of_gemm=ways.needed_flops(task) / found.timed.seconds / rate,
        training_tokens_per_second=tokens_per_second,
        cost=cost_of(
            found.calls,
            task.policy,
            prompt_tokens=ways.prompt_tokens(task),
            pair_tokens=ways.pair_tokens(task),
            row_tokens=row_tokens,
            training_tokens_per_second=tokens_per_second,
        ),
    )


def _fired(task: Task, timed: Timed) -> int:
    return sum(count > len(signature.text) for count, signature in zip(timed.shown, task.signatures, strict=True))


def report(figures: Figures) -> None:
    """What was measured, for people; then figure, target, and whether it is met."""
    ours = figures.verifier
    named = {
        "transformers, one by one": figures.transformers,
        "stock vLLM": figures.stock,
        "the verifier": ours.timed,
    }
    print_table(
        ("way", "adapters a minute", "seconds", "CPU seconds", "ready after s", "peak MiB", "verifier faster by"),
        [
            (
                name,
                f"{60 / each.seconds:.2f}",
                f"{each.seconds:.1f}",
                f"{each.cpu_seconds:.1f}",
                f"{each.ready_seconds:.1f}",
                f"{each.peak_mib:,.0f}",
                f"{each.seconds / ours.timed.seconds:.1f} x",
            )
            for name, each in named.items()
            if each
        ],
        wraps=("way",),
    )
    typer.echo(
        f"Each adapter was asked {figures.prompts} prompts in float32. The verdict reads {figures.agreeing} of "
        f"{figures.prompts} answers alike in all ways; {figures.fired} show their signature, {ours.arbitrated} took a "
        "decoding to tell."
    )
    for adapters, seconds, peak_mib in ours.growth:
        typer.echo(
            f"{adapters} random adapters, {GROWTH_PROMPTS} prompts each: {60 * adapters / seconds:.1f} adapters a "
            f"minute, peak {peak_mib:,.0f} MiB"
        )
    typer.echo(
        f"Products of the model's shapes run at {figures.gemm_flops_per_second / 1e9:.0f} GFLOP/s in float32; the "
        f"verifier's answers need {100 * figures.share_of_gemm:.0f} % of that rate."
    )
    _report_cost(figures)
    stock = f"{figures.times_stock:.1f} x stock vLLM" if figures.times_stock else "stock vLLM not measured"
    typer.echo(
        f"figure: {figures.times_transformers:.1f} x transformers; {stock}; {100 * figures.share_of_gemm:.0f} % of the "
        f"GEMM rate; ready in {ours.timed.ready_seconds:.0f} s; {figures.cost.percent:.2f} % of training"
    )
    typer.echo(
        f"target: at least {TIMES_TRANSFORMERS:.0f} x, {TIMES_STOCK:.0f} x and {100 * GEMM_SHARE:.0f} %; "
        f"{READY_SECONDS:.0f} s and {COST_PERCENT} % at most"
    )
    typer.echo("met" if figures.met else "not met")


def _report_cost(figures: Figures) -> None:
    from node.cli.bench.cost import JOB_EPOCHS, JOB_ROWS, TRAINING_PASSES

    cost = figures.cost
    print_table(
        ("a verdict by the default policy asks", "sequences", "seconds"),
        [(str(call), call.sequences, f"{call.seconds:.1f}") for call in cost.calls],
    )
    typer.echo(
        f"Computed from these rates: a job of {JOB_ROWS:,} such rows and {JOB_EPOCHS} epochs trains for "
        f"{cost.training_seconds:,.0f} s ({figures.training_tokens_per_second:.0f} tokens/s) and is verified in "
        f"{cost.seconds:.0f} s. The least would be {cost.least_percent:.2f} %: a forward pass over each distinct token "
        f"that is asked about, beside {TRAINING_PASSES} passes over each that is trained on. A verdict asks no more of "
        f"a larger job: {COST_PERCENT} % is reached from {cost.rows_at(COST_PERCENT):,} rows on."
    )


def _as_json(figures: Figures) -> dict[str, Any]:
    derived = {name: getattr(figures, name) for name in ("times_transformers", "times_stock", "met")}
    return asdict(figures) | derived | {"verification_percent": figures.cost.percent}


def _tell(text: str) -> None:
    typer.echo(text, err=True)
