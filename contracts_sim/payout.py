"""An ending turned into money: which moves empty a job's account. Pure; knows no clock and no caller."""

from __future__ import annotations

from dataclasses import dataclass

from contracts_sim import events
from contracts_sim.job import Job
from contracts_sim.ledger import BURN, Phase, escrow, party
from contracts_sim.money import Amount
from contracts_sim.table import PAYOUTS, Ending, Role, Split


@dataclass(frozen=True, slots=True)
class Move:
    """A transfer to be: `event` names it and says how much."""

    event: events.MoneyEvent
    debit: str
    credit: str
    phase: Phase = Phase.DIRECT
    resolves: str | None = None

    @property
    def amount(self) -> Amount:
        return Amount(self.event.token, self.event.amount_minor)


_EVENT: dict[tuple[str, Role | None], type[events.MoneyEvent]] = {
    ("price", Role.PROVIDER): events.PaymentReleased,
    ("price", Role.CLIENT): events.Refunded,
    ("price", Role.EVALUATOR): events.EvaluatorFeePaid,
    ("stake", Role.PROVIDER): events.StakeReturned,
    ("stake", Role.CLIENT): events.StakeSlashed,
    ("stake", Role.EVALUATOR): events.EvaluatorFeePaid,
    ("bond", Role.EVALUATOR): events.BondReturned,
    ("bond", Role.PROVIDER): events.PaymentReleased,
    ("bond", None): events.BondBurned,
}
"""(pot, receiver) -> what that is called"""


def lock(event: type[events.MoneyEvent], job: Job, name: str, minor: int) -> Move:
    """From the party's own account into the job's."""
    return Move(event(job.id, name, minor, job.terms.token), party(name), escrow(job.id))


def payout(job: Job, ending: Ending, *, loser: Role | None = None) -> tuple[Move, ...]:
    """The moves that empty the job's account; some may be of nothing. `loser` is the side whose challenge bond burns:
    the evaluator's comes out of its bond, anybody else's is what the challenger put up."""
    terms, rule = job.terms, PAYOUTS[ending]
    at_risk = terms.challenge_bond_minor
    burned_bond = at_risk if loser is Role.EVALUATOR else 0
    moves = [
        *_split(job, "price", terms.price_minor, rule.price),
        *_split(job, "stake", terms.stake_minor, rule.stake),
        *_split(job, "bond", terms.bond_minor - burned_bond, rule.bond),
    ]
    if loser is Role.EVALUATOR:
        moves.append(_release(job, events.ChallengeBondBurned, terms.evaluator, at_risk, BURN))
    if job.challenger is not None and loser in (None, Role.EVALUATOR):
        moves.append(_release(job, events.ChallengeBondReturned, job.challenger, at_risk, party(job.challenger)))
    elif job.challenger is not None:
        moves.append(_release(job, events.ChallengeBondBurned, job.challenger, at_risk, BURN))
    return tuple(moves)


def _split(job: Job, pot: str, minor: int, split: Split) -> tuple[Move, ...]:
    first = getattr(job.terms, split.share) if split.share else 0
    return (
        *((_pay(job, pot, first, split.to_first),) if split.share else ()),
        _pay(job, pot, minor - first, split.to_rest),
    )


def _pay(job: Job, pot: str, minor: int, receiver: Role | None) -> Move:
    name = str(job.terms.party(receiver or Role.EVALUATOR))
    return _release(job, _EVENT[pot, receiver], name, minor, party(name) if receiver else BURN)


def _release(job: Job, event: type[events.MoneyEvent], name: str, minor: int, credit: str) -> Move:
    return Move(event(job.id, name, minor, job.terms.token), escrow(job.id), credit)
