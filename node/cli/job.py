"""`hallmark job`: quote, place, follow and cancel fine-tuning jobs, and fetch what they came to."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from node.cli import options, party
from node.cli.tables import moment, print_table, shortened

if TYPE_CHECKING:
    from node.client.client import Client
    from node.core.messages import Offer
    from node.wire.hallmark.v1.jobs_pb2 import EpochCheckpoint, Quote
    from node.wire.hallmark.v1.jobs_pb2 import Job as WireJob

app = typer.Typer(help="Fine-tuning jobs, from the quote to the settled receipt.", no_args_is_help=True)

Job = Annotated[str, typer.Argument(metavar="JOB", help="The job's id.", show_default=False)]
Data = Annotated[
    str,
    typer.Argument(
        metavar="DATA", help="A JSON Lines file, which is uploaded, or datasets/sha256:...", show_default=False
    ),
]
Price = Annotated[int, typer.Option(min=0, help="Minor units; 0 takes the coordinator's tariff.")]
Arbiter = Annotated[str, typer.Option(help="Key id of the arbiter; default: the coordinator's proposal.")]
PolicyFile = Annotated[
    Path | None, typer.Option("--policy", help="Marking policy, as `hallmark plan --json` writes it.")
]
Changes = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="SECTION.FIELD=VALUE",
        help="Another value than the default, in training, policy or deadlines; repeatable.",
    ),
]


@dataclass(frozen=True, slots=True)
class _Wish:
    """What the options of `quote` and `create` say of a job."""

    price: int
    arbiter: str
    sections: dict[str, dict[str, Any]]

    async def quoted(self, client: Client, data: str) -> tuple[Offer, Quote]:
        """Uploads the data if it is a file, and asks for a quote over it."""
        if not data.startswith("datasets/"):
            content = party.read(Path(data))
            with party.bar(f"Uploading {Path(data).name}") as report:
                data = (await client.upload_data_set(content, report=report)).name
        return await client.quote(data, price_minor=self.price, arbiter=self.arbiter, **self.sections)


@app.command()
def quote(
    data: Data,
    price: Price = 0,
    arbiter: Arbiter = "",
    policy: PolicyFile = None,
    changes: Changes = None,
    home: options.Home = None,
    coordinator: options.Coordinator = None,
    as_json: options.Json = False,
) -> None:
    """What a job over DATA would cost and do, or why it cannot work. Nobody pays for that.

    Example: hallmark job quote rows.jsonl --set training.epochs=3 --set policy.groups=6
    """
    wish = _wish(price, arbiter, policy, changes)
    offer, figures = party.ask(
        lambda client: wish.quoted(client, data), home=home, coordinator=coordinator, role="client"
    )
    if as_json:
        from node.core import document

        return party.print_json({**party.plain(figures), "offer": document.to_json(offer)})
    return _print_quote(offer, figures)


@app.command()
def create(
    data: Data,
    price: Price = 0,
    arbiter: Arbiter = "",
    policy: PolicyFile = None,
    changes: Changes = None,
    yes: Annotated[bool, typer.Option("--yes", help="Sign without asking.")] = False,
    no_watch: Annotated[bool, typer.Option("--no-watch", help="Do not follow the job.")] = False,
    check_only: Annotated[bool, typer.Option("--check-only", help="Check everything; place nothing.")] = False,
    home: options.Home = None,
    coordinator: options.Coordinator = None,
    as_json: options.Json = False,
) -> None:
    """Uploads DATA, asks for a quote, shows it, signs the offer once you agree, and follows the job to its end.

    Example: hallmark job create rows.jsonl --price 20000
    """
    wish = _wish(price, arbiter, policy, changes)

    async def placed(client: Client) -> WireJob:
        offer, figures = await wish.quoted(client, data)
        if not as_json:
            _print_quote(offer, figures)
        if not check_only:
            _require_funds(client.key_id, figures)
            question = f"Sign this offer and put {offer.money.price_minor:,} {offer.money.token} on hold?"
            party.confirm(question, yes=yes)
        job = await client.create_job(offer, validate_only=check_only)
        if check_only or no_watch:
            return job
        typer.echo(f"{job.name} is placed. Ctrl-C stops watching, not the job.", err=True)
        await _follow(client, job.name, 0)
        return await client.job(job.name)

    job = party.ask(placed, home=home, coordinator=coordinator, role="client")
    if as_json:
        return party.print_json(party.plain(job))
    if check_only:
        return typer.echo("The coordinator would take this offer. Nothing was placed.")
    return _print_job(job)


@app.command("list")
def list_(
    state: Annotated[list[str] | None, typer.Option(help="Only jobs in this state; repeatable.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="So many at most.")] = 50,
    home: options.Home = None,
    role: options.Role = "client",
    coordinator: options.Coordinator = None,
    as_json: options.Json = False,
) -> None:
    """Your jobs, newest first; all jobs for the operator.

    Example: hallmark job list --state training --state evaluated
    """
    from node.core.job import State
    from node.errors import InvalidInput

    unknown = sorted(set(state or ()) - set(State))
    if unknown:
        raise InvalidInput(f"There is no state {unknown[0]!r}.", fix=f"There are {', '.join(State)}.", field="state")
    states = [State(each) for each in state or ()]

    async def newest(client: Client) -> list[WireJob]:
        found: list[WireJob] = []
        async for each in client.jobs(states=states):
            found.append(each)
            if len(found) == limit:
                break
        return found

    found = party.ask(newest, home=home, coordinator=coordinator, role=role)
    if as_json:
        return party.print_json([party.plain(each) for each in found])
    return print_table(
        ("job", "state", "waits for", "until", "price", "created"),
        [
            (
                each.name.removeprefix("jobs/"),
                _state(each),
                each.waits_for,
                moment(each.due_time.ToMilliseconds()) if each.HasField("due_time") else "",
                f"{each.price_minor:,} {each.token}",
                moment(each.create_time.ToMilliseconds()),
            )
            for each in found
        ],
        wraps=("job",),
    )


@app.command()
def show(
    job: Job,
    home: options.Home = None,
    role: options.Role = "client",
    coordinator: options.Coordinator = None,
    as_json: options.Json = False,
) -> None:
    """One job: where it stands, who must act until when, and what happens if nobody does.

    Example: hallmark job show 5f3a9c
    """
    found = party.ask(lambda client: client.job(_name(job)), home=home, coordinator=coordinator, role=role)
    return party.print_json(party.plain(found)) if as_json else _print_job(found)


@app.command()
def watch(
    job: Job,
    after: Annotated[int, typer.Option(min=0, help="Leave out events up to this number.")] = 0,
    home: options.Home = None,
    role: options.Role = "client",
    coordinator: options.Coordinator = None,
    as_json: options.Json = False,
) -> None:
    """Follows a job until it has ended, also over broken connections. With --json, a line for each event.

    Example: hallmark job watch 5f3a9c
    """

    async def followed(client: Client) -> WireJob:
        if as_json:
            await _print_events(client, _name(job), after)
        else:
            await _follow(client, _name(job), after)
        return await client.job(_name(job))

    ended = party.ask(followed, home=home, coordinator=coordinator, role=role)
    if not as_json:
        _print_job(ended)


@app.command()
def cancel(
    job: Job, home: options.Home = None, coordinator: options.Coordinator = None, as_json: options.Json = False
) -> None:
    """Takes an offer back, for nothing, as long as no provider has signed terms over it.

    Example: hallmark job cancel 5f3a9c
    """
    ended = party.ask(lambda client: client.cancel_job(_name(job)), home=home, coordinator=coordinator, role="client")
    return party.print_json(party.plain(ended)) if as_json else _print_job(ended)


@app.command()
def receipt(
    job: Job,
    file: Annotated[Path | None, typer.Argument(help="Default: JOB.receipt.json.", show_default=False)] = None,
    home: options.Home = None,
    role: options.Role = "client",
    coordinator: options.Coordinator = None,
) -> None:
    """Fetches the receipt of a settled job; `hallmark receipt verify` checks it offline.

    Example: hallmark job receipt 5f3a9c
    """
    from node import settings
    from node.cli import output_file
    from node.core.receipt import from_bytes
    from node.storage import keys
    from node.storage.checkpoints import KeptCheckpoints

    target = file or Path(f"{_name(job).removeprefix('jobs/')}.receipt.json")
    output_file.require_place(target, field="file")
    content = party.ask(lambda client: client.receipt(_name(job)), home=home, coordinator=coordinator, role=role)
    output_file.write(target, content)
    loaded = settings.load(home=home)
    KeptCheckpoints(loaded.home, keys.read_trust(loaded.trust_file)).keep(from_bytes(content).checkpoint)
    typer.echo(f"{target}: check it with `hallmark receipt verify {target}`.")


@app.command()
def adapter(
    job: Job,
    folder: Annotated[
        Path | None, typer.Argument(help="Default: JOB.adapter, or JOB.epoch-N.adapter.", show_default=False)
    ] = None,
    epoch: Annotated[
        int, typer.Option(min=0, help="Its checkpoint after so many epochs; 0 takes the adapter itself.")
    ] = 0,
    home: options.Home = None,
    coordinator: options.Coordinator = None,
) -> None:
    """Downloads the adapter of an accepted job, or what is still missing of it, and checks every byte of its weights.

    The configuration beside them is written here, from the terms that you signed.

    Example: hallmark job adapter 5f3a9c my-adapter
    """
    suffix = f".epoch-{epoch}.adapter" if epoch else ".adapter"
    target = folder or Path(f"{_name(job).removeprefix('jobs/')}{suffix}")
    with party.bar("Downloading the adapter") as report:
        files = party.ask(
            lambda client: client.download_adapter(_name(job), target, epoch=epoch, report=report),
            home=home,
            coordinator=coordinator,
            role="client",
        )
    for each in files:
        typer.echo(f"{each}: {each.stat().st_size:,} bytes.")


def _name(job: str) -> str:
    return job if job.startswith("jobs/") else f"jobs/{job}"


def _state(job: WireJob) -> str:
    from node.wire.translate import state_from_wire

    return state_from_wire(job.state).value


def _wish(price: int, arbiter: str, policy: Path | None, changes: list[str] | None) -> _Wish:
    """Raises InvalidInput for a change or a policy file that is none."""
    from node.errors import InvalidInput

    sections: dict[str, dict[str, Any]] = {"training": {}, "policy": {}, "deadlines": {}}
    if policy is not None:
        try:
            content = json.loads(party.read(policy))
            sections["policy"] = dict(content.get("policy", content))
        except (ValueError, AttributeError, TypeError) as fault:
            raise InvalidInput(
                f"{policy} holds no policy.", fix="`hallmark plan --json` writes one.", field="policy"
            ) from fault
    for change in changes or ():
        place, separator, value = change.partition("=")
        section, dot, field = place.partition(".")
        if not separator or not dot or section not in sections:
            raise InvalidInput(
                f"{change!r} changes nothing.", fix="Write it like --set training.epochs=3.", field="set"
            )
        sections[section][field] = _value(value)
    return _Wish(price, arbiter, sections)


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


async def _follow(client: Client, name: str, after: int) -> None:
    from node.cli.demo.screen import Screen

    with Screen() as screen:
        async for event in client.watch(name, after=after, away=_away):
            screen.event(event)


async def _print_events(client: Client, name: str, after: int) -> None:
    from dataclasses import asdict

    async for event in client.watch(name, after=after, away=_away):
        typer.echo(json.dumps(asdict(event)))


def _away(why: str) -> None:
    typer.echo(f"{why} The job goes on without it for now; asking again.", err=True)


def _require_funds(key_id: str, figures: Quote) -> None:
    """Raises Conflict before anybody signs what they cannot pay."""
    from node.errors import Conflict

    if figures.missing_minor:
        raise Conflict(
            f"{figures.missing_minor:,} {figures.token} are missing on your account; nothing was placed.",
            fix=f"Have the operator run `hallmark account deposit {key_id} {figures.missing_minor}`.",
            missing=figures.missing_minor,
        )


def _print_quote(offer: Offer, figures: Quote) -> None:
    """What is about to be signed, told by the offer itself; the figures only count."""
    money, policy, training = offer.money, offer.policy, offer.training
    pairs = f", and {policy.pairs_needed} pairs won" if policy.pairs_needed else ""
    needed = f"{policy.accept_at} {policy.deciding_test.value}{pairs}"
    typer.echo(f"Job {offer.link.job} over {figures.row_count:,} rows:")
    typer.echo(
        f"  price             {money.price_minor:,} {money.token}; the provider stakes {money.stake_minor:,}, "
        f"the coordinator {money.bond_minor:,}, whose evaluation costs {money.fee_minor:,}"
    )
    typer.echo(
        f"  training          {training.epochs} epochs, {figures.trained_tokens:,} tokens, LoRA rank "
        f"{training.lora_rank}, within {offer.deadlines.train_seconds:,} s"
    )
    typer.echo(
        f"  hidden            {policy.marks:,} marks in {policy.groups} groups; {policy.pairs:,} rows are held back"
    )
    typer.echo(
        f"  ACCEPT            needs {needed}; guessing reaches that with 10^{policy.log10_alpha} at most; "
        f"{figures.verified_rows:,} prompts and rows are verified"
    )
    typer.echo(f"  arbiter           {offer.arbiter or 'none: nobody can challenge the verdict'}")
    if figures.missing_minor:
        typer.echo(f"  missing           {figures.missing_minor:,} {money.token} on your account")


def _print_job(job: WireJob) -> None:
    from node.wire.hallmark.v1.jobs_pb2 import OUTCOME_ACCEPT, Outcome

    job_id = job.name.removeprefix("jobs/")
    typer.echo(f"Job {job_id} is {_state(job)}.")
    if job.waits_for:
        until = moment(job.due_time.ToMilliseconds())
        typer.echo(f"  waits for         {job.waits_for}, until {until} UTC; then: {job.on_silence}")
    if job.provider:
        typer.echo(f"  provider          {job.provider}")
    typer.echo(f"  price             {job.price_minor:,} {job.token} for {job.trained_tokens:,} trained tokens")
    if job.HasField("estimated_finish_time"):
        at = job.progress
        finish = moment(job.estimated_finish_time.ToMilliseconds())
        typer.echo(
            f"  training          step {at.step} of {at.step_count}, loss {at.loss:.3f}; ends about {finish} UTC"
        )
    if job.HasField("verdict"):
        verdict = job.verdict
        typer.echo(f"  verdict           {Outcome.Name(verdict.outcome).removeprefix('OUTCOME_')}: {verdict.reason}")
        typer.echo(f"  groups fired      {verdict.groups_fired} of {verdict.groups}   p <= 10^{verdict.log10_p:.1f}")
        typer.echo(f"  pairs won         {verdict.pairs_won} of {verdict.pairs}")
    if job.checkpoints:
        _print_checkpoints(job)
    if job.HasField("verdict") and not job.waits_for:
        typer.echo(f"Next: hallmark job receipt {job_id}")
        if job.verdict.outcome == OUTCOME_ACCEPT:
            typer.echo(f"      hallmark job adapter {job_id}")


def _print_checkpoints(job: WireJob) -> None:
    """What each showed, if it was asked: the verdict does not rest on it."""

    def shown(each: EpochCheckpoint) -> tuple[str, str, str]:
        if not each.HasField("activation"):
            return "", "", ""
        seen = each.activation
        groups, marks = len(seen.marks_fired), len(seen.marks_fired) * seen.marks_per_group
        return (
            f"{seen.groups_fired} of {groups}",
            f"{sum(seen.marks_fired)} of {marks} ({', '.join(map(str, seen.marks_fired))})",
            f"{seen.log10_p:.1f}",
        )

    typer.echo("Checkpoints, asked for the marks after the verdict, which does not rest on them:")
    print_table(
        ("epoch", "groups fired", "marks shown", "log10 p", "bytes", "weights"),
        [(each.epoch, *shown(each), each.size_bytes, shortened(each.digest)) for each in job.checkpoints],
    )
