"""`hallmark init` and `hallmark admit`: keys and certificates, without which nobody talks to anybody."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from node.cli import options

if TYPE_CHECKING:
    from node.settings import Settings

#: The roles of `node.crypto.certificates.Role` that ask for admission; the operator admits itself.
ROLES = ("client", "provider", "arbiter")


def init(
    role: Annotated[
        str | None,
        typer.Option(help=f"What this machine is to a coordinator: {', '.join(ROLES)}. Default: it is the operator's."),
    ] = None,
    install: Annotated[Path | None, typer.Option(help="Install the operator's answer to a request.")] = None,
    name: Annotated[
        list[str] | None, typer.Option(help="Host name or address that others reach the coordinator by; repeatable.")
    ] = None,
    rotate: Annotated[bool, typer.Option("--rotate", help="A new key and certificate for the server.")] = False,
    rotate_ca: Annotated[
        bool, typer.Option("--rotate-ca", help="Start a new authority; the present one stays valid beside it.")
    ] = False,
    retire_ca: Annotated[
        bool, typer.Option("--retire-ca", help="Drop the old authority, once every party was admitted anew.")
    ] = False,
    home: options.Home = None,
) -> None:
    """Makes keys and certificates: an operator's node, or a party's request to a coordinator. Repeating it is harmless.

    The operator: hallmark init --name node.example

    A party, which writes a request: hallmark init --role provider

    The operator, who writes the answer: hallmark admit provider.request.json

    The party: hallmark init --install provider.admission.json

    Certificates last 90 days; the same three steps renew a party's. `--rotate` renews the server's without a restart.
    To change the authority: `--rotate-ca`, have every party admitted anew, then `--retire-ca`.
    """
    from node import settings

    loaded = settings.load(home=home)
    if sum([role is not None, install is not None, rotate, rotate_ca, retire_ca]) > 1:
        _refuse("Give one of --role, --install, --rotate, --rotate-ca and --retire-ca.", "role")
    if role is not None:
        _ask(loaded.home, role)
    elif install is not None:
        _install(loaded.home, install)
    else:
        _operate(loaded, name or [], rotate=rotate, rotate_ca=rotate_ca, retire_ca=retire_ca)


def admit(
    request: Annotated[Path | None, typer.Argument(help="A party's request.", show_default=False)] = None,
    revoke: Annotated[str | None, typer.Option(help="Key id of a party that is refused from now on.")] = None,
    home: options.Home = None,
) -> None:
    """Admits a party to this operator's coordinator, or shuts one out.

    Checks both of its keys and writes the answer beside the request: hallmark admit provider.request.json

    From the next call on, without a restart: hallmark admit --revoke ed25519:1f0c...
    """
    from node import bootstrap, settings
    from node.storage import tls

    loaded = settings.load(home=home)
    if revoke is not None and request is None:
        tls.revoke(loaded.home, revoke)
        typer.echo(f"{revoke} is refused from now on: {tls.revoked_file(loaded.home)}")
        return
    if request is None or revoke is not None:
        _refuse("Give a request, or --revoke KEY_ID.", "request", "See `hallmark admit --help`.")
    party, answer = tls.admit(loaded.home, _read(request), now_ms=bootstrap.SystemClock().now_ms())
    written = request.with_name(request.name.removesuffix(".json").removesuffix(".request") + ".admission.json")
    written.write_bytes(answer)
    typer.echo(f"Admitted {party.key_id} as {party.role}, for 90 days.")
    typer.echo(f"The answer is {written}. Give it to the party; it runs `hallmark init --install {written.name}`.")


def _operate(loaded: Settings, names: list[str], *, rotate: bool, rotate_ca: bool, retire_ca: bool) -> None:
    from node import bootstrap
    from node.storage import keys, tls

    home, now_ms = loaded.home, bootstrap.SystemClock().now_ms()
    if rotate_ca:
        typer.echo(f"Made {tls.start_rollover(home, now_ms=now_ms)}. Parties are certified by it from now on.")
        typer.echo("Have every party admitted anew (they learn both authorities), then `hallmark init --retire-ca`.")
        return
    if retire_ca:
        typer.echo(f"Deleted {tls.end_rollover(home, now_ms=now_ms)}; no new connection takes its certificates.")
        return
    wanted = [*bootstrap.server_names(loaded.listen), *names]
    made = tls.make_operator(home, wanted, now_ms=now_ms, rotate=rotate)
    for file in made:
        typer.echo(f"Made {file}")
    if not made:
        typer.echo(f"Everything is there already, in {home}")
    coordinator = keys.load_or_create(loaded.key_file("coordinator")).public.key_id
    typer.echo(f"This coordinator is {coordinator}. Parties compare that before they install an answer.")
    typer.echo("Next: `hallmark coordinator run`; `hallmark admit REQUEST` for each party;")
    typer.echo(f"      `hallmark account deposit {coordinator} 50000`: it puts up a bond for each job.")


def _ask(home: Path, role: str) -> None:
    from node.crypto.certificates import Role
    from node.storage import keys, tls

    if role not in ROLES:
        _refuse(f"There is no role {role!r}.", "role", f"Give one of {', '.join(ROLES)}.")
    request = home / f"{role}.request.json"
    keys.replace_file(request, tls.ask(home, Role(role)))
    typer.echo(f"This {role} is {keys.load_or_create(home / 'keys' / f'{role}.pem').public.key_id}.")
    typer.echo(f"Its request is {request}: nothing in it is secret.")
    typer.echo(f"Next: the operator runs `hallmark admit {request.name}` and sends the answer back; then")
    typer.echo("      `hallmark init --install FILE` here.")


def _install(home: Path, file: Path) -> None:
    from node.storage import tls

    party = tls.install(home, _read(file))
    coordinator = tls.identity(home, party.role).coordinator
    typer.echo(f"{party.key_id} is admitted as {party.role} by coordinator {coordinator}, for 90 days.")
    typer.echo("Ask the operator whether that is its coordinator's key id: from now on this home trusts it.")


def _read(file: Path) -> bytes:
    from node.errors import NotFound

    try:
        return file.read_bytes()
    except OSError as fault:
        raise NotFound(f"{file} cannot be read: {fault.strerror}.") from fault


def _refuse(message: str, field: str, fix: str = "See `hallmark init --help`.") -> NoReturn:
    from node.errors import InvalidInput

    raise InvalidInput(message, fix=fix, field=field)
