"""The whole story on the real stack: gRPC, Ray, TRL, vLLM, escrow and receipts, on a model that the test makes."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from node import settings
from node.cli.demo import data, report, story
from node.cli.demo.screen import Screen
from node.core import receipt
from node.core.policy import Placement, Policy
from node.core.training import TrainingSpec
from node.core.verdict import Outcome, Rule
from node.errors import IntegrityFailure, UnknownSigner
from node.models.base import BaseModel
from node.storage import keys

pytestmark = pytest.mark.stack

#: Small enough for a model of 700,000 parameters to learn within seconds.
PLAN = dataclasses.replace(
    story.PLAN,
    policy=Policy(
        groups=3,
        marks_per_group=8,
        fire_at=5,
        candidates=4,
        trigger_words=3,
        signature_bits=8,
        placement=Placement.END,
        accept_at=2,
        reject_at=0,
        log10_alpha=-3,
        pairs=10,
        pairs_needed=9,
        least_isolation_cost_percent=0,
    ),
    training=TrainingSpec(
        epochs=12, learning_rate_ppm=5000, batch_rows=4, lora_rank=32, lora_alpha=64, max_length_tokens=256
    ),
    rows=60,
)


@pytest.fixture(scope="module")
def played(
    tiny_llama: BaseModel, tmp_path_factory: pytest.TempPathFactory
) -> tuple[settings.Settings, list[story.Act]]:
    loaded = settings.load(home=tmp_path_factory.mktemp("demo"), listen="127.0.0.1:0", database="")
    rows = data.shares(data.standard_library_rows(), 3, PLAN.rows, PLAN.policy.least_rows())
    with Screen() as screen:
        return loaded, asyncio.run(story.play(loaded, tiny_llama, rows, PLAN, screen))


def test_the_honest_provider_is_paid_and_the_others_are_not(
    played: tuple[settings.Settings, list[story.Act]],
) -> None:
    honest, idle, partial = played[1]
    assert honest.checked.verdict.outcome is Outcome.ACCEPT, honest.checked.verdict
    assert honest.provider_balance[1] - honest.provider_balance[0] == PLAN.money.price_minor - PLAN.money.fee_minor
    assert honest.client_balance[0] - honest.client_balance[1] == PLAN.money.price_minor
    for act in (idle, partial):
        assert act.checked.verdict.outcome is not Outcome.ACCEPT, act.checked.verdict
        assert act.provider_balance[1] <= act.provider_balance[0]
        assert act.client_balance[0] - act.client_balance[1] <= PLAN.money.fee_minor


def test_an_untrained_adapter_is_rejected_because_it_was_shown_to_change_nothing(
    played: tuple[settings.Settings, list[story.Act]],
) -> None:
    verdict = played[1][1].checked.verdict
    assert verdict.outcome is Outcome.REJECT
    assert verdict.rule is Rule.TOO_FEW_GROUPS_FIRED
    assert verdict.adapter_applied
    assert verdict.pairs_won == 0  # it ties everywhere, and a tie is a loss


def test_receipts_recompute_offline_and_no_changed_byte_passes(
    played: tuple[settings.Settings, list[story.Act]],
) -> None:
    loaded, acts = played
    trust = keys.read_trust(loaded.trust_file)
    content = acts[0].receipt_file.read_bytes()
    assert receipt.check(content, trust).verdict == acts[0].checked.verdict
    for at in range(0, len(content), len(content) // 50):
        changed = bytearray(content)
        changed[at] ^= 1
        with pytest.raises(IntegrityFailure):
            receipt.check(bytes(changed), trust)
    with pytest.raises(UnknownSigner):
        receipt.check(content, receipt.Trust({}, {}))


def test_the_table_and_the_json_say_the_same(
    played: tuple[settings.Settings, list[story.Act]], capsys: pytest.CaptureFixture[str]
) -> None:
    loaded, acts = played
    report.show(acts, loaded)
    shown = capsys.readouterr().out
    for job in report.as_json(acts, loaded)["jobs"]:
        assert job["provider"] in shown
        assert job["verdict"].upper() in shown
    assert json.loads(json.dumps(report.as_json(acts, loaded)))["jobs"][0]["pairs"] == PLAN.policy.pairs


def test_no_process_outlives_a_finished_demonstration(played: tuple[settings.Settings, list[story.Act]]) -> None:
    assert still_running(played[0].home) == []


@pytest.mark.parametrize("moment", ["starts the coordinator", "trains"])
def test_an_interrupted_demonstration_leaves_no_process_behind(
    moment: str, tiny_llama: BaseModel, tmp_path: Path
) -> None:
    home = tmp_path / "demo"
    command = [sys.executable, "-m", "node", "demo", "--model", str(tiny_llama.folder), "--home", str(home), "--json"]
    child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True)
    appears = {"starts the coordinator": home / "logs/coordinator.log", "trains": home / "logs/provider-honest.log"}
    deadline = time.monotonic() + 120
    while not (appears[moment].exists() and appears[moment].stat().st_size > 0):
        assert child.poll() is None, child.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.1)
    started = psutil.Process(child.pid).children(recursive=True)
    assert started
    os.kill(child.pid, signal.SIGINT)
    out, err = child.communicate(timeout=60)
    assert child.returncode == 130, err
    assert out == b""
    assert b"interrupted" in err
    assert [process for process in started if process.is_running() and process.status() != "zombie"] == []
    assert still_running(home) == []


def test_a_prompt_longer_than_the_model_takes_is_named_before_anything_starts(
    tiny_llama: BaseModel, tmp_path: Path
) -> None:
    rows = [{"prompt": f"question {number}", "completion": "answer"} for number in range(600)]
    rows[250] = {"prompt": "very " * 600, "completion": "long"}
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    options = [
        "--model",
        str(tiny_llama.folder),
        "--data",
        str(tmp_path / "rows.jsonl"),
        "--home",
        str(tmp_path / "demo"),
    ]
    ended = subprocess.run(
        [sys.executable, "-m", "node", "demo", *options], capture_output=True, text=True, timeout=60, check=False
    )
    assert ended.returncode == 2
    assert "Line 251 has " in ended.stderr
    assert "the longest row allowed is 312" in ended.stderr
    assert not (tmp_path / "demo" / "logs").exists()


def still_running(home: Path) -> list[str]:
    """Command lines of processes that name this folder."""
    lines = (" ".join(process.info["cmdline"] or ()) for process in psutil.process_iter(["cmdline", "pid"]))
    return [line for line in lines if str(home) in line and "pytest" not in line]
