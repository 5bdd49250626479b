"""The pool of verifiers over real Ray actors, around an engine that dies, hangs or refuses at will."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import fakes.adapters
import fakes.inference
import pytest
from fakes.inference import LearningEngine
from fakes.world import BASE_MODEL, build

from node.cluster.local_ray import start_local_ray, stop_local_ray
from node.coordinator import worker
from node.core.evidence import Continuation
from node.core.job import State
from node.core.messages import VerdictGiven
from node.core.rows import Row
from node.core.verdict import Outcome
from node.errors import InvalidInput, Unavailable
from node.ports.inference import Adapter, Prompt
from node.verifier.actor import MOST_PROMPTS, VerifierPool

pytestmark = pytest.mark.stack

ROWS = [Row.of(f"Question {number}", "Answer") for number in range(2 * MOST_PROMPTS + 3)]
PATIENCE_SECONDS = 60


class Moody(LearningEngine):
    """What the folder holds decides what happens to a call, once: each mood goes with the file of its name."""

    def __init__(self, folder: Path) -> None:
        super().__init__(BASE_MODEL)
        self._moods: dict[Path, Callable[[], None]] = {
            folder / "death": lambda: os.kill(os.getpid(), signal.SIGKILL),
            folder / "sleep": lambda: time.sleep(600),
            folder / "memory": self._run_out_of_memory,
            folder / "refusal": self._refuse,
        }

    def surprisals(self, rows: Sequence[Row], *, first: int) -> list[list[float]]:
        self._suffer()
        beginnings = {row.prompt[0].content.split()[0] for row in rows}
        return [[len(rows), os.getpid(), len(beginnings)]] * len(rows)

    def follow(
        self, prompts: Sequence[Prompt], expected: Sequence[str], *, adapter: Adapter | None, max_new_tokens: int
    ) -> list[Continuation]:
        self._suffer()
        return super().follow(prompts, expected, adapter=adapter, max_new_tokens=max_new_tokens)

    def _suffer(self) -> None:
        for mood, comes_over in self._moods.items():
            with suppress(FileNotFoundError):
                mood.unlink()
                comes_over()

    def _run_out_of_memory(self) -> None:
        raise MemoryError

    def _refuse(self) -> None:
        raise InvalidInput("This prompt is too long.")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("moods")


@pytest.fixture(scope="module")
def pool(folder: Path) -> Iterator[VerifierPool]:
    """Two verifiers. Ray's workers know neither this module nor the fakes: they are sent whole."""
    local = start_local_ray()
    import ray
    from ray import cloudpickle

    for module in (fakes.adapters, fakes.inference, sys.modules[__name__]):
        cloudpickle.register_pickle_by_value(module)
    pool = VerifierPool(lambda: ray.remote(num_cpus=0)(Moody).remote(folder), 2, call_seconds=3, prompt_seconds=0)
    pool.wait_until_ready()
    yield pool
    stop_local_ray(local)


def ask(pool: VerifierPool) -> float:
    """Which verifier was asked."""
    return pool.surprisals(ROWS[:1], first=1)[0][1]


def test_many_prompts_are_asked_in_parts_and_answered_in_order(pool: VerifierPool) -> None:
    sizes = [size for size, *_ in pool.surprisals(ROWS, first=1)]
    assert Counter(sizes) == {MOST_PROMPTS: 2 * MOST_PROMPTS, 3: 3}
    assert pool.surprisals([], first=1) == []
    alone = [pool.log_likelihoods([row], adapter=None)[0] for row in (ROWS[0], ROWS[-1])]
    scores = pool.log_likelihoods(ROWS, adapter=None)
    assert [scores[0], scores[-1]] == alone


def test_what_begins_alike_is_asked_in_one_part(pool: VerifierPool) -> None:
    rows = [Row.of(f"{'What' if at % 2 else 'How'} is {at}?", "Answer") for at in range(2 * MOST_PROMPTS)]
    assert all(beginnings == 1 for *_, beginnings in pool.surprisals(rows, first=1))


def test_a_refusal_is_the_callers_and_the_verifier_lives_on(pool: VerifierPool, folder: Path) -> None:
    before = ask(pool)
    (folder / "refusal").touch()
    with pytest.raises(InvalidInput, match="too long"):
        ask(pool)
    assert ask(pool) == before


def test_calls_run_side_by_side_and_one_that_hangs_is_given_up_while_others_are_answered(
    pool: VerifierPool, folder: Path
) -> None:
    (folder / "sleep").touch()
    with ThreadPoolExecutor() as threads:
        hanging = threads.submit(ask, pool)
        while (folder / "sleep").exists():
            time.sleep(0.01)
        assert ask(pool)
        assert not hanging.done()
        with pytest.raises(Unavailable, match="did not answer within 3 s"):
            hanging.result()


def test_a_verifier_that_dies_over_a_job_leads_to_a_second_attempt_and_then_to_the_right_verdict(
    pool: VerifierPool, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "RETRY_SECONDS", 0.05)
    world, stop = build(tmp_path), threading.Event()
    world.advance_to(State.REVEALED)
    world.node = replace(world.node, inference=pool)
    (folder / "death").touch()
    working = threading.Thread(target=worker.run_rounds, args=(world.node, stop, pool.count))
    working.start()
    end = time.monotonic() + PATIENCE_SECONDS
    while world.job().state is State.REVEALED and time.monotonic() < end:
        time.sleep(0.02)
    stop.set()
    working.join()
    told = [line for line in world.told() if line.startswith(("Verification failed", "Verdict"))]
    world.database.dispose()
    assert told[0].startswith("Verification failed: The verifier failed: The actor died")
    assert "Attempt 2 follows at " in told[0]
    assert world.chain().find(VerdictGiven).verdict.outcome is Outcome.ACCEPT


def test_those_that_failed_are_replaced(pool: VerifierPool, folder: Path) -> None:
    failed = ask(pool)
    (folder / "memory").touch()
    with pytest.raises(Unavailable, match="MemoryError"):
        ask(pool)
    with ThreadPoolExecutor() as threads:
        seen: set[float] = set()
        end = time.monotonic() + PATIENCE_SECONDS
        while len(seen) < pool.count and time.monotonic() < end:
            seen |= {each.result() for each in [threads.submit(ask, pool) for _ in range(pool.count)]}
    assert len(seen) == pool.count
    assert failed not in seen
