"""Requests repeated, out of order, by the wrong party or with other content: no second effect, or none at all."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import pytest
from fakes.adapters import adapter_files
from fakes.language_model import WordListModel
from fakes.tokenizer import WordTokenizer
from fakes.world import JOB, POLICY, ROWS, World, key

from node.core import dataset
from node.core.adapter import adapter_digest
from node.core.events import Progress
from node.core.job import Deadlines, Job, State
from node.core.messages import AdapterCommit, Commit, DataReceipt, Link, Terms, UploadReceipt, seal
from node.core.rows import Row
from node.core.training import TrainingSpec
from node.crypto.digest import digest, sha256_digest
from node.crypto.signing import Envelope
from node.errors import Conflict, HallmarkError, IntegrityFailure, InvalidInput, NotFound, PermissionRefused
from node.ports.jobs import ALL_JOBS
from node.workflow import data_sets, deliver, dispatch, prepare, queries, reveal, settle, submit, uploads, verify

OTHER = digest("test", b"other")
PROGRESS = Progress(1, 2, 0.5, 1.0, 2.0)
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
    offer, stranger = world.offer(), key("stranger")
    envelope = seal(offer, stranger)
    refused(world, IntegrityFailure, lambda: submit.create_job(world.node, stranger.public.key_id, envelope))


def test_an_offer_that_somebody_else_brings_is_refused(world: World) -> None:
    envelope = seal(world.offer(), world.client)
    refused(world, PermissionRefused, lambda: submit.create_job(world.node, world.provider.public.key_id, envelope))


def test_an_offer_that_is_only_checked_leaves_nothing_behind(world: World) -> None:
    envelope, client = seal(world.offer(), world.client), world.client.public.key_id
    checked = without_effect(world, lambda: submit.create_job(world.node, client, envelope, validate_only=True))
    assert checked.job.state is State.OFFERED
    assert submit.create_job(world.node, client, envelope).job == checked.job


def test_an_offer_over_somebody_elses_rows_is_refused_as_if_they_were_not_here(world: World) -> None:
    stored = data_sets.make(world.node, "somebody", dataset.to_jsonl(ROWS[1:]))
    offer = replace(world.offer(), dataset=stored.digest)
    refusal = refused(world, NotFound, lambda: world.create(offer))
    assert refusal.facts["field"] == "dataset"


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


def test_rows_that_were_counted_for_another_model_have_to_be_sent_anew(world: World) -> None:
    class Verbose(WordTokenizer):
        def row_tokens(self, row: Row) -> int:
            return 2000

    here = world.node
    world.node = replace(here, tokenizer=Verbose(), limits=replace(here.limits, max_length_tokens=2000))
    offer = world.offer()
    world.node = here
    refusal = refused(world, InvalidInput, lambda: world.create(offer))
    assert refusal.fix == "Delete it and send it anew."


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
    refused(world, InvalidInput, lambda: data_sets.make(world.node, "somebody", b"{}\n"))


def test_the_same_data_set_again_changes_nothing(world: World) -> None:
    data = dataset.to_jsonl(ROWS)
    first = data_sets.make(world.node, "somebody", data)
    assert without_effect(world, lambda: data_sets.make(world.node, "somebody", data)) == first
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
    assert dispatch.lease_job(world.node, world.provider.public.key_id, [world.node.base_model]) is None
    world.advance_to(State.COMMITTED)
    for models in ([], [OTHER]):
        assert (
            without_effect(
                world, lambda models=models: dispatch.lease_job(world.node, world.provider.public.key_id, models)
            )
            is None
        )


def test_a_leased_job_is_nobody_elses_until_the_lease_runs_out(world: World) -> None:
    world.advance_to(State.COMMITTED)
    world.lease()
    other = key("other-provider")
    assert dispatch.lease_job(world.node, other.public.key_id, [world.node.base_model]) is None
    world.clock.advance_to(world.clock.now_ms() + dispatch.LEASE_MS)
    refused(world, Conflict, lambda: world.post(Terms(world.chain().next_link(), world.provider.public.hex)))
    assert dispatch.lease_job(world.node, other.public.key_id, [world.node.base_model]) is not None
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
    refused(world, Conflict, world.training_data)
    world.advance_to(State.SUBMITTED)
    refused(world, Conflict, world.training_data)


def test_a_receipt_for_other_data_is_refused(world: World) -> None:
    world.advance_to(State.AGREED)
    refused(world, IntegrityFailure, lambda: world.post(DataReceipt(world.chain().next_link(), OTHER)))


def take(world: World, envelope: Envelope) -> Job:
    return deliver.post_message(world.node, world.provider.public.key_id, JOB, world.fence, envelope)


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
        again = without_effect(world, partial(take, world, envelope))
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
        world.upload(other[name])
        refused(world, IntegrityFailure, partial(world.submit, other))
    for other in ({}, {"adapter_config.json": b"{}"}, {**files, "code.py": b""}):
        refused(world, InvalidInput, partial(world.submit, other))
    world.hand_in(files)
    assert world.job().state is State.UPLOADED


def test_an_adapter_whose_bytes_are_not_here_is_refused(world: World) -> None:
    files = adapter_files(ROWS)
    world.advance_to(State.SUBMITTED, files)
    refused(world, NotFound, partial(world.submit, files))
    for data in files.values():
        world.upload(data, key("other-provider"))
    refused(world, NotFound, partial(world.submit, files))
    for data in files.values():
        uploads.begin(world.node, world.provider.public.key_id, sha256_digest(data), len(data))
    refused(world, Conflict, partial(world.submit, files))
    world.hand_in(files)
    assert world.job().state is State.UPLOADED


def test_what_was_handed_in_leaves_nothing_of_its_upload_behind(world: World) -> None:
    world.advance_to(State.UPLOADED)
    assert world.dump()["uploads"] == []


def test_an_upload_before_its_digest_is_refused(world: World) -> None:
    for state in (State.AGREED, State.TRAINING):
        world.advance_to(state)
        refused(world, Conflict, partial(world.submit, adapter_files([])))


def test_the_same_upload_again_returns_the_same_receipt(world: World) -> None:
    files = adapter_files([])
    world.advance_to(State.UPLOADED, files)
    receipt = world.chain().envelopes[-1]
    for state in (State.UPLOADED, State.REVEALED, State.SETTLED):
        world.advance_to(state)
        again = without_effect(world, partial(world.submit, files))
        assert again == receipt
        assert isinstance(world.chain().messages[5], UploadReceipt)
        refused(world, Conflict, partial(world.submit, adapter_files(ROWS)))


def test_nobody_elses_lease_opens_anything(world: World) -> None:
    world.advance_to(State.AGREED)
    mine, other, files = world.provider.public.key_id, key("other-provider").public.key_id, adapter_files([])
    digests = {name: sha256_digest(data) for name, data in files.items()}
    for lease in ((other, JOB, world.fence), (mine, JOB, world.fence + 1), (mine, JOB, 0), (mine, "job-9", 1)):
        for act in (
            partial(deliver.training_data, world.node, *lease),
            partial(deliver.submit_adapter, world.node, *lease, digests),
            partial(deliver.heartbeat, world.node, *lease, PROGRESS),
            partial(deliver.post_message, world.node, *lease, world.chain().envelopes[2]),
        ):
            refused(world, NotFound, act)


def test_progress_is_told_while_training_and_unwanted_otherwise(world: World) -> None:
    for state in (State.AGREED, State.TRAINING, State.SUBMITTED):
        world.advance_to(state)
        told = len(world.told())
        assert not world.beat(PROGRESS).stop
        assert len(world.told()) == told + (state is State.TRAINING)
    assert "Training: step 1 of 2." in world.told()
    world.silence()
    assert without_effect(world, partial(world.beat, PROGRESS)).stop


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
    if state is State.SUBMITTED:
        for data in files.values():
            world.upload(data)
    due_at_ms = world.job().due_at_ms
    assert due_at_ms is not None
    world.clock.advance_to(due_at_ms)
    acts: dict[State, Callable[[], object]] = {
        State.AGREED: world.receive,
        State.TRAINING: lambda: world.commit_adapter(files),
        State.SUBMITTED: partial(world.submit, files),
        State.UPLOADED: lambda: reveal.reveal(world.node, JOB),
        State.REVEALED: lambda: verify.evaluate(world.node, JOB),
    }
    refused(world, Conflict, acts[state])
    settle.pass_deadline(world.node, JOB)
    assert world.job().ended


def test_what_does_not_exist_is_not_found(world: World) -> None:
    for act in (
        lambda: queries.job(world.node, None, "job-9"),
        lambda: queries.events(world.node, None, "job-9", after=0),
        lambda: queries.receipt(world.node, None, "job-9"),
    ):
        refused(world, NotFound, act)
    refused(world, InvalidInput, lambda: queries.jobs(world.node, ALL_JOBS, after="job-9", limit=1))


def test_an_offer_that_does_not_start_a_chain_is_refused(world: World) -> None:
    offer = world.offer()
    refused(world, IntegrityFailure, lambda: world.create(replace(offer, link=Link(JOB, 1, None))))
    refused(world, IntegrityFailure, lambda: world.create(replace(offer, link=Link(JOB, 0, OTHER))))
