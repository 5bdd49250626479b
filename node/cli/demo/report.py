"""The demonstration's result: one table for people, the same as JSON for programs."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

from node.cli.demo.story import Act
from node.core.policy import DecidingTest
from node.core.verdict import Verdict
from node.settings import Settings


def show(acts: Sequence[Act], settings: Settings) -> None:
    """Prints the table on stdout, and where everything lies."""
    console = Console(highlight=False, soft_wrap=True)
    by_words = any(act.checked.chain.offer.policy.deciding_test is DecidingTest.POSITIONS for act in acts)
    table = Table(
        title="Who was paid, and why", title_justify="left", box=box.SIMPLE, padding=(0, 0, 0, 1), pad_edge=False
    )
    for header in ("provider", "verdict"):
        table.add_column(header, no_wrap=True)
    for header in ("groups\nlog10 p", *(["words\nlog10 p"] if by_words else []), "untrained\nfires", "pairs\nlog10 p"):
        table.add_column(header, justify="right", no_wrap=True)
    for header in ("provider's\nbalance", "client's\nbalance"):
        table.add_column(header, justify="right", no_wrap=True)
    for act in acts:
        verdict = act.checked.verdict
        table.add_row(
            act.part.name,
            verdict.outcome.name,
            f"{verdict.groups_fired}/{verdict.groups}\n{verdict.log10_p:.1f}",
            *([_words(verdict)] if by_words else []),
            str(verdict.base_fired),
            f"{verdict.pairs_won}/{verdict.pairs}\n{verdict.pairs_log10_p:.1f}",
            "{}\n→ {}".format(*act.provider_balance),
            "{}\n→ {}".format(*act.client_balance),
            end_section=True,
        )
    console.print(table)
    guessed = "groups fired, and so many words of signatures predicted," if by_words else "groups fired"
    console.print(f"log10 p: of so many {guessed} by guessing; of so many pairs won without training on the rows.")
    console.print("untrained: how many signatures the base model alone showed to the same prompts.")
    console.print(f"Receipts: {_near(settings.home / 'receipts')}   logs: {_near(settings.home / 'logs')}")
    hallmark = _near(Path(sys.argv[0]).absolute())
    console.print("Check a receipt yourself, and follow the money:")
    console.print(f"  export HALLMARK_HOME={_near(settings.home)}")
    console.print(f"  {hallmark} receipt verify {_near(acts[0].receipt_file)}")
    console.print(f"  {hallmark} escrow job {acts[0].job}")


def as_json(acts: Sequence[Act], settings: Settings) -> dict[str, Any]:
    return {
        "as_deserved": all(act.as_deserved for act in acts),
        "trust": str(settings.trust_file),
        "logs": str(settings.home / "logs"),
        "jobs": [
            {
                "provider": act.part.name,
                "job": act.job,
                "verdict": act.checked.verdict.outcome.value,
                "rule": act.checked.verdict.rule.value,
                "groups_fired": act.checked.verdict.groups_fired,
                "groups": act.checked.verdict.groups,
                "marks_fired": list(act.checked.verdict.marks_fired),
                "log10_p": round(act.checked.verdict.log10_p, 3),
                "positions_right": act.checked.verdict.positions_right,
                "positions": act.checked.verdict.positions,
                "positions_log10_p": round(act.checked.verdict.positions_log10_p, 3),
                "base_model_fired": act.checked.verdict.base_fired,
                "controls_fired": act.checked.verdict.controls_fired,
                "fresh_fired": act.checked.verdict.fresh_fired,
                "pairs_won": act.checked.verdict.pairs_won,
                "pairs": act.checked.verdict.pairs,
                "pairs_log10_p": round(act.checked.verdict.pairs_log10_p, 3),
                "pairs_trained_at_least": act.checked.verdict.pairs_trained_at_least,
                "provider_balance_minor": list(act.provider_balance),
                "client_balance_minor": list(act.client_balance),
                "notes": list(act.checked.verdict.notes),
                "receipt": str(act.receipt_file),
            }
            for act in acts
        ],
    }


def _words(verdict: Verdict) -> str:
    return f"{verdict.positions_right}/{verdict.positions}\n{verdict.positions_log10_p:.1f}"


def _near(path: Path) -> Path:
    """The path as seen from here, where that is shorter."""
    here = Path.cwd()
    return path.relative_to(here) if path.is_relative_to(here) else path
