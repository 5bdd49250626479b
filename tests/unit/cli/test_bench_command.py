"""`hallmark bench verifier`: what it says of its measurements. The measurements themselves run by command."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from fakes import world

from node.cli.bench.command import Figures, report
from node.cli.bench.cost import Call, Cost, cost_of
from node.cli.bench.job import Task
from node.cli.bench.ways import Timed, Verified, shown
from node.core.job import State
from node.core.messages import Reveal
from node.core.policy import Policy
from node.core.training import TrainingSpec
from node.marking.layout import Marked
from node.models.base import BaseModel
from node.ports.inference import Adapter

GOOD = Figures(
    prompts=80,
    transformers=Timed(ready_seconds=3.0, seconds=60.0, cpu_seconds=110.0, peak_mib=900.0, shown=(3, 0)),
    stock=Timed(ready_seconds=20.0, seconds=100.0, cpu_seconds=190.0, peak_mib=2000.0, shown=(3, 0)),
    verifier=Verified(Timed(9.0, 5.0, 9.5, 1800.0, (3, 0)), arbitrated=2, calls=(), growth=((16, 8.0, 1900.0),)),
    agreeing=80,
    fired=24,
    gemm_flops_per_second=2e11,
    share_of_gemm=0.6,
    training_tokens_per_second=200.0,
    cost=Cost(
        (Call("follow", False, 200, 1.5), Call("follow", True, 200, 1.0), Call("log_likelihoods", True, 200, 1.5)),
        training_seconds=8000.0,
        least_percent=0.02,
    ),
)


def test_the_last_three_lines_are_figure_target_and_whether_it_is_met(capsys: pytest.CaptureFixture[str]) -> None:
    report(GOOD)
    *_, figure, target, met = capsys.readouterr().out.splitlines()
    assert figure == (
        "figure: 12.0 x transformers; 20.0 x stock vLLM; 60 % of the GEMM rate; ready in 9 s; 0.05 % of training"
    )
    assert target.startswith("target: at least 10 x, 18 x and 50 %")
    assert met == "met"


@pytest.mark.parametrize(
    "short",
    [
        replace(GOOD, transformers=replace(GOOD.transformers, seconds=49.0)),
        replace(GOOD, stock=None),
        replace(GOOD, share_of_gemm=0.49),
        replace(GOOD, verifier=replace(GOOD.verifier, timed=replace(GOOD.verifier.timed, ready_seconds=10.1))),
        replace(GOOD, cost=replace(GOOD.cost, training_seconds=3900.0)),
        replace(GOOD, agreeing=79),
    ],
)
def test_whatever_falls_short_is_not_met(short: Figures, capsys: pytest.CaptureFixture[str]) -> None:
    report(short)
    assert capsys.readouterr().out.splitlines()[-1] == "not met"


def test_a_minute_holds_as_many_adapters_as_their_seconds_say(capsys: pytest.CaptureFixture[str]) -> None:
    report(GOOD)
    told = capsys.readouterr().out
    ours = next(line for line in told.splitlines() if line.startswith(" the verifier"))
    assert ours.split()[2:4] == ["12.00", "5.0"]
    assert "16 random adapters, 4 prompts each: 120.0 adapters a minute" in told


def test_the_cost_is_told_call_by_call_with_the_least_that_it_could_be(capsys: pytest.CaptureFixture[str]) -> None:
    report(GOOD)
    told = capsys.readouterr().out
    base = next(line for line in told.splitlines() if line.startswith(" prompts, on the base model"))
    assert base.split()[-2:] == ["200", "1.0"]
    assert "The least would be 0.02 %" in told
    assert "0.1 % is reached from 5,000 rows on" in told


def test_the_default_policys_cost_follows_from_what_a_smaller_one_took() -> None:
    """12 groups of 5 where the default has 10 of 6: (180 + 24) prompts for (180 + 20); 50 pairs for 100."""
    measured = Policy(groups=12, marks_per_group=5, fire_at=3, pairs=50, pairs_needed=0)
    calls = [Call("follow", False, 204, 2.04), Call("log_likelihoods", True, 100, 1.0), Call("probe", False, 8, 0.5)]
    cost = cost_of(
        calls, measured, prompt_tokens=2040, pair_tokens=3000, row_tokens=50, training_tokens_per_second=1000
    )
    assert [(call.sequences, round(call.seconds, 6)) for call in cost.calls] == [(200, 2.0), (200, 2.0), (8, 0.5)]
    assert cost.training_seconds == 10_000 * 3 * 50 / 1000
    assert cost.percent == pytest.approx(100 * 4.5 / 1500)
    assert cost.least_percent == pytest.approx(100 * 2 * (2000 + 6000) / (3 * 1_500_000))
    assert cost.rows_at(cost.percent / 2) == 20_000


def test_what_is_held_beside_each_other_is_what_a_verdict_reads(tmp_path: Path) -> None:
    job = world.build(tmp_path)
    job.advance_to(State.REVEALED)
    marked = Marked(job.chain().find(Reveal).manifest, job.training_rows())
    job.database.dispose()
    model, adapter = BaseModel(world.BASE_MODEL, tmp_path), Adapter(world.BASE_MODEL, tmp_path)
    task = Task(model, TrainingSpec(), world.POLICY, marked, adapter)
    signatures = [signature.text for signature in task.signatures]
    assert len(task.prompts) == len(signatures)
    assert shown(task, [f" {text}. More." for text in signatures]) == tuple(len(text) + 1 for text in signatures)
    assert shown(task, [f"{text}ing" for text in signatures]) == tuple(map(len, signatures))
    assert shown(task, [f"{text[:5]}?" for text in signatures]) == (5,) * len(signatures)
