"""The contract's refusals in the tree of `node.errors`, and a database that was busy as Unavailable."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Connection

from contracts_sim import errors as contract
from node.errors import Conflict, HallmarkError, InvalidInput, NotFound, PermissionRefused, Unavailable

KINDS: dict[type[contract.EscrowError], type[HallmarkError]] = {
    contract.InvalidCall: InvalidInput,
    contract.NotFound: NotFound,
    contract.NotAuthorised: PermissionRefused,
    contract.Refused: Conflict,
}
"""The contract's branches -> ours"""

FIXES: dict[type[contract.EscrowError], str] = {
    contract.InsufficientFunds: "Bring more money in, or wait until what is locked comes back.",
    contract.RequestReused: "Choose another request id.",
}
"""What a caller can do about a refusal, where that does not follow from it."""


def translate(refusal: contract.EscrowError) -> HallmarkError:
    """The refusal as a caller above knows it; `facts` keep the exact code, what was expected and what came."""
    kind = next(ours for theirs, ours in KINDS.items() if isinstance(refusal, theirs))
    return kind(
        f"The escrow refuses: {refusal}.",
        fix=FIXES.get(type(refusal)),
        code=type(refusal).__name__,
        expected=str(refusal.expected),
        actual=str(refusal.actual),
    )


@contextmanager
def translated(connection: Connection) -> Iterator[None]:
    """Raises what the block raises, translated. After Unavailable the whole transaction has to be rolled back."""
    driver = connection.dialect.loaded_dbapi
    try:
        yield
    except contract.EscrowError as refusal:
        raise translate(refusal) from refusal
    except (driver.IntegrityError, driver.OperationalError) as error:
        raise Unavailable("The escrow could not write: somebody else did.", fix="Repeat the transaction.") from error
