"""`hallmark account`: what you have in the escrow, where it came from, and how it gets out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

import typer

from node.cli import options, party
from node.cli.tables import amount, moment, print_table, shortened

if TYPE_CHECKING:
    from node.client.client import Client
    from node.wire.hallmark.v1.escrow_pb2 import Account, Transfer

app = typer.Typer(help="Your money in the simulated escrow, in minor units.", no_args_is_help=True)

Party = Annotated[
    str, typer.Argument(help="Key id; your own if not given. Others' are the operator's to see.", show_default=False)
]
Amount = Annotated[int, typer.Argument(min=1, help="In minor units.", show_default=False)]
RequestId = Annotated[
    str | None,
    typer.Option(
        help="Repeats of a command under the same id move money once; default: a new one.", show_default=False
    ),
]


@app.command()
def show(
    key_id: Party = "",
    home: options.Home = None,
    role: options.Role = "client",
    coordinator: options.Coordinator = None,
    as_json: options.Json = False,
) -> None:
    """What an account has, and what is locked in which job until that ends.

    Example: hallmark account show
    """
    found = party.ask(lambda client: client.account(key_id), home=home, coordinator=coordinator, role=role)
    _print(found, as_json)


@app.command()
def transfers(
    key_id: Party = "",
    limit: Annotated[int, typer.Option(min=1, help="So many at most.")] = 50,
    home: options.Home = None,
    role: options.Role = "client",
    coordinator: options.Coordinator = None,
    as_json: options.Json = False,
) -> None:
    """The newest transfers from and to an account; --json has every digit of the keys.

    Example: hallmark account transfers --limit 10
    """

    from node.wire.escrow import phase_of

    async def newest(client: Client) -> tuple[list[Transfer], str]:
        found: list[Transfer] = []
        async for each in client.transfers(key_id):
            found.append(each)
            if len(found) == limit:
                break
        return found, f"party:{key_id or client.key_id}"

    found, own = party.ask(newest, home=home, coordinator=coordinator, role=role)
    if as_json:
        return party.print_json([party.plain(each) for each in found])
    return print_table(
        ("time", "from", "to", "amount", "why", "job"),
        [
            (
                moment(each.time.ToMilliseconds()),
                *("this account" if side == own else shortened(side) for side in (each.debit, each.credit)),
                amount(each.amount_minor, each.token, phase_of(each)),
                each.kind,
                each.job.removeprefix("jobs/"),
            )
            for each in found
        ],
        wraps=("why", "job"),
    )


@app.command()
def withdraw(
    amount: Amount,
    request_id: RequestId = None,
    home: options.Home = None,
    role: Annotated[
        Literal["client", "provider", "arbiter"], typer.Option("--as", help="Whose key of this home.")
    ] = "client",
    coordinator: options.Coordinator = None,
    as_json: options.Json = False,
) -> None:
    """Takes money out that is not locked.

    Example: hallmark account withdraw 5000
    """
    unique = request_id or _unique()
    after = party.ask(
        lambda client: client.withdraw(amount, request_id=unique), home=home, coordinator=coordinator, role=role
    )
    _print(after, as_json)


@app.command()
def deposit(
    key_id: Annotated[str, typer.Argument(help="Key id of the party that is credited.", show_default=False)],
    amount: Amount,
    request_id: RequestId = None,
    home: options.Home = None,
    coordinator: options.Coordinator = None,
    as_json: options.Json = False,
) -> None:
    """Credits a party from outside the simulation. The operator's alone.

    Example: hallmark account deposit ed25519:1f0c... 50000
    """
    unique = request_id or _unique()
    after = party.ask(
        lambda client: client.deposit(key_id, amount, request_id=unique),
        home=home,
        coordinator=coordinator,
        role="operator",
    )
    _print(after, as_json)


def _unique() -> str:
    import secrets

    return secrets.token_hex(16)


def _print(account: Account, as_json: bool) -> None:
    if as_json:
        return party.print_json(party.plain(account))
    typer.echo(
        f"{account.name.removeprefix('accounts/')}: {account.available_minor:,} {account.token} available, "
        f"{account.locked_minor:,} locked"
    )
    for each in account.locked:
        typer.echo(f"  {each.amount_minor:,} in {each.job.removeprefix('jobs/')}")
    return None
