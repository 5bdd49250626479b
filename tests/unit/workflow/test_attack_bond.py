"""Attacks on the coordinator's bond: whoever can keep this node from a verdict is paid out of it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest
from fakes.adapters import adapter_files
from fakes.inference import LearningEngine
from fakes.world import DEADLINES, FUNDS_MINOR, JOB, MONEY, POLICY, ROWS, World, key

from node.coordinator import worker
from node.core.adapter import adapter_digest
from node.core.evidence import Continuation, ProbeObservation
from node.core.job import State
from node.core.messages import AdapterCommit, Commit, DataReceipt, Terms, VerdictGiven, seal
from node.core.rows import Row
from node.core.verdict import Outcome
from node.errors import Conflict, InvalidInput
from node.ports.inference import Adapter, Prompt
from node.workflow import deliver, dispatch, prepare, reveal, verify
from node.workflow.node import Node

PATIENCE_SECONDS = 20


class Overflowing(LearningEngine):
    """What an adapter of huge weights does to an engine."""

    def follow(
        self, prompts: Sequence[Prompt], expected: Sequence[str], *, adapter: Adapter | None, max_new_tokens: int
    ) -> list[Continuation]:
        followed = super().follow(prompts, expected, adapter=adapter, max_new_tokens=max_new_tokens)
        return [replace(each, micronats=(-(10**30),)) for each in followed]

    def log_likelihoods(self, rows: Sequence[Row], *, adapter: Adapter | None) -> list[int]:
        return [-(10**30)] * len(rows) if adapter else super().log_likelihoods(rows, adapter=None)

    def probe(self, rows: Sequence[Row], *, adapter: Adapter) -> ProbeObservation:
        return ProbeObservation((0,), (10**30,), None, None, None)


def test_an_adapter_that_makes_the_engine_overflow_is_judged_like_any_other(world: World) -> None:
    world.advance_to(State.REVEALED, adapter_files([]))
    verify.evaluate(replace(world.node, inference=Overflowing(world.node.base_model)), JOB)
    given: VerdictGiven = world.chain().find(VerdictGiven)
    assert given.verdict.outcome is Outcome.REJECT
    world.silence()
    assert world.available(world.node.key) >= FUNDS_MINOR


OFFERS: dict[str, dict[str, Any]] = {
    "policy": {"policy": replace(POLICY, pairs=1000)},
    "attempts": {"policy": replace(POLICY, attempts=1000)},
    "stake_minor": {"money": replace(MONEY, stake_minor=10_001)},
    "bond_minor": {"money": replace(MONEY, bond_minor=20_001)},
    "train_seconds": {"deadlines": replace(DEADLINES, train_seconds=8 * 86_400)},
    "upload_seconds": {"deadlines": replace(DEADLINES, upload_seconds=8 * 86_400)},
}


@pytest.mark.parametrize("field", OFFERS)
def test_an_offer_that_would_rob_or_wedge_somebody_is_refused(world: World, field: str) -> None:
    offer = world.offer(**OFFERS[field])
    with pytest.raises(InvalidInput) as refusal:
        world.create(offer)
    assert refusal.value.facts["field"] == field
    assert world.available(world.client) == FUNDS_MINOR


def test_an_offer_too_long_for_a_providers_lease_is_refused(world: World) -> None:
    with pytest.raises(InvalidInput) as refusal:
        world.create(world.offer(arbiter="x" * 5_000_000))
    assert refusal.value.facts["field"] == "payload"


# More jobs than can be evaluated in time


def second_job(world: World) -> tuple[int, Callable[[], object]]:
    cheap = replace(MONEY, price_minor=5_000, bond_minor=5_000)
    world.create(world.offer(ROWS[1:], job_id="job-2", money=cheap))
    prepare.prepare(world.node, "job-2")
    other = key("other").public
    leased = dispatch.lease_job(world.node, other.key_id, [world.node.base_model])
    assert leased is not None
    fence, terms = leased.lease.fence, seal(Terms(world.chain("job-2").next_link(), other.hex), key("other"))
    return fence, lambda: deliver.post_message(world.node, other.key_id, "job-2", fence, terms)


def slowly(world: World) -> None:
    """From now on one evaluation takes more than half of the time that an offer grants."""
    limits = replace(world.node.limits, least_evaluate_seconds=DEADLINES.evaluate_seconds // 2 + 1)
    world.node = replace(world.node, limits=limits)


def test_no_job_is_lent_that_could_not_be_evaluated_in_time_beside_those_in_hand(world: World) -> None:
    slowly(world)
    world.advance_to(State.AGREED)
    world.create(world.offer(ROWS[1:], job_id="job-2"))
    prepare.prepare(world.node, "job-2")
    for state in (State.AGREED, State.TRAINING, State.SUBMITTED, State.UPLOADED, State.REVEALED):
        world.advance_to(state)
        assert dispatch.lease_job(world.node, key("other").public.key_id, [world.node.base_model]) is None
    world.advance_to(State.EVALUATED)
    assert dispatch.lease_job(world.node, key("other").public.key_id, [world.node.base_model]) is not None


def test_terms_are_refused_when_other_jobs_were_taken_since_the_lease(world: World) -> None:
    world.deposit(key("other"))
    world.advance_to(State.COMMITTED)
    world.lease()
    slowly(world)
    _, countersign = second_job(world)
    world.advance_to(State.AGREED)
    with pytest.raises(Conflict, match="too many jobs"):
        countersign()
    assert world.job("job-2").state is State.COMMITTED


# The worker: no job holds up another one


class Gate(LearningEngine):
    """Evaluations wait until the gate is opened."""

    def __init__(self, world: World) -> None:
        super().__init__(world.node.base_model)
        self.asked, self.opened = threading.Event(), threading.Event()

    def complete(self, prompts: Sequence[Prompt], *, adapter: Adapter | None, max_new_tokens: int) -> list[str]:
        self.asked.set()
        assert self.opened.wait(PATIENCE_SECONDS)
        return super().complete(prompts, adapter=adapter, max_new_tokens=max_new_tokens)


def until(holds: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE_SECONDS
    while not holds():
        assert time.monotonic() < end, "it did not come to that"
        time.sleep(0.01)


def at_work(node: Node, during: Callable[[], None]) -> None:
    stop = threading.Event()
    thread = threading.Thread(target=worker.run_rounds, args=(node, stop))
    thread.start()
    try:
        during()
    finally:
        stop.set()
        thread.join()


def upload_second_job(world: World) -> None:
    """Another provider takes job 2 as far as its upload."""
    fence, countersign = second_job(world)
    countersign()
    mine, world.fence, world.provider = (world.fence, world.provider), fence, key("other")
    files = adapter_files([])
    chain = world.chain("job-2")
    world.post(DataReceipt(chain.next_link(), chain.find(Commit).data_root))
    world.post(AdapterCommit(world.chain("job-2").next_link(), adapter_digest(files)))
    world.hand_in(files, "job-2")
    world.fence, world.provider = mine


def test_a_reveal_and_a_deadline_do_not_wait_for_another_jobs_evaluation(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "ROUND_SECONDS", 0.01)
    world.deposit(key("other"))
    world.advance_to(State.REVEALED, adapter_files([]))
    engine = Gate(world)

    def during() -> None:
        assert engine.asked.wait(PATIENCE_SECONDS)
        upload_second_job(world)
        until(lambda: world.job("job-2").state is State.REVEALED)
        assert world.job().state is State.REVEALED
        engine.opened.set()
        until(lambda: world.job("job-2").state is State.EVALUATED)

    at_work(replace(world.node, inference=engine), during)


def test_a_job_that_never_succeeds_does_not_slow_the_others_down(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "ROUND_SECONDS", 0.01)
    monkeypatch.setattr(worker, "RETRY_SECONDS", 2 * PATIENCE_SECONDS)
    prepared = prepare.prepare

    def poisoned(node: Node, job_id: str) -> None:
        if job_id == JOB:
            raise OSError("poison")
        prepared(node, job_id)

    monkeypatch.setattr(prepare, "prepare", poisoned)
    world.create()
    world.create(world.offer(ROWS[1:], job_id="job-2"))
    at_work(world.node, lambda: until(lambda: world.job("job-2").state is State.COMMITTED))
    assert world.job().state is State.OFFERED
    assert world.told()[-1].startswith("Hiding marks failed: The coordinator failed")


def test_the_evaluation_that_is_due_first_comes_first_and_before_any_new_jobs_marks(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "ROUND_SECONDS", 0.01)
    world.deposit(key("other"))
    order: list[str] = []
    world.advance_to(State.COMMITTED)
    world.lease()
    upload_second_job(world)
    reveal.reveal(world.node, "job-2")
    world.clock.advance_to(world.clock.now_ms() + 1000)
    world.advance_to(State.REVEALED, adapter_files([]))
    world.create(world.offer(ROWS[2:], job_id="job-3"))

    def noted(step: Callable[[Node, str], None]) -> Callable[[Node, str], None]:
        def run(node: Node, job_id: str) -> None:
            order.append(job_id)
            step(node, job_id)

        return run

    monkeypatch.setattr(verify, "evaluate", noted(verify.evaluate))
    monkeypatch.setattr(prepare, "prepare", noted(prepare.prepare))
    at_work(world.node, lambda: until(lambda: world.job("job-3").state is State.COMMITTED))
    assert order == ["job-2", JOB, "job-3"]
