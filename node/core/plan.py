"""From targets and a calibration profile to the policy with the fewest marks that meets them.

Everything is reckoned with the profile's unfavourable limits: an honest provider learns as little, a cheat as much as
was not excluded. The cheat spends its share of the honest compute on whichever random share of the rows, for a whole
number of epochs, gets it furthest. Other learning rates, rows repeated unequally, attacks that find marks, and
controls that fire are outside of this reckoning. Groups decide in every policy planned here, never positions.

Where held-out pairs can stop the cheat, they do, for no search finds them; groups then have guessing alone to rule out,
which takes few. Otherwise groups do both. Knows nothing of how a profile was measured.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from node.core.policy import CONTEXT_ROWS, MOST_GROUPS, DecidingTest, Policy
from node.core.profile import Profile
from node.core.questions import FRESH_PER_GROUP
from node.errors import InvalidInput
from node.stats import binomial, guessing, power
from node.stats.power import Design

#: A group whose copies are noisy needs three marks for a majority, any other one two.
LEAST_MARKS, LEAST_NOISY_MARKS = 2, 3
#: Marks take at most one row in so many; so do held-out pairs, and their twins as many again. More than MOST_PAIRS cost
#: too much to score.
ROWS_PER_MARK, ROWS_PER_PAIR, MOST_PAIRS = 4, 4, 1000
SHARES_SHOWN = tuple(percent / 100 for percent in range(10, 100, 10))


@dataclass(frozen=True, slots=True)
class Targets:
    """What a policy is wanted for.

    Attributes:
        rows: the client's rows.
        epochs: how long an honest provider trains on all of them.
        false_reject: an honest provider misses ACCEPT with at most this probability.
        catch_share: a cheat spends this share of the honest compute ...
        eps: ... and passes with at most this probability. So does one that guesses.

    Raises:
        InvalidInput: `field` names the value that is out of range.
    """

    rows: int
    epochs: int
    false_reject: float
    catch_share: float
    eps: float

    def __post_init__(self) -> None:
        for field, low, high in (("rows", 1, 10**9), ("epochs", 1, 100)):
            if not low <= getattr(self, field) <= high:
                raise InvalidInput(
                    f"{field} is {getattr(self, field)}; it must lie between {low} and {high}.", field=field
                )
        for field in ("false_reject", "catch_share", "eps"):
            if not 0 < getattr(self, field) < 1:
                raise InvalidInput(
                    f"{field} is {getattr(self, field)}; it must lie between 0 and 1, both excluded.", field=field
                )

    @property
    def log10_alpha(self) -> int:
        """The policy's alpha, a power of ten: the greatest that is at most `eps`, as far as a policy can say it."""
        return max(-10_000, min(-1, math.floor(math.log10(self.eps))))


@dataclass(frozen=True, slots=True)
class Mix:
    """How a cheat spends its compute: on `rows` random rows for `epochs`. A trial succeeds with `chance` at most."""

    rows: int
    epochs: int
    chance: float


@dataclass(frozen=True, slots=True)
class Passing:
    """A cheat with `share` of the honest compute, its best mix, and ln of the bound on its passing."""

    share: float
    mix: Mix
    log_p: float


@dataclass(frozen=True, slots=True)
class Instrument:
    """A design of groups or of pairs, and who passes it.

    Attributes:
        honest: each trial of an honest provider succeeds with at least this probability.
        log_missed: ln of the bound on an honest provider's missing `design.needed`.
        caught: the cheat of the targets; what stops it is the pairs, if there are any.
        passing: cheats of other shares.
    """

    design: Design
    honest: float
    log_missed: float
    caught: Passing
    passing: tuple[Passing, ...]


@dataclass(frozen=True, slots=True)
class Plan:
    """The policy and what it promises.

    Attributes:
        groups: the marks, as groups that fire.
        pairs: held-out pairs, which stop the cheat; None where they cannot, and groups do.
        log_rejected: ln of the bound on an honest provider's being told REJECT.
        log_guessed: ln of the bound on guessing `accept_at` groups, every redraw that the policy allows counted.
    """

    policy: Policy
    groups: Instrument
    pairs: Instrument | None
    log_rejected: float
    log_guessed: float


def extra_tokens(policy: Policy) -> int:
    """Tokens that planted phrases add to one epoch at the most, if a word is a token; marks replace rows, not add."""
    return policy.marks * (policy.trigger_words + policy.most_signature_words + 1)


def verification_prompts(policy: Policy) -> int:
    """How many questions `node.core.questions` asks, each of the adapter and of the base model."""
    controls = 2 if policy.groups > 1 else 1
    fresh = FRESH_PER_GROUP * policy.groups if policy.pairs else 0
    return (1 + controls) * policy.marks + fresh


def best_plan(targets: Targets, profile: Profile) -> Plan | None:
    """The policy with the fewest marks that meets the targets under the profile's limits; None if none does.

    With pairs if they can stop the cheat and leave room for the marks: half of the false rejects is theirs.
    """
    wanted = pairs_instrument(targets, profile)
    for pairs in (wanted, None) if wanted else (None,):
        if found := _fewest_marks(targets, profile, pairs):
            dose, groups = found
            policy = _policy(targets, profile, dose, groups, pairs)
            return Plan(
                policy=policy,
                groups=groups,
                pairs=pairs,
                log_rejected=binomial.log_cdf(policy.reject_at, policy.groups, math.log(groups.honest)),
                log_guessed=_log_guessed(policy, dose, groups.design),
            )
    return None


def _fewest_marks(targets: Targets, profile: Profile, pairs: Instrument | None) -> tuple[int, Instrument] | None:
    """(marks per group, groups)."""
    found: list[tuple[int, Instrument]] = []
    for dose in doses(profile):
        fewest = min((marks * groups.design.trials for marks, groups in found), default=dose * MOST_GROUPS)
        if groups := _groups(targets, profile, dose, pairs, most=fewest // dose):
            found.append((dose, groups))
    return min(found, key=lambda each: each[0] * each[1].design.trials, default=None)


def doses(profile: Profile) -> tuple[int, ...]:
    """Marks per group that were measured and that a policy may ask for."""
    least = LEAST_NOISY_MARKS if profile.policy.noise_percent else LEAST_MARKS
    return tuple(dose for dose in profile.marks if dose >= least)


def groups_mix(profile: Profile, dose: int, rows: int, compute: float) -> Mix:
    """The cheat's best spending of `compute`, in epochs over all `rows`, on groups of `dose` marks."""
    guessed = math.exp(guessing.log_fires(profile.policy.guess_bits, dose, majority(dose)))

    def chances(epochs: int) -> list[float]:
        return [
            guessed,
            *(max(guessed, profile.group_fires_at_most(dose, seen, epochs)) for seen in range(1, dose + 1)),
        ]

    return _best_mix(compute, rows, profile.most_epochs, chances)


def pairs_mix(profile: Profile, rows: int, compute: float) -> Mix:
    """The same on held-out pairs. One whose sent row was not trained on is won with probability 1/2 at most."""
    return _best_mix(
        compute, rows, profile.most_epochs, lambda epochs: [0.5, max(0.5, profile.pair_won_at_most(epochs))]
    )


def pairs_instrument(targets: Targets, profile: Profile) -> Instrument | None:
    """The fewest held-out pairs that stop the cheat; None if none do."""
    return _instrument(
        targets,
        honest=profile.pair_won_at_least(targets.epochs),
        best_mix=lambda share: pairs_mix(profile, targets.rows, share * targets.epochs),
        log_false_reject=math.log(targets.false_reject / 2),
        stops_cheat=True,
        unguessable=lambda design: True,  # luck is in the mix
        most=min(MOST_PAIRS, targets.rows // ROWS_PER_PAIR),
    )


def majority(dose: int) -> int:
    """The least `fire_at` that leaves no room for two guesses."""
    return dose // 2 + 1


def _best_mix(compute: float, rows: int, most_epochs: int, chances: Callable[[int], Sequence[float]]) -> Mix:
    """`chances(epochs)[x]` is P(a trial succeeds) if x of its rows were trained on for that long.

    Beyond `most_epochs` it is 1 from x = 1 on, so that of longer trainings the shortest, on the most rows, stands for
    all of them.
    """
    mixes = []
    for epochs in range(1, most_epochs + 2):
        chosen = min(rows, math.ceil(compute * rows / epochs))
        mixes.append(Mix(chosen, epochs, power.chance_on_subset(rows, chosen, chances(epochs))))
    return max(mixes, key=lambda mix: mix.chance)


def _groups(targets: Targets, profile: Profile, dose: int, pairs: Instrument | None, *, most: int) -> Instrument | None:
    held_back = pairs.design.trials if pairs else 0
    log_alpha = targets.log10_alpha * math.log(10)
    return _instrument(
        targets,
        honest=profile.group_fires_at_least(dose, dose, targets.epochs),
        best_mix=lambda share: groups_mix(profile, dose, targets.rows - held_back, share * targets.epochs),
        log_false_reject=math.log(targets.false_reject / (2 if pairs else 1)),
        stops_cheat=pairs is None,
        unguessable=lambda design: design.needed > 0 and _log_guessed(profile.policy, dose, design) <= log_alpha,
        most=min(
            most,
            targets.rows // (ROWS_PER_MARK * dose),
            (targets.rows - 2 * held_back) // (dose + CONTEXT_ROWS),
        ),
    )


def _instrument(
    targets: Targets,
    *,
    honest: float,
    best_mix: Callable[[float], Mix],
    log_false_reject: float,
    stops_cheat: bool,
    unguessable: Callable[[Design], bool],
    most: int,
) -> Instrument | None:
    """The smallest design of at most `most` trials that does what it must; None if none does."""
    if most < 1:
        return None
    cheat = best_mix(targets.catch_share)

    def caught(design: Design) -> bool:
        return unguessable(design) and (not stops_cheat or _log_passes(design, cheat) <= math.log(targets.eps))

    design = power.least_design(honest, caught, log_false_reject=log_false_reject, most=most)
    if design is None:
        return None
    shown = ((share, best_mix(share)) for share in SHARES_SHOWN)
    return Instrument(
        design=design,
        honest=honest,
        log_missed=binomial.log_cdf(design.needed - 1, design.trials, math.log(honest)),
        caught=Passing(targets.catch_share, cheat, _log_passes(design, cheat)),
        passing=tuple(Passing(share, mix, _log_passes(design, mix)) for share, mix in shown),
    )


def _log_passes(design: Design, mix: Mix) -> float:
    return power.log_passes(design.needed, design.trials, mix.chance)


def _log_guessed(phrases: Policy, dose: int, design: Design) -> float:
    group = guessing.log_fires(phrases.guess_bits, dose, majority(dose))
    return guessing.after_redraws(guessing.log_p(design.needed, [group] * design.trials), phrases.attempts)


def _policy(targets: Targets, profile: Profile, dose: int, groups: Instrument, pairs: Instrument | None) -> Policy:
    """REJECT is as rare for an honest provider as ACCEPT is for the cheat, as far as counts from 0 on allow."""
    trials, needed = groups.design.trials, groups.design.needed
    rare = [k for k in range(needed) if binomial.log_cdf(k, trials, math.log(groups.honest)) <= math.log(targets.eps)]
    return replace(
        profile.policy,
        groups=trials,
        marks_per_group=dose,
        fire_at=majority(dose),
        deciding_test=DecidingTest.GROUPS,
        accept_at=needed,
        reject_at=max(rare, default=0),
        log10_alpha=targets.log10_alpha,
        pairs=pairs.design.trials if pairs else 0,
        pairs_needed=pairs.design.needed if pairs else 0,
    )
