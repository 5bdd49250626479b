"""Provable faults: who loses what, that the contract checks the proof itself, and what proves nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from fakes.adapters import adapter_files
from fakes.world import FUNDS_MINOR, JOB, MONEY, World, key

from node.core import fault
from node.core.adapter import CONFIG, WEIGHTS
from node.core.checkpoint import Checkpoint, open_checkpoint, sign_checkpoint
from node.core.equivocation import Equivocation
from node.core.fault import Fault
from node.core.job import Actor, State
from node.core.messages import Commit, Reveal, seal
from node.crypto.digest import digest, sha256_digest
from node.errors import Conflict, HallmarkError, IntegrityFailure, InvalidInput, NotFound
from node.ports.escrow import EscrowCall
from node.workflow import fault as faults
from node.workflow import settle, transparency

BROKEN = {WEIGHTS: b"no adapter at all", CONFIG: b"{}"}
LIVES = (State.AGREED, State.TRAINING, State.SUBMITTED, State.UPLOADED, State.REVEALED, State.EVALUATED)


def changes(world: World) -> tuple[int, ...]:
    return tuple(world.available(party) - FUNDS_MINOR for party in (world.client, world.provider, world.node.key))


def refused(world: World, kind: type[HallmarkError], act: Callable[[], object]) -> HallmarkError:
    before = world.dump()
    with pytest.raises(kind) as refusal:
        act()
    assert world.dump() == before
    return refusal.value


def prove(world: World, proof: Fault, accuser: str = "client") -> None:
    faults.prove(world.node, key(accuser).public.key_id, JOB, fault.to_bytes(proof))


def two_stories(world: World) -> Equivocation:
    """The log's newest checkpoint beside another one of the same size."""
    honest = transparency.checkpoint(world.node)
    said = open_checkpoint(honest, logs=world.trust.logs)
    other = Checkpoint(said.origin, said.size, digest("test", b"another root"), said.time_ms)
    return Equivocation(honest, sign_checkpoint(other, key("log")))


# The provider's


def test_a_committed_adapter_that_the_gate_refuses_costs_the_stake(world: World) -> None:
    world.advance_to(State.TRAINING)
    world.commit_adapter(BROKEN)
    with pytest.raises(InvalidInput, match="no adapter"):
        world.hand_in(BROKEN)
    assert world.job().state is State.FAULTED
    assert changes(world) == (MONEY.stake_minor, -MONEY.stake_minor, 0)
    assert sum(world.balances().values()) == 0
    assert "does not pass the gate" in world.told()[-1]


def test_bytes_that_were_damaged_here_are_nobodys_fault(world: World) -> None:
    sound = adapter_files([])
    world.advance_to(State.SUBMITTED, sound)
    uploaded = {name: world.upload(data) for name, data in sound.items()}
    world.node.blobs.file(uploaded[WEIGHTS]).write_bytes(b"no adapter at all")
    assert "damaged" in str(refused(world, IntegrityFailure, lambda: world.submit(sound)))
    proof = Fault(world.chain().envelopes, uploaded)
    refused(world, IntegrityFailure, lambda: prove(world, proof))


def test_a_fault_is_proven_once(world: World) -> None:
    world.advance_to(State.TRAINING)
    world.commit_adapter(BROKEN)
    files = {name: world.upload(data) for name, data in BROKEN.items()}
    proof = Fault(world.chain().envelopes, files)
    prove(world, proof)
    before = world.dump()
    prove(world, proof)
    settle.pass_deadline(world.node, JOB)
    assert world.dump() == before


def test_other_bytes_than_those_committed_to_prove_nothing(world: World) -> None:
    """Nobody signed for them: the call is refused, and the right ones may still come."""
    world.advance_to(State.SUBMITTED)
    refused(world, IntegrityFailure, lambda: prove(world, Fault(world.chain().envelopes, _digests(BROKEN))))
    with pytest.raises(IntegrityFailure):
        world.hand_in(BROKEN)
    assert world.job().state is State.SUBMITTED
    world.advance_to(State.UPLOADED)


def test_an_adapter_that_passes_the_gate_is_no_fault(world: World) -> None:
    world.advance_to(State.TRAINING)
    files = adapter_files([])
    world.advance_to(State.UPLOADED, files)
    refusal = refused(world, IntegrityFailure, lambda: prove(world, Fault(world.chain().envelopes, _digests(files))))
    assert "lets this adapter pass" in str(refusal)


def test_bytes_that_are_not_here_prove_nothing(world: World) -> None:
    world.advance_to(State.TRAINING)
    world.commit_adapter(BROKEN)
    refused(world, NotFound, lambda: prove(world, Fault(world.chain().envelopes, _digests(BROKEN))))


def _digests(files: dict[str, bytes]) -> dict[str, object]:
    return {name: sha256_digest(data) for name, data in files.items()}


# The coordinator's


@pytest.mark.parametrize("state", LIVES)
@pytest.mark.parametrize("accuser", ["client", "provider", "arbiter"])
def test_two_histories_cost_the_coordinator_its_bond_in_every_job_that_it_has_in_hand(
    world: World, state: State, accuser: str
) -> None:
    world.advance_to(state)
    prove(world, Fault(world.chain().envelopes, equivocation=two_stories(world)), accuser)
    assert world.job().state is State.FAULTED
    assert changes(world) == (0, MONEY.price_minor, -MONEY.bond_minor)
    assert "two histories" in world.told()[-1]


def test_a_fault_during_a_dispute_gives_the_challenger_its_bond_back(world: World) -> None:
    world.advance_to(State.EVALUATED)
    world.challenge(Actor.CLIENT)
    prove(world, Fault(world.chain().envelopes, equivocation=two_stories(world)))
    assert world.job().state is State.FAULTED
    assert changes(world) == (0, MONEY.price_minor, -MONEY.bond_minor)


def test_two_commits_to_one_job_are_a_fault(world: World) -> None:
    world.advance_to(State.AGREED)
    chain = world.chain()
    commit: Commit = chain.find(Commit)
    other = seal(replace(commit, rows=commit.rows + 1), world.node.key)
    prove(world, Fault(chain.envelopes, equivocation=Equivocation(chain.envelopes[1], other)))
    assert world.job().state is State.FAULTED


def test_a_signed_reveal_that_fails_its_predicate_is_a_fault(world: World) -> None:
    """This node cannot send one; another coordinator's software might."""
    world.advance_to(State.REVEALED)
    chain = world.chain()
    broken = replace(chain.find(Reveal), opened=())
    prove(world, Fault((*chain.envelopes[:-1], seal(broken, world.node.key))))
    assert world.job().state is State.FAULTED
    assert "fails its predicate" in world.told()[-1]
    assert changes(world) == (0, MONEY.price_minor, -MONEY.bond_minor)


# What proves nothing


def test_an_honest_job_proves_no_fault(world: World) -> None:
    world.advance_to(State.REVEALED)
    chain = world.chain()
    honest = transparency.checkpoint(world.node)
    for proof in (
        Fault(chain.envelopes),
        Fault(chain.envelopes[:5]),
        Fault(chain.envelopes[:2], equivocation=two_stories(world)),
        Fault(chain.envelopes, equivocation=Equivocation(honest, honest)),
        Fault(chain.envelopes, equivocation=Equivocation(chain.envelopes[0], chain.envelopes[1])),
        Fault(()),
    ):
        refused(world, IntegrityFailure, lambda proof=proof: prove(world, proof))
    for data in (b"", b"{}", fault.to_bytes(Fault(chain.envelopes)) + b"\n"):
        refused(
            world, IntegrityFailure, lambda data=data: faults.prove(world.node, world.client.public.key_id, JOB, data)
        )


def test_nobody_without_a_part_in_the_job_ends_it(world: World) -> None:
    world.advance_to(State.AGREED)
    proof = Fault(world.chain().envelopes, equivocation=two_stories(world))
    refused(world, NotFound, lambda: prove(world, proof, "stranger"))


@pytest.mark.parametrize("state", [State.OFFERED, State.COMMITTED, State.SETTLED])
def test_where_no_money_is_locked_a_proof_moves_nothing(world: World, state: State) -> None:
    world.advance_to(State.AGREED)
    chain, told = world.chain().envelopes, two_stories(world)
    if state is State.SETTLED:
        world.advance_to(state)
        refused(world, Conflict, lambda: prove(world, Fault(chain, equivocation=told)))
        return
    refused(world, IntegrityFailure, lambda: prove(world, Fault(chain[: 1 + (state is State.COMMITTED)])))


def test_the_contract_believes_no_relay(world: World) -> None:
    """Whoever calls it directly with a proof of something else, or against the other side, is refused."""
    world.advance_to(State.SUBMITTED)
    chain = world.chain().envelopes
    proof = fault.to_bytes(Fault(chain, equivocation=two_stories(world)))
    for accused, data in ((Actor.PROVIDER, proof), (Actor.COORDINATOR, b"{}"), (Actor.COORDINATOR, b"proof")):
        refusal = refused(world, InvalidInput, lambda accused=accused, data=data: accuse(world, accused, data))
        assert refusal.facts["code"] == "NotProven"
    accuse(world, Actor.COORDINATOR, proof)


def accuse(world: World, accused: Actor, proof: bytes) -> None:
    """Calls the contract by itself."""
    with world.node.units() as unit:
        unit.escrow.fault(EscrowCall("anybody", "accuse", world.clock.now_ms()), JOB, accused, proof=proof)
        unit.commit()
