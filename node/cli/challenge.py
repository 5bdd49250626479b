"""`hallmark challenge`: dispute a verdict before the arbiter whom the terms name."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from node.cli import options

if TYPE_CHECKING:
    from node.core.messages import Chain


def challenge(
    job: Annotated[str, typer.Argument(help="The job's id.", show_default=False)],
    coordinator: options.Coordinator,
    home: options.Home = None,
    role: Annotated[Literal["client", "provider"], typer.Option("--as", help="Whose key of this home.")] = "client",
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    as_json: options.Json = False,
) -> None:
    """Disputes the verdict on JOB against a bond, in its challenge window.

    The arbiter repeats the evaluation from the revealed manifest and the committed adapter; the money follows what it
    finds. Shows first what that costs and what can come of it.

    Example: hallmark challenge job-1 --coordinator node.example:50051 --as provider
    """
    import asyncio

    from node import settings
    from node.client.challenges import challenge as send
    from node.client.log import LogReader
    from node.core.job import Actor
    from node.core.messages import VerdictGiven
    from node.crypto.certificates import Role
    from node.errors import Conflict
    from node.storage import keys, tls
    from node.wire.channel import open_channel

    loaded = settings.load(home=home)
    identity = tls.identity(loaded.home, Role(role))
    trusted = keys.read_trust(loaded.trust_file).coordinators

    async def dispute() -> Chain:
        async with open_channel(coordinator, identity) as channel:
            chain = await LogReader(channel).chain(job, trusted=trusted)
            if not isinstance(chain.messages[-1], VerdictGiven):
                raise Conflict(
                    f"The last message of job {job} is no verdict: there is nothing to challenge.",
                    expected="VerdictGiven",
                    actual=type(chain.messages[-1]).__name__,
                )
            if chain.offer.arbiter is None:
                raise Conflict(f"The terms of job {job} name no arbiter: nobody could rule.", job=job)
            if not as_json:
                typer.echo(stakes(chain))
            if not yes:
                typer.confirm("Challenge it?", abort=True, err=True)
            await send(channel, identity.key, Actor(role), chain)
            return chain

    offer = asyncio.run(dispute()).offer
    if as_json:
        typer.echo(json.dumps({"job": job, "arbiter": offer.arbiter, "bond_minor": offer.money.challenge_bond_minor}))
        return
    typer.echo(f"Challenged. Arbiter {offer.arbiter} has {offer.deadlines.arbitrate_seconds} s to rule.")


def stakes(chain: Chain) -> str:
    """The verdict, what disputing it costs, and what can come of it."""
    from node.core.messages import VerdictGiven

    offer, bond = chain.offer, f"{chain.offer.money.challenge_bond_minor} {chain.offer.money.token}"
    return "\n".join(
        [
            f"Job {offer.link.job}, evaluated by {offer.coordinator}:",
            str(chain.find(VerdictGiven).verdict),
            "",
            f"A challenge locks {bond} (minor units) of yours; as much of the coordinator's bond is at risk.",
            f"Arbiter {offer.arbiter} repeats the evaluation. If it comes to",
            "  another outcome                   that one moves the money; the coordinator loses its bond, not you",
            "  the same, by the same numbers     the verdict stands and you lose your bond",
            "  the same, by other numbers        a near-tie: the verdict stands and nobody loses anything",
            f"  nothing within {offer.deadlines.arbitrate_seconds} s".ljust(36)
            + "the verdict stands and your bond returns",
            "  a refusal of the coordinator      the verdict falls to INCONCLUSIVE, the coordinator loses its bond",
        ]
    )
