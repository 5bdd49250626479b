"""`hallmark receipt`: check a receipt offline, against keys that you pinned."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from node.cli.verdicts import verdict_json

app = typer.Typer(help="Receipts: signed bundles from which anybody recomputes the verdict.", no_args_is_help=True)


@app.command()
def verify(
    file: Annotated[Path, typer.Argument(help="The receipt file.", show_default=False)],
    trust: Annotated[
        Path | None, typer.Option(help="Keys that you rely on; default: trust.json in the node's home.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Checks FILE offline: every byte, every signature, the log, the manifest; recomputes the verdict.

    The log's checkpoint in it is kept in this home, unless you name other keys: see `hallmark log checkpoint`.

    Exit code 0: it holds. 3: it does not. 4: good, but signed by somebody you do not trust.
    """
    from node import settings
    from node.core import receipt
    from node.core.messages import Challenge
    from node.errors import NotFound
    from node.storage.checkpoints import KeptCheckpoints
    from node.storage.keys import read_trust

    loaded = settings.load()
    trusted = read_trust(trust or loaded.trust_file)
    try:
        data = file.read_bytes()
    except OSError as fault:
        raise NotFound(f"The receipt {file} cannot be read: {fault.strerror}.") from fault
    checked = receipt.check(data, trusted)
    if trust is None:
        KeptCheckpoints(loaded.home, trusted).keep(receipt.from_bytes(data).checkpoint)
    offer, verdict, settled, stands = checked.chain.offer, checked.verdict, checked.settled, checked.standing
    challenge: Challenge | None = checked.chain.get(Challenge)
    if as_json:
        typer.echo(
            json.dumps(
                {
                    "job": offer.link.job,
                    **verdict_json(verdict),
                    "outcome_settled": settled.outcome.value,
                    "challenged_by": challenge.challenger.value if challenge else None,
                    "bond_lost_by": stands.loser.value if stands.loser else None,
                    "to_client_minor": settled.to_client_minor,
                    "to_provider_minor": settled.to_provider_minor,
                    "to_coordinator_minor": settled.to_coordinator_minor,
                    "coordinator": offer.coordinator,
                    "log_size": checked.checkpoint.size,
                }
            )
        )
        return
    typer.echo(f"The receipt of job {offer.link.job} holds: every byte, signature and proof; the verdict recomputes.")
    typer.echo(str(verdict))
    if challenge is not None:
        lost = f"the {stands.loser} lost its bond" if stands.loser else "nobody lost a bond"
        typer.echo(f"  challenged        by the {challenge.challenger}; {stands.outcome.name} stands, {lost}")
    typer.echo(
        f"  settled           client {settled.to_client_minor}, provider {settled.to_provider_minor}, "
        f"coordinator {settled.to_coordinator_minor} {offer.money.token} (minor units)"
    )
    typer.echo(f"  signed by         {offer.coordinator}, in a log of {checked.checkpoint.size} messages")
