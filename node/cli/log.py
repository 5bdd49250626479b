"""`hallmark log`: follow a coordinator's log without trusting it, and prove it to others if it tells two stories."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from node.cli import options, party
from node.cli.channel import over_channel

if TYPE_CHECKING:
    import grpc

    from node.core.receipt import Trust
    from node.crypto.certificates import Identity

app = typer.Typer(help="A coordinator's append-only log: follow it, and catch it lying.", no_args_is_help=True)


@app.command()
def checkpoint(
    coordinator: options.Coordinator = None,
    home: options.Home = None,
    role: options.Role = "client",
    as_json: options.Json = False,
) -> None:
    """Fetches the newest signed checkpoint, proves that it extends every one this home kept, and keeps it.

    Exit code 3: it does not. If the log signed two histories, a file that proves it to anybody is left in the home.

    Example: hallmark log checkpoint --coordinator node.example:50051
    """
    from datetime import UTC, datetime

    from node import settings
    from node.client.log import LogReader, Seen, advance
    from node.storage.checkpoints import KeptCheckpoints, contradicted

    async def ask(channel: grpc.aio.Channel, identity: Identity, trust: Trust) -> tuple[KeptCheckpoints, int, Seen]:
        kept = KeptCheckpoints(settings.load(home=home).home, trust)
        before = kept.all()
        return kept, len(before), await advance(LogReader(channel), before, trust)

    kept, count, seen = over_channel(ask, home=home, coordinator=coordinator, role=role)
    found = seen.checkpoint
    if seen.proof is not None:
        raise contradicted(found.origin, kept.prove(seen.proof))
    kept.stand_for(seen.envelope)
    when = datetime.fromtimestamp(found.time_ms / 1000, UTC).isoformat(timespec="seconds")
    if as_json:
        facts = {"origin": found.origin, "size": found.size, "root": str(found.root), "time": when, "extends": count}
        party.print_json(facts)
        return
    typer.echo(f"The log of {found.origin} has {found.size} messages at {when}.")
    typer.echo(f"  root              {found.root}")
    typer.echo(f"  proven to extend  {count} checkpoint{'s' * (count != 1)} kept before; this one is kept.")


@app.command()
def verify(
    evidence: Annotated[Path, typer.Argument(help="A proof of equivocation.", show_default=False)],
    home: options.Home = None,
    trust: Annotated[Path | None, typer.Option(help="Pinned keys; default: trust.json in the node's home.")] = None,
) -> None:
    """Checks offline that a coordinator whose key you pinned signed two things that cannot both be true.

    Exit code 0: it is proven. 3: the file proves nothing. 4: it is about a key that you do not know.
    """
    from node import settings
    from node.core import equivocation
    from node.storage.keys import read_trust

    trusted = read_trust(trust or settings.load(home=home).trust_file)
    typer.echo(f"Proven: {equivocation.check(party.read(evidence), trusted)}")


@app.command()
def reveal(
    job: Annotated[str, typer.Argument(help="The job's id.", show_default=False)],
    file: Annotated[Path, typer.Argument(help="Where to write what was hidden in the data.", show_default=False)],
    coordinator: options.Coordinator = None,
    home: options.Home = None,
    role: options.Role = "client",
) -> None:
    """Fetches a job's reveal, checks it against what was committed to, and writes it with the messages before it.

    `hallmark verify` repeats the verdict on any adapter from that file.

    Example: hallmark log reveal job-1 reveal.json --coordinator node.example:50051
    """
    from node.cli import output_file
    from node.client.log import LogReader
    from node.core import revealed
    from node.core.messages import Chain, Reveal, check_revealed
    from node.errors import IntegrityFailure

    async def ask(channel: grpc.aio.Channel, identity: Identity, trust: Trust) -> tuple[Chain, bytes]:
        log = LogReader(channel)
        return await log.chain(job, trusted=trust.coordinators), await log.reveal(job)

    output_file.require_place(file, field="file")
    chain, data = over_channel(ask, home=home, coordinator=coordinator, role=role)
    check_revealed(chain)
    if chain.envelopes[chain.messages.index(chain.find(Reveal))].payload != data:
        raise IntegrityFailure("The reveal is not the one that was signed into the log.")
    output_file.write(file, revealed.to_bytes(chain))
    manifest = chain.find(Reveal).manifest
    typer.echo(
        f"{file}: {len(manifest.marks)} marks in {len(manifest.groups)} groups, {len(manifest.pairs)} held-out pairs; "
        "as committed to before any row left, and as the policy wants it."
    )


@app.command()
def accuse(
    job: Annotated[str, typer.Argument(help="The job's id.", show_default=False)],
    evidence: Annotated[
        Path | None, typer.Option(help="A proof of equivocation; default: the job's own reveal.")
    ] = None,
    coordinator: options.Coordinator = None,
    home: options.Home = None,
    role: Annotated[
        Literal["client", "provider", "arbiter"], typer.Option("--as", help="Whose key of this home.")
    ] = "client",
) -> None:
    """Ends JOB by proving to the escrow that its coordinator broke the protocol, which costs it its bond.

    Example: hallmark log accuse job-1 --evidence equivocations/1f0c.json --coordinator node.example:50051
    """
    from node.client.challenges import prove
    from node.client.log import LogReader
    from node.core import equivocation
    from node.core.fault import Fault

    told = None if evidence is None else equivocation.from_bytes(party.read(evidence))

    async def act(channel: grpc.aio.Channel, identity: Identity, trust: Trust) -> None:
        chain = await LogReader(channel).chain(job, trusted=trust.coordinators)
        await prove(channel, job, Fault(chain.envelopes, equivocation=told))

    over_channel(act, home=home, coordinator=coordinator, role=role)
    typer.echo(f"Proven: job {job} has ended. The coordinator lost its bond; the client has its money back.")
