"""`hallmark challenge`: dispute a verdict before the arbiter whom the terms name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

import typer

from node.cli import options, party
from node.cli.channel import over_channel

if TYPE_CHECKING:
    import grpc

    from node.core.messages import Chain
    from node.core.receipt import Trust
    from node.crypto.certificates import Identity


def challenge(
    job: Annotated[str, typer.Argument(help="The job's id.", show_default=False)],
    coordinator: options.Coordinator = None,
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
    from node.client.challenges import challenge as send
    from node.client.log import LogReader
    from node.core.job import Actor
    from node.core.messages import VerdictGiven
    from node.errors import Conflict

    async def dispute(channel: grpc.aio.Channel, identity: Identity, trust: Trust) -> Chain:
        chain = await LogReader(channel).chain(job, trusted=trust.coordinators)
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
        party.confirm("Challenge it?", yes=yes)
        await send(channel, identity.key, Actor(role), chain)
        return chain

    offer = over_channel(dispute, home=home, coordinator=coordinator, role=role).offer
    if as_json:
        party.print_json({"job": job, "arbiter": offer.arbiter, "bond_minor": offer.money.challenge_bond_minor})
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
