"""`hallmark bench verifier`: what it says of its measurements. The measurements themselves run by command."""

from __future__ import annotations

from dataclasses import replace

import pytest

from node.cli.bench.command import Figures, report
from node.cli.bench.ways import Timed, Verified

GOOD = Figures(
    prompts=80,
    transformers=Timed(ready_seconds=3.0, seconds=60.0, cpu_seconds=110.0, peak_mib=900.0, shown=(3, 0)),
    stock=Timed(ready_seconds=20.0, seconds=100.0, cpu_seconds=190.0, peak_mib=2000.0, shown=(3, 0)),
    verifier=Verified(
        Timed(9.0, 5.0, 9.5, 1800.0, (3, 0)), arbitrated=2, verdict_seconds=11.0, growth=((16, 8.0, 1900.0),)
    ),
    agreeing=80,
    fired=24,
    gemm_flops_per_second=2e11,
    share_of_gemm=0.6,
    training_tokens_per_second=200.0,
    verification_seconds=4.0,
    training_seconds=8000.0,
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
        replace(GOOD, verification_seconds=8.1),
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
