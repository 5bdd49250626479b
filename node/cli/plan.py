"""`hallmark plan`: the policy that meets your targets with the fewest marks, and what it promises."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from node.cli import profile_file

if TYPE_CHECKING:
    from node.core.plan import Instrument, Plan, Targets
    from node.core.profile import Profile

#: The profile that comes with the project: the packaged model, measured by `hallmark calibrate`.
SHIPPED = Path(__file__).with_name("profiles") / "smollm2-135m-instruct.json"


def plan(
    rows: Annotated[int, typer.Option(help="Rows of your data.")],
    epochs: Annotated[int, typer.Option(help="Epochs that an honest provider trains.")] = 5,
    false_reject: Annotated[float, typer.Option(help="An honest provider misses ACCEPT at most so often.")] = 0.01,
    catch_subset: Annotated[float, typer.Option(help="A cheat has this share of the honest compute ...")] = 0.2,
    eps: Annotated[float, typer.Option(help="... and passes at most so often; so does one that guesses.")] = 1e-3,
    profile: Annotated[
        Path | None, typer.Option(help="Calibration profile; default: the packaged model's.", show_default=False)
    ] = None,
    rows_tokens: Annotated[
        int | None, typer.Option(help="Tokens of all rows, to reckon costs in tokens.", show_default=False)
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Groups, marks and thresholds that accept an honest provider and stop one that trained on a part.

    Reckons with the unfavourable 95 % limits of a measured profile, and with the cheat's best mix of rows and epochs.
    """
    from node.core.plan import Targets, best_plan
    from node.core.unmet import unmet
    from node.errors import InvalidInput, NotInstalled

    if rows_tokens is not None and rows_tokens < rows:
        raise InvalidInput(f"{rows} rows hold more than {rows_tokens} tokens.", field="rows_tokens")
    targets = Targets(rows, epochs, false_reject, catch_subset, eps)
    if profile is None and not SHIPPED.is_file():
        raise NotInstalled("This installation comes without a profile of the packaged model.", fix=profile_file.MEASURE)
    file = profile or SHIPPED
    measured = profile_file.read(file)
    found = best_plan(targets, measured)
    if found is None:
        raise unmet(targets, measured)
    tokens_per_row = rows_tokens / rows if rows_tokens else None
    if as_json:
        typer.echo(json.dumps({"profile": str(file)} | _as_json(found, targets, tokens_per_row), indent=2))
    else:
        _show(found, targets, measured, tokens_per_row, _origin(profile))


def _tokens(plan: Plan, targets: Targets, tokens_per_row: float | None) -> dict[str, int]:
    """Extra training tokens over all epochs, and what verification reads on adapter and base together."""
    from node.core.plan import extra_tokens, verification_prompts

    counted = {"training_extra": extra_tokens(plan.policy) * targets.epochs}
    if tokens_per_row is not None:
        phrases = plan.policy.trigger_words + plan.policy.most_signature_words
        asked = verification_prompts(plan.policy) * (tokens_per_row + phrases) + 2 * plan.policy.pairs * tokens_per_row
        counted["training"] = round(tokens_per_row * targets.rows * targets.epochs)
        counted["verification"] = round(2 * asked)
    return counted


def _as_json(plan: Plan, targets: Targets, tokens_per_row: float | None) -> dict[str, Any]:
    from node.core import document
    from node.core.plan import verification_prompts

    return {
        "policy": document.to_json(plan.policy),
        "marks_share": plan.policy.marks / targets.rows,
        "log10_p_guessed": _log10(plan.log_guessed),
        "log10_p_honest_rejected": _log10(plan.log_rejected),
        "verification_prompts": verification_prompts(plan.policy),
        "tokens": _tokens(plan, targets, tokens_per_row),
        "groups": _instrument_json(plan.groups),
        "pairs": _instrument_json(plan.pairs) if plan.pairs else None,
    }


def _instrument_json(instrument: Instrument) -> dict[str, Any]:
    return {
        "trials": instrument.design.trials,
        "needed": instrument.design.needed,
        "honest_chance": instrument.honest,
        "log10_p_honest_missed": _log10(instrument.log_missed),
        "cheats": [
            {
                "share": each.share,
                "rows": each.mix.rows,
                "epochs": each.mix.epochs,
                "chance": each.mix.chance,
                "log10_p_passes": _log10(each.log_p),
            }
            for each in (instrument.caught, *instrument.passing)
        ],
    }


def _log10(log_p: float) -> float | None:
    """None is the logarithm of 0, which JSON cannot say."""
    return None if log_p == -math.inf else log_p / math.log(10)


def _origin(profile: Path | None) -> str:
    return f"profile {profile}" if profile else "the profile that comes with Hallmark"


def _show(plan: Plan, targets: Targets, measured: Profile, tokens_per_row: float | None, origin: str) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table

    from node.core import document
    from node.core.plan import verification_prompts

    policy, groups, pairs = plan.policy, plan.groups, plan.pairs
    facts = Table(box=None, show_header=False, pad_edge=False)
    facts.add_column(no_wrap=True)
    facts.add_column(overflow="fold")
    facts.add_row(
        "marks", f"{policy.groups} groups of {policy.marks_per_group}, {policy.marks / targets.rows:.2%} of the data"
    )
    facts.add_row(
        "ACCEPT",
        f"from {policy.accept_at} groups; an honest provider misses it with {_percent(groups.log_missed)} at most",
    )
    facts.add_row(
        "REJECT",
        f"up to {policy.reject_at} groups; an honest provider meets it with {_percent(plan.log_rejected)} at most",
    )
    facts.add_row(
        "guessing", f"reaches ACCEPT with {_percent(plan.log_guessed)} at most, {policy.attempts} draws counted"
    )
    if pairs:
        facts.add_row(
            "held-out pairs",
            f"{policy.pairs}, {policy.pairs / targets.rows:.2%} of the data; ACCEPT needs {policy.pairs_needed} won; "
            f"an honest provider misses it with {_percent(pairs.log_missed)} at most",
        )
    else:
        facts.add_row(
            "held-out pairs", "none: for these targets the profile's pairs cannot tell, or the rows have no room"
        )
    tokens = _tokens(plan, targets, tokens_per_row)
    costs = [f"{tokens['training_extra']:,} extra tokens in {targets.epochs} epochs"]
    if "training" in tokens:
        costs[0] += f" of {tokens['training']:,}"
        costs.append(f"{tokens['verification']:,} tokens to verify")
    facts.add_row("cost", f"{', '.join(costs)}; {verification_prompts(policy):,} prompts, each on adapter and base")
    facts.add_row(
        "measured on",
        f"{measured.told} ({origin}): assumed to hold for your rows",
    )

    cheats = Table(box=SIMPLE_HEAD, title="Cheats by compute, each with its best mix: at most")
    deciding, trial = (pairs, "a pair is won") if pairs else (groups, "a group fires")
    for name in ("compute", "rows", "epochs", trial, "passes"):
        cheats.add_column(name, justify="right", no_wrap=True)
    for each in deciding.passing:
        cheats.add_row(
            f"{each.share:.0%}",
            f"{each.mix.rows:,}",
            str(each.mix.epochs),
            f"{each.mix.chance:.1%}",
            _percent(each.log_p),
        )
    console = Console(highlight=False, markup=False)
    console.print(facts)
    console.print(cheats)
    console.print("The policy, as a document:", json.dumps(document.to_json(policy)), soft_wrap=True, sep="\n")


def _percent(log_p: float) -> str:
    """A probability as people read it: in percent, or as a power of ten where it is small."""
    if log_p < math.log(1e-4):
        return "0" if log_p == -math.inf else f"10^{log_p / math.log(10):.1f}"
    return f"{math.exp(log_p):.2%}"
