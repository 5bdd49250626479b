"""Amounts: whole minor units of one token. Knows nothing of accounts, jobs or exchange rates."""

from __future__ import annotations

from dataclasses import dataclass

from contracts_sim.errors import InvalidAmount

MAX_MINOR = 2**53 - 1
"""The largest single amount: every JSON reader still holds it exactly, and a thousand of them fit a 64-bit column."""


@dataclass(frozen=True, slots=True, order=True)
class Amount:
    """`minor` indivisible units of `token` (cents, wei ...), from 0 to `MAX_MINOR`.

    Raises InvalidAmount for anything that is not such an integer: floats and booleans are never money.
    """

    token: str
    minor: int

    def __post_init__(self) -> None:
        if type(self.minor) is not int or not 0 <= self.minor <= MAX_MINOR:
            raise InvalidAmount(
                "not an amount of money", expected=f"an integer from 0 to {MAX_MINOR}", actual=self.minor
            )
        if not isinstance(self.token, str) or not self.token:
            raise InvalidAmount("an amount needs a token symbol", expected="a token symbol", actual=self.token)

    def __str__(self) -> str:
        return f"{self.minor} {self.token}"
