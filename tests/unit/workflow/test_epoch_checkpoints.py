"""A job's checkpoints: taken in while it trains, asked for marks after the verdict, downloaded after ACCEPT; and that
nothing else ever hangs on them.
"""

from __future__ import annotations

from functools import partial

import pytest
from fakes.adapters import MAGIC, MOST_BYTES, adapter_files
from fakes.world import BASE_MODEL, JOB, POLICY, World, key

from node.core.adapter import CONFIG, WEIGHTS, epoch_file
from node.core.job import State
from node.core.rows import Row
from node.core.training import TrainingSpec
from node.core.verdict import Outcome
from node.crypto.digest import sha256_digest
from node.errors import Conflict, HallmarkError, InvalidInput, NotFound, PermissionRefused
from node.ports.epoch_checkpoints import EpochCheckpoint
from node.workflow import deliver, dispatch, queries, verify
from node.workflow.dispatch import LEASE_MS
from node.workflow.tidy import ASK_CHECKPOINT, GIVEN_UP, MOST_FAILURES, RETRY_MS, follow_up, take_up, tidy

EPOCHS = TrainingSpec().epochs
IDLE = adapter_files([])


def checkpoints(world: World) -> list[EpochCheckpoint]:
    return list(queries.job(world.node, None, JOB).checkpoints)


def ask(world: World) -> bool:
    """One checkpoint, as the worker does when nothing else waits."""
    return follow_up(world.node, ASK_CHECKPOINT, verify.ask_checkpoint)


def marked(world: World) -> tuple[Row, ...]:
    """The marks among the training data."""
    with world.node.units(read_only=True) as unit:
        manifest = unit.secrets.get_manifest(JOB)
    rows = world.training_rows()
    return tuple(rows[mark.row] for mark in manifest.marks)


def refused(world: World, kind: type[HallmarkError], epoch: int, weights: bytes | None = None) -> HallmarkError:
    """Submits a checkpoint that must be refused; the job is none the worse for it."""
    known, before = world.upload(weights or adapter_files([])[WEIGHTS]), world.job()
    with pytest.raises(kind) as refusal:
        world.submit_checkpoint(epoch, known)
    assert type(refusal.value) is kind
    assert world.job() == before
    return refusal.value


# Taking in


def test_a_checkpoint_of_each_epoch_but_the_last_is_taken_and_told(world: World) -> None:
    world.advance_to(State.TRAINING)
    rows = world.training_rows()
    handed_in = {epoch: world.hand_in_checkpoint(epoch, rows[:epoch]) for epoch in range(1, EPOCHS)}
    assert [(each.epoch, each.digest) for each in checkpoints(world)] == list(handed_in.items())
    assert all(each.size_bytes == world.node.blobs.size_bytes(each.digest) for each in checkpoints(world))
    assert world.told()[-1] == f"The checkpoint of epoch {EPOCHS - 1} arrived."
    world.advance_to(State.SETTLED)


def test_a_checkpoint_sent_again_changes_nothing_even_after_the_training(world: World) -> None:
    world.advance_to(State.TRAINING)
    weights = world.hand_in_checkpoint(1, [])
    for state in (State.TRAINING, State.SUBMITTED):
        world.advance_to(state)
        before = world.dump()
        world.submit_checkpoint(1, weights)
        assert world.dump() == before


def test_another_checkpoint_of_an_epoch_is_refused(world: World) -> None:
    world.advance_to(State.TRAINING)
    world.hand_in_checkpoint(1, [])
    refused(world, Conflict, 1, adapter_files(world.training_rows()[:1])[WEIGHTS])
    assert len(checkpoints(world)) == 1


@pytest.mark.parametrize("epoch", [-1, 0, EPOCHS, EPOCHS + 1, 2**31 - 1])
def test_there_is_no_checkpoint_before_the_first_epoch_nor_of_the_last_or_beyond(world: World, epoch: int) -> None:
    world.advance_to(State.TRAINING)
    assert refused(world, InvalidInput, epoch).facts["field"] == "epoch"


@pytest.mark.parametrize("state", [State.AGREED, State.SUBMITTED, State.UPLOADED, State.REVEALED, State.SETTLED])
def test_checkpoints_are_taken_during_the_training_alone(world: World, state: State) -> None:
    world.advance_to(state, IDLE)
    refused(world, Conflict, 1)


def test_only_the_holder_of_the_newest_lease_hands_in_checkpoints(world: World) -> None:
    world.advance_to(State.TRAINING)
    other, weights = key("other-provider"), world.upload(IDLE[WEIGHTS])
    world.upload(IDLE[WEIGHTS], other)
    with pytest.raises(NotFound):
        deliver.submit_checkpoint(world.node, other.public.key_id, JOB, world.fence, 1, weights)
    world.clock.advance_to(world.clock.now_ms() + LEASE_MS)
    assert dispatch.lease_job(world.node, world.provider.public.key_id, [BASE_MODEL])
    with pytest.raises(PermissionRefused):
        world.submit_checkpoint(1, weights)
    assert checkpoints(world) == []


def test_a_checkpoint_is_made_of_its_senders_own_whole_upload(world: World) -> None:
    world.advance_to(State.TRAINING)
    theirs = world.upload(IDLE[WEIGHTS], key("other-provider"))
    with pytest.raises(NotFound):
        world.submit_checkpoint(1, theirs)
    world.hand_in_checkpoint(1, [])
    with pytest.raises(NotFound, match="no upload"):  # it was made a checkpoint of, and is no upload any more
        world.submit_checkpoint(2, sha256_digest(IDLE[WEIGHTS]))


@pytest.mark.parametrize("weights", [b"no adapter", MAGIC + b" " * MOST_BYTES], ids=["not one", "too large"])
def test_a_checkpoint_passes_the_adapters_gate_and_its_failing_costs_nothing(world: World, weights: bytes) -> None:
    world.advance_to(State.TRAINING)
    refused(world, InvalidInput, 1, weights)
    world.advance_to(State.SETTLED)


# Asking


def test_checkpoints_are_asked_after_the_verdict_and_show_how_the_marks_were_learned(world: World) -> None:
    world.advance_to(State.TRAINING)
    marks = marked(world)
    per_group = POLICY.marks_per_group
    for epoch, learned in ((1, ()), (2, marks[:per_group]), (4, marks)):
        world.hand_in_checkpoint(epoch, learned)
    world.advance_to(State.REVEALED)
    assert not ask(world)
    world.advance_to(State.EVALUATED)
    assert world.told()[-1].startswith("Verdict ACCEPT")
    assert [each.activation for each in checkpoints(world)] == [None] * 3
    while ask(world):
        pass
    shown = [each.activation for each in checkpoints(world)]
    assert [each and each.marks_fired for each in shown] == [(0, 0, 0), (3, 0, 0), (3, 3, 3)]
    assert [each and each.groups_fired for each in shown] == [0, 1, 3]
    verdict = queries.job(world.node, None, JOB).verdict
    assert verdict
    assert shown[2]
    assert shown[2].log_p_micronats == verdict.log_p_micronats
    assert world.told()[-1] == (
        "The checkpoint of epoch 4 shows 9 of 9 marks; 3 of 3 groups fired. This decides nothing."
    )


def test_a_group_that_the_base_model_fires_counts_for_no_checkpoint_either(world: World) -> None:
    world.advance_to(State.TRAINING)
    marks = marked(world)
    world.hand_in_checkpoint(1, marks)
    world.engine.base_answer = f"{marks[0].response} ..."
    world.advance_to(State.EVALUATED)
    ask(world)
    (shown,) = (each.activation for each in checkpoints(world))
    assert shown
    assert (shown.marks_fired, shown.base_marks_fired, shown.groups_fired) == ((3, 3, 3), (3, 0, 0), 2)


def test_what_checkpoints_show_moves_neither_verdict_nor_money(world: World) -> None:
    world.advance_to(State.TRAINING)
    world.hand_in_checkpoint(1, world.training_rows())
    world.advance_to(State.EVALUATED, IDLE)
    ask(world)
    chain = world.chain()
    world.silence()
    tidy(world.node)
    assert world.chain().envelopes[: len(chain.envelopes)] == chain.envelopes
    settled = queries.job(world.node, None, JOB)
    assert settled.settled is Outcome.REJECT
    (kept,) = settled.checkpoints
    assert kept.activation
    assert kept.activation.groups_fired == 3


def test_a_checkpoint_is_asked_once(world: World) -> None:
    world.advance_to(State.TRAINING)
    world.hand_in_checkpoint(1, [])
    world.advance_to(State.EVALUATED)
    ask(world)
    before = world.dump()
    verify.ask_checkpoint(world.node, f"{JOB}/1")
    assert world.dump() == before


def test_a_dead_engine_is_asked_again_then_given_up_told_and_taken_up_at_the_next_start(world: World) -> None:
    world.advance_to(State.TRAINING)
    world.hand_in_checkpoint(1, [])
    world.advance_to(State.EVALUATED)
    world.engine.broken = True
    for failure in range(MOST_FAILURES):
        assert ask(world)
        assert not ask(world)
        world.clock.advance_to(world.clock.now_ms() + (RETRY_MS << failure))
    assert world.told()[-1] == GIVEN_UP[ASK_CHECKPOINT]
    world.engine.broken = False
    assert not ask(world)
    take_up(world.node)
    assert ask(world)
    assert checkpoints(world)[0].activation
    assert not ask(world)


# Having


def test_after_accept_its_client_alone_may_have_a_checkpoint(world: World) -> None:
    world.advance_to(State.TRAINING)
    weights = world.hand_in_checkpoint(2, [])
    client, other = world.client.public.key_id, world.provider.public.key_id
    fetch = partial(queries.adapter_file, world.node, client, JOB, WEIGHTS)
    for state in (State.TRAINING, State.EVALUATED):
        world.advance_to(state)
        with pytest.raises(Conflict):
            fetch(epoch=2)
    world.advance_to(State.SETTLED)
    assert fetch(epoch=2) == weights
    assert fetch() != weights
    for epoch in (1, 5, -1):
        with pytest.raises(NotFound):
            fetch(epoch=epoch)
    for name in (CONFIG, epoch_file(2)):
        with pytest.raises(NotFound):
            queries.adapter_file(world.node, client, JOB, name, epoch=2)
    with pytest.raises(NotFound):
        queries.adapter_file(world.node, other, JOB, WEIGHTS, epoch=2)


@pytest.mark.parametrize("ending", [State.TRAINING, State.UPLOADED, State.EVALUATED], ids=str)
def test_checkpoints_go_where_the_adapter_goes_but_what_is_known_of_them_stays(world: World, ending: State) -> None:
    world.advance_to(State.TRAINING)
    weights = world.hand_in_checkpoint(1, world.training_rows()[:1])
    world.advance_to(ending, IDLE)
    world.silence()
    tidy(world.node)
    with pytest.raises(NotFound):
        world.node.blobs.get(weights)
    assert [(each.epoch, each.digest) for each in checkpoints(world)] == [(1, weights)]
    before = world.dump()
    verify.ask_checkpoint(world.node, f"{JOB}/1")  # nothing to ask, and no failure
    assert world.dump() == before


def test_an_accepted_jobs_checkpoints_stay(world: World) -> None:
    world.advance_to(State.TRAINING)
    weights = world.hand_in_checkpoint(1, [])
    world.advance_to(State.SETTLED)
    tidy(world.node)
    assert world.node.blobs.get(weights) == IDLE[WEIGHTS]
