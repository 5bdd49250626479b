"""A verdict as JSON, wherever a command prints one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from node.core.verdict import Verdict


def verdict_json(verdict: Verdict) -> dict[str, Any]:
    return {
        "outcome": verdict.outcome.value,
        "rule": verdict.rule.value,
        "groups_fired": verdict.groups_fired,
        "groups": verdict.groups,
        "log10_p": round(verdict.log10_p, 3),
        "positions_right": verdict.positions_right,
        "positions": verdict.positions,
        "positions_log10_p": round(verdict.positions_log10_p, 3),
        "pairs_won": verdict.pairs_won,
        "pairs": verdict.pairs,
        "pairs_log10_p": round(verdict.pairs_log10_p, 3),
        "pairs_trained_at_least": verdict.pairs_trained_at_least,
        "notes": list(verdict.notes),
    }
