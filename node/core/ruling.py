"""What stands once a verdict was challenged: a pure function of the job's signed messages.

An arbiter is believed as to what it observed, never as to what follows from it: anybody recomputes its verdict, who
loses the dispute, and so every payment. Does no inference and knows nothing of the escrow.
"""

from __future__ import annotations

from dataclasses import dataclass

from node.core.evidence import Evidence
from node.core.job import Actor
from node.core.messages import AdapterCommit, Chain, Challenge, Offer, Reveal, Ruling, VerdictGiven
from node.core.policy import DecidingTest, Policy
from node.core.verdict import Outcome, Rule, Verdict, decide, same_verdict
from node.errors import IntegrityFailure


@dataclass(frozen=True, slots=True)
class Standing:
    """The outcome that moves the money, and who loses its challenge bond."""

    outcome: Outcome
    loser: Actor | None = None


def check_judgement(chain: Chain, evidence: Evidence, verdict: Verdict) -> None:
    """Whether evidence and verdict are about this job's adapter, and the one follows from the other.

    Raises:
        IntegrityFailure: naming what does not hold.
    """
    offer: Offer = chain.offer
    for what, actual, expected in (
        ("adapter", evidence.adapter, chain.find(AdapterCommit).adapter),
        ("base model", evidence.transcript.base_model, offer.base_model),
    ):
        if actual != expected:
            raise IntegrityFailure(
                f"The {what} evaluated is {actual}, expected {expected}.", expected=str(expected), actual=str(actual)
            )
    recomputed = decide(offer.policy, chain.find(Reveal).manifest, evidence)
    if not same_verdict(recomputed, verdict):
        raise IntegrityFailure("The verdict does not follow from the evidence.", expected=str(recomputed))


def standing(chain: Chain) -> Standing:
    """What the messages of a job from its verdict on add up to.

    1. Nobody challenged, or the arbiter was silent: the first verdict, and nobody loses anything.
    2. The coordinator withheld what the arbiter needs: a verdict that nobody can repeat decides nothing, and the
       coordinator loses.
    3. The arbiter's outcome differs: it stands, and the coordinator loses.
    4. The same outcome by the same deciding numbers: the challenger loses.
    5. The same outcome by other numbers: a near-tie, which costs nobody.
    """
    given: Verdict = chain.find(VerdictGiven).verdict
    ruling: Ruling | None = chain.get(Ruling)
    if ruling is None:
        return Standing(given.outcome)
    if ruling.judgement is None:
        return Standing(Outcome.INCONCLUSIVE, Actor.COORDINATOR)
    repeated = ruling.judgement.verdict
    if repeated.outcome is not given.outcome:
        return Standing(repeated.outcome, Actor.COORDINATOR)
    challenge: Challenge = chain.find(Challenge)
    policy = chain.offer.policy
    near_tie = _deciding(policy, repeated) != _deciding(policy, given)
    return Standing(given.outcome, None if near_tie else challenge.challenger)


def _deciding(policy: Policy, verdict: Verdict) -> tuple[Rule, int, int, int]:
    """The numbers that decided; log-likelihoods differ from one machine to the next, and so do numbers near a tie."""
    by_groups = policy.deciding_test is DecidingTest.GROUPS
    count = verdict.groups_fired if by_groups else verdict.positions_right
    return verdict.rule, count, verdict.controls_fired, verdict.pairs_won if policy.pairs_needed else 0
