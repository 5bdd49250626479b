"""`hallmark escrow`: accounts, transfers and one job's history, as a block explorer would show them. Reads only.

Tables shorten keys and digests to eight digits, and call a job's parties by their roles; `--json` has everything.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from node.cli.tables import amount, moment, print_table, shortened

if TYPE_CHECKING:
    from node.ports.escrow import Escrow, EscrowEvent, EscrowTransaction, EscrowTransfer

_LONG = ("account", "what happened", "why")  # columns that wrap; the others stay whole
_ROLES = ("client", "provider", "evaluator", "arbiter")

app = typer.Typer(help="The escrow: whose money is where, and how it got there.", no_args_is_help=True)

Database = Annotated[
    str | None, typer.Option(help="SQLAlchemy URL; default: this node's database.", show_default=False)
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.command()
def accounts(database: Database = None, as_json: Json = False) -> None:
    """Every account: party:ID owns it, escrow:JOB keeps it, burn has lost it, external is the world outside."""
    with _open(database) as escrow:
        found = escrow.accounts()
    if as_json:
        return _print_json([asdict(each) | {"available_minor": each.available_minor} for each in found])
    print_table(
        ("account", "token", "balance", "on hold", "available"),
        [(each.account, each.token, each.balance_minor, each.held_minor, each.available_minor) for each in found],
        wraps=_LONG,
    )
    return None


@app.command()
def transfers(
    database: Database = None,
    account: Annotated[str | None, typer.Option(help="Only from or to this account.", show_default=False)] = None,
    job: Annotated[str | None, typer.Option(help="Only of this job.", show_default=False)] = None,
    as_json: Json = False,
) -> None:
    """The ledger, oldest first."""
    with _open(database) as escrow:
        found = escrow.transfers(account=account, job_id=job)
    if as_json:
        return _print_json([asdict(each) for each in found])
    _print_transfers(found, {})
    return None


@app.command()
def job(
    job_id: Annotated[str, typer.Argument(metavar="JOB", help="The job's id.", show_default=False)],
    database: Database = None,
    as_json: Json = False,
) -> None:
    """One job: where it stands, what was signed, every call that was accepted, every transfer."""
    from node.errors import NotFound

    with _open(database) as escrow:
        found, history, moved = escrow.job(job_id), escrow.history(job_id), escrow.transfers(job_id=job_id)
    if not history:
        raise NotFound(f"The escrow knows no job {job_id}.", fix="`hallmark escrow transfers` lists what it knows.")
    if as_json:
        calls = [asdict(each) | {"content": json.loads(each.content)} for each in history]
        return _print_json(
            {"job": asdict(found) if found else None, "calls": calls, "transfers": [asdict(each) for each in moved]}
        )
    if found is None:
        typer.echo(f"Job {job_id}: an offer; its terms are not signed yet.")
    else:
        due = f", due {moment(found.due_at_ms)}" if found.due_at_ms is not None else ""
        ending = f" ({found.ending})" if found.ending else ""
        typer.echo(f"Job {job_id}: {found.state}{ending} since {moment(found.since_ms)}{due}")
    terms = _terms(history)
    _print_terms(terms)
    names = {str(terms[role]): role for role in _ROLES if terms.get(role)} | {f"escrow:{job_id}": "escrow"}
    print_table(
        ("time", "call", "by", "what happened"),
        [
            (
                moment(each.time_ms),
                each.function,
                _short(each.caller, names),
                ", ".join(_told(event, names) for event in each.events),
            )
            for each in history
        ],
        wraps=_LONG,
    )
    _print_transfers(moved, names)
    return None


@contextmanager
def _open(url: str | None) -> Iterator[Escrow]:
    """The escrow in one reading transaction.

    Raises:
        NotFound: there is no such database, or no escrow in it.
        InvalidInput: the URL is none.
    """
    from sqlalchemy import create_engine, make_url
    from sqlalchemy.exc import ArgumentError, OperationalError, ProgrammingError

    from node import settings
    from node.errors import InvalidInput, NotFound
    from node.settlement.escrow import ContractEscrow

    try:
        parsed = make_url(url or settings.load().database_url)
    except ArgumentError as fault:
        raise InvalidInput("--database is no SQLAlchemy URL.", fix="Try sqlite:///FILE.", field="database") from fault
    if parsed.get_backend_name() == "sqlite" and not Path(parsed.database or "").is_file():
        raise NotFound(
            f"There is no database {parsed.database}: an operator has one.",
            fix="Give its home in HALLMARK_HOME, or --database URL. A party's: `hallmark account transfers`.",
        )
    engine = create_engine(parsed)
    driver: Any = engine.dialect.loaded_dbapi
    try:
        with engine.connect() as connection:
            yield ContractEscrow(connection)
    except (OperationalError, ProgrammingError, driver.Error) as fault:
        raise NotFound(f"There is no escrow in {parsed!r}: {getattr(fault, 'orig', fault)}") from fault
    finally:
        engine.dispose()


def _terms(history: Sequence[EscrowTransaction]) -> dict[str, Any]:
    """What the job was created with; empty before that."""
    created = (json.loads(each.content)["terms"] for each in history if each.function == "create_job")
    return next(created, {})


def _print_terms(terms: Mapping[str, Any]) -> None:
    if not terms:
        return
    lines = [(role, terms[role]) for role in _ROLES if terms[role]]
    money = (f"{pot} {terms[f'{pot}_minor']:,}" for pot in ("price", "stake", "bond", "fee"))
    lines += [(terms["token"], ", ".join(money))]
    lines += [("terms", terms["terms_digest"]), ("manifest", terms["manifest_commitment"])]
    for name, value in lines:
        typer.echo(f"  {name:9}  {value}")


def _told(event: EscrowEvent, names: Mapping[str, str]) -> str:
    """The event's name, and what of its facts neither the job's nor the transfers' lines say."""
    if "amount_minor" in event.facts:
        return event.name
    told = [str(fact) for name, fact in event.facts.items() if name != "job_id" and fact is not None]
    new = [_short(fact, names) for fact in told if fact not in names]
    return f"{event.name}({', '.join(new)})" if new else event.name


def _short(text: str, names: Mapping[str, str]) -> str:
    """An account, caller or digest, for a column: its name in this job, or its first digits."""
    return names.get(text.removeprefix("party:")) or shortened(text)


def _print_transfers(found: Sequence[EscrowTransfer], names: Mapping[str, str]) -> None:
    print_table(
        ("time", "from", "to", "amount", "why"),
        [
            (
                moment(each.time_ms),
                _short(each.debit, names),
                _short(each.credit, names),
                amount(each.amount_minor, each.token, each.phase),
                each.reason,
            )
            for each in found
        ],
        wraps=_LONG,
    )


def _print_json(value: Any) -> None:
    typer.echo(json.dumps(value, indent=2))
