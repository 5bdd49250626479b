"""Requests repeated, out of order, by the wrong party or with other content: no second effect, or none at all."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from fakes.adapters import adapter_files
from fakes.language_model import WordListModel
from fakes.world import JOB, POLICY, ROWS, World, key

from node.core import dataset
from node.core.adapter import adapter_digest
from node.core.events import Progress
from node.core.job import Deadlines, State
from node.core.messages import AdapterCommit, Commit, DataReceipt, Link, Terms, UploadReceipt, seal
from node.core.rows import Row
from node.core.training import TrainingSpec
from node.crypto.digest import digest
from node.errors import Conflict, HallmarkError, IntegrityFailure, InvalidInput, NotFound, PermissionRefused
from node.workflow import deliver, dispatch, prepare, queries, reveal, settle, submit, verify

OTHER = digest("test", b"other")
LIVES = (*tuple(State)[1:9], State.SETTLED)


def refused(world: World, kind: type[HallmarkError], act: Callable[[], object]) -> HallmarkError:
    """Runs what must be refused, and compares every row of every table."""
    before = world.dump()
    with pytest.raises(kind) as refusal:
        act()
    assert world.dump() == before
    return refusal.value


def without_effect(world: World, act: Callable[[], Any]) -> Any:
    before = world.dump()
    answer = act()
    assert world.dump() == before
    return answer


# Step 0


def test_the_same_offer_again_returns_the_same_job(world: World) -> None:
    offer = world.offer()
    first = world.create(offer)
    assert without_effect(world, lambda: world.create(offer)) == first
    world.advance_to(State.AGREED)
    assert without_effect(world, lambda: world.create(offer)).state is State.AGREED


def test_another_offer_under_the_same_id_is_refused(world: World) -> None:
    offer = world.offer()
    world.create(offer)
    refused(world, Conflict, lambda: world.create(replace(offer, training=TrainingSpec(epochs=1))))


def test_an_offer_signed_by_somebody_else_is_refused(world: World) -> None:
    offer = world.offer()
    refused(world, IntegrityFailure, lambda: submit.create_job(world.node, seal(offer, key("stranger"))))


OFFERS: dict[str, tuple[type[HallmarkError], dict[str, Any]]] = {
    "coordinator": (InvalidInput, {"coordinator": "ed25519:" + "0" * 32}),
    "arbiter": (InvalidInput, {"arbiter": key("coordinator").public.key_id}),
    "base_model": (InvalidInput, {"base_model": OTHER}),
    "max_length_tokens": (InvalidInput, {"training": TrainingSpec(max_length_tokens=1025)}),
    "lora_rank": (InvalidInput, {"training": TrainingSpec(lora_rank=65)}),
    "reveal_seconds": (InvalidInput, {"deadlines": Deadlines(reveal_seconds=59)}),
    "evaluate_seconds": (InvalidInput, {"deadlines": Deadlines(evaluate_seconds=599)}),
    "dataset": (NotFound, {"dataset": OTHER}),
    "rows": (InvalidInput, {"policy": replace(POLICY, pairs=20)}),
}


@pytest.mark.parametrize("field", OFFERS)
def test_an_offer_that_this_node_cannot_serve_is_refused_by_its_field(world: World, field: str) -> None:
    kind, changes = OFFERS[field]
    offer = world.offer(**changes)
    assert refused(world, kind, lambda: world.create(offer)).facts["field"] == field


def test_a_row_longer_than_the_training_allows_is_refused_with_its_line(world: World) -> None:
    long = Row.of("word " * 20, "word")
    offer = world.offer((*ROWS[:30], long), training=TrainingSpec(max_length_tokens=24))
    refusal = refused(world, InvalidInput, lambda: world.create(offer))
    assert refusal.facts["line"] == 31
    assert "25 tokens" in refusal.message


def test_an_offer_beyond_the_clients_balance_is_refused(world: World) -> None:
    money = replace(world.offer().money, price_minor=50_001, bond_minor=50_001)
    offer = world.offer(money=money)
    refused(world, Conflict, lambda: world.create(offer))


def test_a_broken_data_set_stores_nothing(world: World) -> None:
    refused(world, InvalidInput, lambda: submit.upload_data_set(world.node, b"{}\n"))


def test_the_same_data_set_again_changes_nothing(world: World) -> None:
    data = dataset.to_jsonl(ROWS)
    first = submit.upload_data_set(world.node, data)
    assert without_effect(world, lambda: submit.upload_data_set(world.node, data)) == first
    assert (first.rows, first.size_bytes) == (len(ROWS), len(data))


# Step 1


def test_rows_that_were_marked_before_are_not_marked_again(world: World) -> None:
    world.advance_to(State.COMMITTED)
    offer = world.offer(job_id="job-2")
    refused(world, Conflict, lambda: world.create(offer))
    world.silence()
    refused(world, Conflict, lambda: world.create(offer))


def test_of_two_offers_over_the_same_rows_one_is_marked(world: World) -> None:
    world.create()
    world.create(world.offer(job_id="job-2"))
    prepare.prepare(world.node, "job-2")
    prepare.prepare(world.node, JOB)
    assert world.job("job-2").state is State.COMMITTED
    assert world.job().state is State.CANCELLED
    assert "hidden in these rows" in world.told()[-1]
    assert world.available(world.client) == 40_000


def test_a_generator_with_too_few_words_ends_the_job(world: World) -> None:
    node = replace(world.node, language_model=WordListModel(["only", "three", "words"]))
    world.create()
    prepare.prepare(node, JOB)
    assert world.job().state is State.CANCELLED
    assert "words could follow" in world.told()[-1]
    assert world.available(world.client) == 50_000


def test_a_repeated_draw_is_the_same_draw(world: World) -> None:
    world.create()
    with pytest.raises(RuntimeError, match="crash"):
        prepare.prepare(replace(world.node, blobs=CrashingBlobs(world)), JOB)
    assert world.job().state is State.OFFERED
    prepare.prepare(world.node, JOB)
    assert dataset.to_jsonl(world.training_rows()) == CrashingBlobs.last


class CrashingBlobs:
    """Dies after it was told what to store."""

    last = b""

    def __init__(self, world: World) -> None:
        self.get = world.node.blobs.get

    def put(self, data: bytes) -> Any:
        CrashingBlobs.last = data
        raise RuntimeError("crash")


# Steps 2 to 5


def test_there_is_nothing_to_lease_before_the_commitment_or_for_other_models(world: World) -> None:
    world.create()
    assert dispatch.lease_job(world.node, world.provider.public, [world.node.base_model]) is None
    world.advance_to(State.COMMITTED)
    for models in ([], [OTHER]):
        assert (
            without_effect(world, lambda models=models: dispatch.lease_job(world.node, world.provider.public, models))
            is None
        )


def test_a_leased_job_is_nobody_elses_until_the_lease_runs_out(world: World) -> None:
    world.advance_to(State.COMMITTED)
    world.lease()
    other = key("other-provider")
    assert dispatch.lease_job(world.node, other.public, [world.node.base_model]) is None
    world.clock.advance_to(world.clock.now_ms() + dispatch.LEASE_MS)
    refused(world, Conflict, lambda: world.post(Terms(world.chain().next_link(), world.provider.public.hex)))
    assert dispatch.lease_job(world.node, other.public, [world.node.base_model]) is not None
    refused(world, PermissionRefused, lambda: world.post(Terms(world.chain().next_link(), world.provider.public.hex)))


def test_terms_signed_by_another_provider_than_the_one_that_leased_are_refused(world: World) -> None:
    world.advance_to(State.COMMITTED)
    world.lease()
    other = key("other-provider")
    refused(world, PermissionRefused, lambda: world.post(Terms(world.chain().next_link(), other.public.hex), other))


def test_a_provider_without_its_stake_gets_no_job(world: World) -> None:
    world.provider = key("poor-provider")
    world.advance_to(State.COMMITTED)
    world.lease()
    refused(world, Conflict, lambda: world.post(Terms(world.chain().next_link(), world.provider.public.hex)))


def test_no_data_leaves_before_the_terms_are_signed_or_after_the_adapter_is_fixed(world: World) -> None:
    world.advance_to(State.COMMITTED)
    world.lease()
    refused(world, Conflict, lambda: deliver.training_data(world.node, world.token))
    world.advance_to(State.SUBMITTED)
    refused(world, Conflict, lambda: deliver.training_data(world.node, world.token))


def test_a_receipt_for_other_data_is_refused(world: World) -> None:
    world.advance_to(State.AGREED)
    refused(world, IntegrityFailure, lambda: world.post(DataReceipt(world.chain().next_link(), OTHER)))


def test_the_same_message_again_changes_nothing(world: World) -> None:
    world.advance_to(State.COMMITTED)
    world.lease()
    for state, message in (
        (State.AGREED, lambda: Terms(world.chain().next_link(), world.provider.public.hex)),
        (State.TRAINING, lambda: DataReceipt(world.chain().next_link(), world.chain().find(Commit).data_root)),
        (State.SUBMITTED, lambda: AdapterCommit(world.chain().next_link(), adapter_digest(adapter_files([])))),
    ):
        envelope = world.post(message())
        assert world.job().state is state
        again = without_effect(world, lambda envelope=envelope: deliver.post_message(world.node, world.token, envelope))
        assert again.state is state


def test_the_adapters_digest_is_fixed_once(world: World) -> None:
    world.advance_to(State.SUBMITTED)
    refused(world, IntegrityFailure, lambda: world.post(AdapterCommit(world.chain().next_link(), OTHER)))
    last = replace(world.chain().messages[-1], adapter=OTHER)
    refused(world, IntegrityFailure, lambda: world.post(last))


def test_an_upload_of_other_bytes_than_those_committed_to_is_refused(world: World) -> None:
    files = adapter_files(ROWS)
    world.advance_to(State.SUBMITTED, files)
    for name in files:
        other = {**files, name: files[name] + b" "}
        refused(world, IntegrityFailure, lambda other=other: deliver.upload_adapter(world.node, world.token, other))
    refused(world, IntegrityFailure, lambda: deliver.upload_adapter(world.node, world.token, {}))
    deliver.upload_adapter(world.node, world.token, files)
    assert world.job().state is State.UPLOADED


def test_an_upload_that_the_gate_refuses_changes_nothing(world: World) -> None:
    junk = dict.fromkeys(adapter_files([]), b"junk")
    world.advance_to(State.SUBMITTED, junk)
    refused(world, InvalidInput, lambda: deliver.upload_adapter(world.node, world.token, junk))


def test_an_upload_before_its_digest_is_refused(world: World) -> None:
    for state in (State.AGREED, State.TRAINING):
        world.advance_to(state)
        refused(world, Conflict, lambda: deliver.upload_adapter(world.node, world.token, adapter_files([])))


def test_the_same_upload_again_returns_the_same_receipt(world: World) -> None:
    files = adapter_files([])
    world.advance_to(State.UPLOADED, files)
    receipt = world.chain().envelopes[-1]
    for state in (State.UPLOADED, State.REVEALED, State.SETTLED):
        world.advance_to(state)
        again = without_effect(world, lambda: deliver.upload_adapter(world.node, world.token, files))
        assert again == receipt
        assert isinstance(world.chain().messages[5], UploadReceipt)
        refused(world, Conflict, lambda: deliver.upload_adapter(world.node, world.token, adapter_files(ROWS)))


def test_a_strangers_token_opens_nothing(world: World) -> None:
    world.advance_to(State.AGREED)
    for token in (b"", b"x" * 32, world.token[:-1], world.token + b"\0"):
        for act in (
            lambda token=token: deliver.training_data(world.node, token),
            lambda token=token: deliver.upload_adapter(world.node, token, {}),
            lambda token=token: deliver.report_progress(world.node, token, Progress(1, 2, 0.5, 1.0, 2.0)),
        ):
            refused(world, PermissionRefused, act)


def test_progress_is_told_while_training_and_unwanted_otherwise(world: World) -> None:
    progress = Progress(1, 2, 0.5, 1.0, 2.0)
    world.advance_to(State.AGREED)
    assert not without_effect(world, lambda: deliver.report_progress(world.node, world.token, progress))
    world.advance_to(State.TRAINING)
    assert deliver.report_progress(world.node, world.token, progress)
    _, events = queries.events(world.node, JOB, after=0)
    assert events[-1].progress == progress
    assert [event.sequence for event in events] == list(range(1, len(events) + 1))
    world.silence()
    assert not without_effect(world, lambda: deliver.report_progress(world.node, world.token, progress))


# Steps of the coordinator, and everything at the wrong time

STEPS: dict[State, Callable[[World], object]] = {
    State.OFFERED: lambda world: prepare.prepare(world.node, JOB),
    State.UPLOADED: lambda world: reveal.reveal(world.node, JOB),
    State.REVEALED: lambda world: verify.evaluate(world.node, JOB),
}


@pytest.mark.parametrize("state", LIVES)
def test_the_coordinators_own_steps_are_taken_in_their_state_alone(world: World, state: State) -> None:
    world.advance_to(state)
    for own, step in STEPS.items():
        if own is not state:
            refused(world, Conflict, lambda step=step: step(world))


@pytest.mark.parametrize("state", [state for state in LIVES if state not in (State.OFFERED, State.COMMITTED)])
def test_the_providers_messages_are_taken_in_their_order_alone(world: World, state: State) -> None:
    world.advance_to(state)
    link, root = world.chain().next_link(), world.chain().find(Commit).data_root
    for own, message in (
        (State.COMMITTED, Terms(link, world.provider.public.hex)),
        (State.AGREED, DataReceipt(link, root)),
        (State.TRAINING, AdapterCommit(link, OTHER)),
        (None, UploadReceipt(link, OTHER)),
    ):
        if own is not state:
            refused(world, IntegrityFailure, lambda message=message: world.post(message))


@pytest.mark.parametrize("state", [State.AGREED, State.TRAINING, State.SUBMITTED, State.UPLOADED, State.REVEALED])
def test_at_the_deadline_nobody_can_act_any_more(world: World, state: State) -> None:
    files = adapter_files([])
    world.advance_to(state, files)
    due_at_ms = world.job().due_at_ms
    assert due_at_ms is not None
    world.clock.advance_to(due_at_ms)
    acts: dict[State, Callable[[], object]] = {
        State.AGREED: world.receive,
        State.TRAINING: lambda: world.commit_adapter(files),
        State.SUBMITTED: lambda: deliver.upload_adapter(world.node, world.token, files),
        State.UPLOADED: lambda: reveal.reveal(world.node, JOB),
        State.REVEALED: lambda: verify.evaluate(world.node, JOB),
    }
    refused(world, Conflict, acts[state])
    settle.pass_deadline(world.node, JOB)
    assert world.job().ended


def test_what_does_not_exist_is_not_found(world: World) -> None:
    for act in (
        lambda: queries.job(world.node, "job-9"),
        lambda: queries.events(world.node, "job-9", after=0),
        lambda: queries.receipt(world.node, "job-9"),
    ):
        refused(world, NotFound, act)
    refused(world, InvalidInput, lambda: queries.jobs(world.node, after="", limit=-1))
    refused(world, InvalidInput, lambda: queries.jobs(world.node, after="job-9", limit=1))


def test_an_offer_that_does_not_start_a_chain_is_refused(world: World) -> None:
    offer = world.offer()
    refused(world, IntegrityFailure, lambda: world.create(replace(offer, link=Link(JOB, 1, None))))
    refused(world, IntegrityFailure, lambda: world.create(replace(offer, link=Link(JOB, 0, OTHER))))
