"""What the log shows, and what of a job its parties see: proofs hold, and strangers find nothing."""

from __future__ import annotations

from dataclasses import replace

import pytest
from fakes.world import JOB, ROWS, World, key

from node.core import document
from node.core.checkpoint import LogEntry, check_extends, check_included, open_checkpoint
from node.core.job import State
from node.core.manifest import proof_to_hex
from node.core.messages import Reveal, read_chain
from node.core.receipt import log_leaf
from node.crypto.merkle import leaf_hash
from node.errors import Conflict, IntegrityFailure, InvalidInput, NotFound
from node.workflow import reveal, transparency

PARTIES = ("client", "provider", "arbiter")


def test_every_checkpoint_extends_the_one_before_and_says_when(world: World) -> None:
    logs = world.trust.logs
    before = open_checkpoint(transparency.checkpoint(world.node), logs=logs)
    assert (before.size, before.origin) == (0, world.node.key.public.key_id)
    for state in (State.OFFERED, State.COMMITTED, State.AGREED, State.UPLOADED, State.REVEALED, State.SETTLED):
        world.advance_to(state)
        now = open_checkpoint(transparency.checkpoint(world.node), logs=logs)
        assert now.size == len(world.chain().messages)
        assert now.time_ms == world.clock.now_ms()
        check_extends(before, now, transparency.consistency(world.node, before.size, now.size))
        before = now


def test_every_message_of_a_job_is_shown_to_be_in_the_log(world: World) -> None:
    world.advance_to(State.SETTLED)
    checkpoint = open_checkpoint(transparency.checkpoint(world.node), logs=world.trust.logs)
    for envelope, index in transparency.messages(world.node, world.client.public.key_id, JOB):
        hashed, proof = transparency.inclusion(world.node, index, checkpoint.size)
        assert hashed == leaf_hash(log_leaf(envelope))
        check_included(log_leaf(envelope), LogEntry(index, proof_to_hex(proof)), checkpoint)


def test_no_proof_is_given_of_what_the_log_does_not_have(world: World) -> None:
    world.advance_to(State.COMMITTED)
    for ask in (
        lambda: transparency.inclusion(world.node, 2, 2),
        lambda: transparency.inclusion(world.node, 0, 3),
        lambda: transparency.inclusion(world.node, -1, 2),
        lambda: transparency.consistency(world.node, 1, 3),
        lambda: transparency.consistency(world.node, 2, 1),
        lambda: transparency.consistency(world.node, -1, 1),
    ):
        with pytest.raises(InvalidInput):
            ask()


@pytest.mark.parametrize("name", PARTIES)
def test_a_jobs_parties_see_its_messages_and_its_reveal(world: World, name: str) -> None:
    party = key(name).public.key_id
    world.advance_to(State.UPLOADED)
    with pytest.raises(Conflict, match="revealed once"):
        transparency.revealed(world.node, party, JOB)
    world.advance_to(State.REVEALED)
    message = document.from_bytes(Reveal, transparency.revealed(world.node, party, JOB))
    assert message == world.chain().find(Reveal)
    envelopes = [envelope for envelope, _ in transparency.messages(world.node, party, JOB)]
    assert read_chain(envelopes, trusted=world.node.trusted) == world.chain()


def test_to_anybody_else_the_job_does_not_exist(world: World) -> None:
    world.advance_to(State.REVEALED)
    for job_id in (JOB, "job-2"):
        with pytest.raises(NotFound):
            transparency.messages(world.node, key("stranger").public.key_id, job_id)
        with pytest.raises(NotFound):
            transparency.revealed(world.node, key("stranger").public.key_id, job_id)
    assert transparency.revealed(world.node, None, JOB)


def test_a_reveal_that_fails_its_own_predicate_cannot_be_sent(world: World) -> None:
    """Whatever went wrong in this node's own memory: nothing is signed into the log that would cost its bond."""
    world.advance_to(State.UPLOADED)
    with world.node.units() as unit:
        honest = unit.secrets.get_manifest(JOB)
    pairs = honest.pairs
    for broken in (
        replace(honest, cheapest_attack="none"),
        replace(honest, seed_hex="00" * 32),
        replace(honest, attempt=honest.attempt + 1),
        replace(honest, marks=honest.marks[1:]),
        replace(honest, pairs=(replace(pairs[0], coin=1 - pairs[0].coin), *pairs[1:])),
        replace(honest, pairs=(replace(pairs[0], twin=ROWS[0]), *pairs[1:])),
    ):
        before = world.dump()
        kept = replace(world.node, units=Forgetful(world, broken))  # type: ignore[arg-type]
        with pytest.raises(IntegrityFailure):
            reveal.reveal(kept, JOB)
        assert world.dump() == before
    reveal.reveal(world.node, JOB)


class Forgetful:
    """Units of work that remember another manifest."""

    def __init__(self, world: World, manifest: object) -> None:
        self._units = world.node.units
        self._manifest = manifest

    def __call__(self, *, read_only: bool = False) -> object:
        return _Remembering(self._units(read_only=read_only), self._manifest)


class _Remembering:
    def __init__(self, unit: object, manifest: object) -> None:
        self._unit = unit
        self._manifest = manifest

    def __enter__(self) -> object:
        unit = self._unit.__enter__()  # type: ignore[attr-defined]
        secrets, manifest = unit.secrets, self._manifest

        class Secrets:
            training_data = secrets.training_data

            def get_manifest(self, job_id: str) -> object:
                return manifest

        unit.secrets = Secrets()
        return unit

    def __exit__(self, *details: object) -> None:
        self._unit.__exit__(*details)  # type: ignore[attr-defined]
