"""`hallmark log`: follow a coordinator's log without trusting it, and prove it to others if it tells two stories."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Literal

import typer

from node.cli import options

app = typer.Typer(help="A coordinator's append-only log: follow it, and catch it lying.", no_args_is_help=True)


@app.command()
def checkpoint(
    coordinator: options.Coordinator,
    home: options.Home = None,
    role: options.Role = "client",
    as_json: options.Json = False,
) -> None:
    """Fetches the newest signed checkpoint, proves that it extends every one this home kept, and keeps it.

    Exit code 3: it does not. If the log signed two histories, a file that proves it to anybody is left in the home.

    Example: hallmark log checkpoint --coordinator node.example:50051
    """
    import asyncio
    from datetime import UTC, datetime

    from node import settings
    from node.client.log import LogReader, Seen, advance
    from node.crypto.certificates import Role
    from node.storage import keys, tls
    from node.storage.checkpoints import KeptCheckpoints, contradicted
    from node.wire.channel import open_channel

    loaded = settings.load(home=home)
    identity = tls.identity(loaded.home, Role(role))
    trust = keys.read_trust(loaded.trust_file)
    kept = KeptCheckpoints(loaded.home, trust)
    before = kept.all()

    async def ask() -> Seen:
        async with open_channel(coordinator, identity) as channel:
            return await advance(LogReader(channel), before, trust)

    seen = asyncio.run(ask())
    found = seen.checkpoint
    if seen.proof is not None:
        raise contradicted(found.origin, kept.prove(seen.proof))
    kept.stand_for(seen.envelope)
    when = datetime.fromtimestamp(found.time_ms / 1000, UTC).isoformat(timespec="seconds")
    if as_json:
        facts = {"origin": found.origin, "size": found.size, "root": str(found.root), "time": when}
        typer.echo(json.dumps(facts | {"extends": len(before)}))
        return
    typer.echo(f"The log of {found.origin} has {found.size} messages at {when}.")
    typer.echo(f"  root              {found.root}")
    typer.echo(f"  proven to extend  {len(before)} checkpoint{'s' * (len(before) != 1)} kept before; this one is kept.")


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
    from node.errors import NotFound
    from node.storage.keys import read_trust

    trusted = read_trust(trust or settings.load(home=home).trust_file)
    try:
        data = evidence.read_bytes()
    except OSError as fault:
        raise NotFound(f"{evidence} cannot be read: {fault.strerror}.") from fault
    typer.echo(f"Proven: {equivocation.check(data, trusted)}")


@app.command()
def reveal(
    job: Annotated[str, typer.Argument(help="The job's id.", show_default=False)],
    file: Annotated[Path, typer.Argument(help="Where to write what was hidden in the data.", show_default=False)],
    coordinator: options.Coordinator,
    home: options.Home = None,
    role: options.Role = "client",
) -> None:
    """Fetches a job's reveal, checks it against what was committed to, and writes it.

    Example: hallmark log reveal job-1 reveal.json --coordinator node.example:50051
    """
    import asyncio

    from node import settings
    from node.cli import output_file
    from node.client.log import LogReader
    from node.core.messages import Chain, Reveal, check_revealed
    from node.crypto.certificates import Role
    from node.errors import IntegrityFailure
    from node.storage import keys, tls
    from node.wire.channel import open_channel

    output_file.require_place(file, field="file")
    loaded = settings.load(home=home)
    identity = tls.identity(loaded.home, Role(role))
    trusted = keys.read_trust(loaded.trust_file).coordinators

    async def ask() -> tuple[Chain, bytes]:
        async with open_channel(coordinator, identity) as channel:
            log = LogReader(channel)
            return await log.chain(job, trusted=trusted), await log.reveal(job)

    chain, data = asyncio.run(ask())
    check_revealed(chain)
    if chain.envelopes[chain.messages.index(chain.find(Reveal))].payload != data:
        raise IntegrityFailure("The reveal is not the one that was signed into the log.")
    output_file.write(file, data)
    manifest = chain.find(Reveal).manifest
    typer.echo(
        f"{file}: {len(manifest.marks)} marks in {len(manifest.groups)} groups, {len(manifest.pairs)} held-out pairs; "
        "as committed to before any row left, and as the policy wants it."
    )


@app.command()
def accuse(
    job: Annotated[str, typer.Argument(help="The job's id.", show_default=False)],
    coordinator: options.Coordinator,
    evidence: Annotated[
        Path | None, typer.Option(help="A proof of equivocation; default: the job's own reveal.")
    ] = None,
    home: options.Home = None,
    role: Annotated[
        Literal["client", "provider", "arbiter"], typer.Option("--as", help="Whose key of this home.")
    ] = "client",
) -> None:
    """Ends JOB by proving to the escrow that its coordinator broke the protocol, which costs it its bond.

    Example: hallmark log accuse job-1 --evidence equivocations/1f0c.json --coordinator node.example:50051
    """
    import asyncio

    from node import settings
    from node.client.challenges import prove
    from node.client.log import LogReader
    from node.core import equivocation
    from node.core.fault import Fault
    from node.crypto.certificates import Role
    from node.errors import NotFound
    from node.storage import keys, tls
    from node.wire.channel import open_channel

    loaded = settings.load(home=home)
    identity = tls.identity(loaded.home, Role(role))
    trusted = keys.read_trust(loaded.trust_file).coordinators
    try:
        told = None if evidence is None else equivocation.from_bytes(evidence.read_bytes())
    except OSError as fault:
        raise NotFound(f"{evidence} cannot be read: {fault.strerror}.") from fault

    async def act() -> None:
        async with open_channel(coordinator, identity) as channel:
            chain = await LogReader(channel).chain(job, trusted=trusted)
            await prove(channel, job, Fault(chain.envelopes, equivocation=told))

    asyncio.run(act())
    typer.echo(f"Proven: job {job} has ended. The coordinator lost its bond; the client has its money back.")
