"""Why no policy meets some targets, and what would: one target changed, or two, or more calibration.

Changes nothing itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from node.core.plan import Mix, Targets, best_plan, doses, groups_mix, pairs_instrument, pairs_mix
from node.core.profile import Profile, limits
from node.errors import InvalidInput

MORE_ROWS = MORE_GROUPS = (2, 4, 8, 16, 32, 64)
WEAKER_EPS = (1e-6, 1e-4, 1e-3, 0.01, 0.05)
WEAKER_FALSE_REJECT = (0.02, 0.05, 0.1, 0.2)
SMALLER_SHARES = tuple(percent / 100 for percent in range(95, 0, -5))


def unmet(targets: Targets, profile: Profile) -> InvalidInput:
    """The refusal of `targets`, for which `best_plan` finds no policy."""
    changes = list(_changes(targets, profile)) or list(_both(targets, profile))
    fix = f"What would do: {'; or '.join(changes)}." if changes else "Calibrate with more groups and longer trainings."
    return InvalidInput(
        f"No policy meets these targets. {_reason(targets, profile)} Measured: {profile.told}.",
        fix=fix,
        field="targets",
    )


def _reason(targets: Targets, profile: Profile) -> str:
    """On the dose at which one group tells most between honest and cheating providers."""
    if targets.epochs < profile.epochs[0]:
        return (
            f"What an honest provider learns in {targets.epochs} epochs is not known: the shortest training measured "
            f"had {profile.epochs[0]} (`hallmark calibrate --epochs {targets.epochs}` would measure it)."
        )
    fitting = [dose for dose in doses(profile) if dose <= targets.rows]
    if not fitting:
        return f"{targets.rows} rows hold no group of a dose that was measured."
    sure = {dose: profile.group_fires_at_least(dose, dose, targets.epochs) for dose in fitting}
    if pairs_instrument(targets, profile):
        return (
            f"{max(sure.values()):.0%} of an honest provider's groups are sure to fire, too few to rule out guessing: "
            "held-out pairs would stop the cheat."
        )
    compute = targets.catch_share * targets.epochs
    mixes = {dose: groups_mix(profile, dose, targets.rows, compute) for dose in fitting}
    dose = max(fitting, key=lambda each: sure[each] - mixes[each].chance)
    honest, mix = sure[dose], mixes[dose]
    reason = (
        f"With {dose} marks a group, {honest:.0%} of an honest provider's groups are sure to fire; of a cheat's that "
        f"trains on {mix.rows / targets.rows:.0%} of the rows for {_epochs(mix.epochs)}, {mix.chance:.0%} cannot be "
        f"excluded{_because(profile, targets.rows, dose, mix)}"
    )
    if mix.chance < honest:
        reason += ". To tell these apart takes more groups than a quarter of the rows, or one policy, holds"
    return f"{reason}. {_pairs_reason(targets, profile)}"


def _pairs_reason(targets: Targets, profile: Profile) -> str:
    honest = profile.pair_won_at_least(targets.epochs)
    cheat = pairs_mix(profile, targets.rows, targets.catch_share * targets.epochs).chance
    return f"Of held-out pairs the one is sure to win {honest:.0%}, the other may win {cheat:.0%}."


def _because(profile: Profile, rows: int, dose: int, mix: Mix) -> str:
    """What is known of a group of which the mix shows a usual part: it keeps the cheat's chance up."""
    seen = max(1, round(dose * mix.rows / rows))
    cell = profile.cell_above(dose, seen, mix.epochs)
    if cell is None:
        return f", for no group with {seen} of {dose} marks seen was measured after {_epochs(mix.epochs)} or more"
    most = limits(cell.fired, cell.groups)[1]
    shorter = f" (nothing was measured after {_epochs(mix.epochs)})" if cell.epochs > mix.epochs else ""
    return (
        f": {cell.fired} of {cell.groups} groups with {cell.seen} of {cell.marks} marks seen fired after "
        f"{_epochs(cell.epochs)}, so that {most:.0%} may{shorter}"
    )


def _epochs(count: int) -> str:
    return "1 epoch" if count == 1 else f"{count} epochs"


def _changes(targets: Targets, profile: Profile) -> Iterator[str]:
    """The least change of each kind, alone, with which a policy would be found."""
    longer = (replace(targets, epochs=each) for each in profile.epochs if each > targets.epochs)
    weaker = (replace(targets, catch_share=each) for each in SMALLER_SHARES if each < targets.catch_share)
    easier = (replace(targets, eps=each) for each in WEAKER_EPS if each > targets.eps)
    kinder = (replace(targets, false_reject=each) for each in WEAKER_FALSE_REJECT if each > targets.false_reject)
    larger = (replace(targets, rows=each * targets.rows) for each in MORE_ROWS)
    surer = ((times, _as_if_measured(profile, times)) for times in MORE_GROUPS)

    def first(changed: Iterator[Targets]) -> Targets | None:
        return next((each for each in changed if best_plan(each, profile)), None)

    if found := first(longer):
        yield f"{found.epochs} epochs"
    if found := first(weaker):
        yield f"catching a share of {found.catch_share:.0%} only"
    if found := first(easier):
        yield f"eps {found.eps:g}"
    if found := first(kinder):
        yield f"a false-reject rate of {found.false_reject:g}"
    if found := first(larger):
        yield f"{found.rows} rows"
    if times := next((times for times, measured in surer if best_plan(targets, measured)), None):
        yield f"calibrating with {times} times as many groups and pairs, if their rates stay as measured"


def _both(targets: Targets, profile: Profile) -> Iterator[str]:
    """Each longer training with the greatest smaller share that a policy then catches, if it exceeds those before."""
    caught = 0.0
    for epochs in (each for each in profile.epochs if each > targets.epochs):
        for share in (each for each in SMALLER_SHARES if caught < each < targets.catch_share):
            if best_plan(replace(targets, epochs=epochs, catch_share=share), profile):
                caught = share
                yield f"{epochs} epochs and catching a share of {share:.0%} only"
                break


def _as_if_measured(profile: Profile, times: int) -> Profile:
    """The profile had `times` as many trials come out at the same rates."""
    return replace(
        profile,
        groups=tuple(replace(each, fired=times * each.fired, groups=times * each.groups) for each in profile.groups),
        pairs=tuple(replace(each, won=times * each.won, pairs=times * each.pairs) for each in profile.pairs),
    )
