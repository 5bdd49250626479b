"""`hallmark provider`: run a node operator's worker, and see what it does and earns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from node.cli import options, party
from node.cli.tables import moment, print_table, shortened

if TYPE_CHECKING:
    from node.client.client import Client
    from node.provider.journal import Told
    from node.wire.hallmark.v1.escrow_pb2 import Account, Transfer
    from node.wire.hallmark.v1.jobs_pb2 import Job
    from node.wire.hallmark.v1.providers_pb2 import Provider

app = typer.Typer(help="A provider's worker: leases jobs, trains, delivers.", no_args_is_help=True)

#: In the order in which a record reads best.
RECORD = ("accepted", "rejected", "inconclusive", "aborted", "forfeited", "faulted")
#: As the escrow names what it pays for work, cancellation fees and bonds of silent coordinators included.
PAID = "PaymentReleased"
SHOWN_LEFT = 10


@dataclass(frozen=True, slots=True)
class _Seen:
    """What the coordinator says of a provider.

    Attributes:
        earned_minor: all that was ever paid to it for jobs.
        jobs: those whose terms it signed, and which have not ended.
    """

    provider: Provider
    account: Account
    earned_minor: int
    jobs: Sequence[Job]

    @property
    def at_stake_minor(self) -> int:
        return sum(job.stake_minor for job in self.jobs)

    @property
    def expected_minor(self) -> int:
        """What is paid if every job is accepted."""
        return sum(job.price_minor - job.fee_minor for job in self.jobs)


@app.command()
def run(
    coordinator: options.Coordinator = None,
    home: options.Home = None,
    model: Annotated[
        list[Path] | None,
        typer.Option(help="A base model's directory; repeatable. Default: the packaged SmolLM2-135M-Instruct."),
    ] = None,
    least_price: Annotated[
        int | None,
        typer.Option(
            min=0,
            help="Minor units for 1,000 trained tokens; default: the setting `least_price_per_1000_tokens`.",
            show_default=False,
        ),
    ] = None,
    ray_address: Annotated[
        str | None,
        typer.Option(
            help="HOST:PORT of your own running Ray, whose machines see the files under --home and --model; "
            "default: the setting `ray_address`, and a Ray of this machine's own if that is empty.",
            show_default=False,
        ),
    ] = None,
    gpus_per_job: Annotated[
        int | None,
        typer.Option(
            min=1, help="GPUs of one machine that train a job together; default: the setting.", show_default=False
        ),
    ] = None,
    once: options.Once = False,
) -> None:
    """Leases jobs from the coordinator, trains them on your own Ray, delivers, until Ctrl-C.

    It takes the jobs that it can finish and refuses the others; `hallmark provider status` says why. It works on one
    job at a time, on one GPU or on --gpus-per-job of one machine. For more jobs at a time run more agents, each with
    a --home of its own (its own key, admission and deposit): on one Ray with --ray-address, which gives each job its
    GPUs, or each with its CUDA_VISIBLE_DEVICES.

    Example: hallmark provider run --coordinator node.example:50051 --least-price 80
    """
    from node import bootstrap, settings

    options.log_to_stderr()
    with options.interruptible():
        bootstrap.run_provider(
            settings.load(
                home=home,
                coordinator=coordinator,
                least_price_per_1000_tokens=least_price,
                ray_address=ray_address,
                gpus_per_job=gpus_per_job,
            ),
            model or (),
            once=once,
            dishonesty=None,
            report=lambda text: typer.echo(text, err=True),
        )


@app.command()
def status(home: options.Home = None, coordinator: options.Coordinator = None, as_json: options.Json = False) -> None:
    """What the agent of this home does, what it has at stake, what it earned, and which jobs it left and why.

    Works while the agent runs and after. Without an answer from the coordinator it shows what the agent wrote down.

    Example: hallmark provider status
    """
    from node import settings
    from node.errors import Unavailable
    from node.provider import journal

    state = settings.load(home=home).state
    told, runs = journal.read(journal.file_in(state)), journal.is_open(state)
    try:
        seen = party.ask(_seen, home=home, coordinator=coordinator, role="provider")
    except Unavailable as fault:
        typer.echo(f"{fault} What follows is what the agent wrote down.", err=True)
        seen = None
    if as_json:
        return party.print_json({"runs": runs, "agent": asdict(told), "coordinator": _as_json(seen) if seen else None})
    _print_agent(told, runs=runs)
    if seen:
        _print_seen(seen)
    return _print_left(told)


async def _seen(client: Client) -> _Seen:
    from node.core.job import SILENCE
    from node.wire.hallmark.v1.jobs_pb2 import JOB_STATE_TRAINING

    listed = [job async for job in client.jobs(states=list(SILENCE))]
    paid = [each.amount_minor async for each in client.transfers() if _pays(each, client.key_id)]
    return _Seen(
        provider=await client.provider(),
        account=await client.account(),
        earned_minor=sum(paid),
        jobs=[await client.job(job.name) if job.state == JOB_STATE_TRAINING else job for job in listed],
    )


def _pays(transfer: Transfer, key_id: str) -> bool:
    return transfer.kind == PAID and transfer.credit == f"party:{key_id}"


def _as_json(seen: _Seen) -> dict[str, Any]:
    return {
        "provider": party.plain(seen.provider),
        "account": party.plain(seen.account),
        "at_stake_minor": seen.at_stake_minor,
        "earned_minor": seen.earned_minor,
        "expected_minor": seen.expected_minor,
        "jobs": [party.plain(job) for job in seen.jobs],
    }


def _print_agent(told: Told, *, runs: bool) -> None:
    doing = f"job {told.job}: {told.doing}" if told.job else "no job in hand"
    typer.echo(f"The agent {'runs' if runs else 'does not run'}; {doing}.")
    if at := told.progress:
        typer.echo(
            f"  training          step {at.step} of {at.steps}, epoch {at.epoch:.1f}, loss {at.loss:.3f}, "
            f"{at.tokens_per_second:,.0f} tokens/s"
        )
    if told.trouble:
        typer.echo(f"  trouble           {told.trouble}")
    if told.heard_at_ms:
        typer.echo(f"  coordinator       last answered {moment(told.heard_at_ms)} UTC")
    for model, speed in told.tokens_per_second.items():
        typer.echo(f"  speed             {speed:,.0f} tokens/s over base model {shortened(model)}")


def _print_seen(seen: _Seen) -> None:
    token, record = seen.account.token, seen.provider.record
    typer.echo(f"Provider {seen.provider.name.removeprefix('providers/')} ({seen.provider.display_name})")
    typer.echo(
        f"  account           {seen.account.available_minor:,} {token} available, {seen.at_stake_minor:,} at stake"
    )
    typer.echo(
        f"  earned            {seen.earned_minor:,} {token} so far; "
        f"{seen.expected_minor:,} more if every job in hand is accepted"
    )
    typer.echo(f"  record            {', '.join(f'{getattr(record, how):,} {how}' for how in RECORD)}")
    if seen.jobs:
        columns = ("job", "state", "waits for", "until (UTC)", "price", "stake", "training ends")
        print_table(columns, [_line(job) for job in seen.jobs], wraps=("job",))


def _line(job: Job) -> tuple[str | int, ...]:
    from node.wire.translate import state_from_wire

    known = job.HasField("estimated_finish_time")
    return (
        job.name.removeprefix("jobs/"),
        state_from_wire(job.state).value,
        job.waits_for,
        moment(job.due_time.ToMilliseconds()),
        job.price_minor,
        job.stake_minor,
        f"about {moment(job.estimated_finish_time.ToMilliseconds())}" if known else "",
    )


def _print_left(told: Told) -> None:
    if told.left:
        typer.echo("Jobs that it left, the last ones first:")
        lines = [(moment(each.at_ms), each.job, each.reason) for each in reversed(told.left[-SHOWN_LEFT:])]
        print_table(("when (UTC)", "job", "why"), lines, wraps=("job", "why"))
