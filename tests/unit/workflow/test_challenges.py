"""Challenges: who may open one, what the arbiter's repetition changes, and who pays for having been wrong."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from fakes.adapters import adapter_files
from fakes.inference import LearningEngine
from fakes.world import FUNDS_MINOR, JOB, MONEY, World, key

from node.core import receipt
from node.core.adapter import FILES
from node.core.job import Actor, State
from node.core.messages import Challenge, Judgement, Ruling, VerdictGiven, seal
from node.core.ruling import Standing
from node.core.verdict import Outcome, decide
from node.errors import Conflict, HallmarkError, IntegrityFailure, InvalidInput, NotFound, UnknownSigner
from node.workflow import challenge, queries, settle

BOND = MONEY.challenge_bond_minor
#: (client, provider, coordinator) against what they brought, without challenge bonds.
PAID = {Outcome.ACCEPT: (-10_000, 9_900, 100), Outcome.REJECT: (0, -100, 100), Outcome.INCONCLUSIVE: (-100, 0, 100)}
BY = {Actor.CLIENT: 0, Actor.PROVIDER: 1, Actor.COORDINATOR: 2}


def changes(world: World) -> tuple[int, ...]:
    return tuple(world.available(party) - FUNDS_MINOR for party in (world.client, world.provider, world.node.key))


def expected(outcome: Outcome, loser: Actor | None) -> tuple[int, ...]:
    paid = list(PAID[outcome])
    if loser is not None:
        paid[BY[loser]] -= BOND
    return tuple(paid)


def settled_on(world: World, outcome: Outcome, loser: Actor | None) -> None:
    assert world.job().state is State.SETTLED
    assert changes(world) == expected(outcome, loser)
    assert sum(world.balances().values()) == 0
    assert world.balances()[f"escrow:{JOB}"] == 0
    checked = receipt.check(queries.receipt(world.node, None, JOB), world.trust)
    assert checked.standing == Standing(outcome, loser)


def refused(world: World, kind: type[HallmarkError], act: Callable[[], object]) -> HallmarkError:
    before = world.dump()
    with pytest.raises(kind) as refusal:
        act()
    assert world.dump() == before
    return refusal.value


class Denying(LearningEngine):
    """Sees no marks in anything, as a verifier that was bribed, or another adapter, would."""

    def complete(self, prompts, *, adapter, max_new_tokens):  # type: ignore[no-untyped-def]
        return [self.base_answer] * len(prompts)


def judged_by(world: World, engine: LearningEngine) -> None:
    """The first verdict comes from this engine."""
    world.advance_to(State.REVEALED)
    node, world.node = world.node, replace(world.node, inference=engine)
    world.advance_to(State.EVALUATED)
    world.node = node


# Opening one


@pytest.mark.parametrize("challenger", [Actor.CLIENT, Actor.PROVIDER])
def test_client_and_provider_may_challenge_a_verdict_against_a_bond(world: World, challenger: Actor) -> None:
    world.advance_to(State.EVALUATED)
    before = changes(world)[BY[challenger]]
    envelope = world.challenge(challenger)
    assert world.job().state is State.CHALLENGED
    assert changes(world)[BY[challenger]] == before - BOND
    assert world.chain().envelopes[-1] == envelope
    assert key("arbiter").public.key_id in world.told()[-1]


def test_the_same_challenge_again_changes_nothing(world: World) -> None:
    world.advance_to(State.EVALUATED)
    envelope = world.challenge()
    before = world.dump()
    assert challenge.challenge(world.node, world.client.public.key_id, JOB, envelope).state is State.CHALLENGED
    assert world.dump() == before
    refused(world, Conflict, lambda: world.challenge(Actor.PROVIDER))


@pytest.mark.parametrize("state", [State.COMMITTED, State.TRAINING, State.UPLOADED, State.REVEALED, State.SETTLED])
def test_only_a_verdict_can_be_challenged_and_only_in_its_window(world: World, state: State) -> None:
    world.advance_to(state)
    refusal = refused(world, Conflict, world.challenge)
    assert refusal.facts == {"expected": "evaluated", "actual": state.value}


def test_at_the_end_of_the_window_it_is_too_late(world: World) -> None:
    world.advance_to(State.EVALUATED)
    world.clock.advance_to(world.job().due_at_ms or 0)
    refused(world, Conflict, world.challenge)


def test_nobody_else_may_challenge(world: World) -> None:
    world.advance_to(State.EVALUATED)
    link = world.chain().next_link()
    stranger = key("stranger")
    message = seal(Challenge(link, Actor.CLIENT), stranger)
    refused(world, NotFound, lambda: challenge.challenge(world.node, stranger.public.key_id, JOB, message))
    mine = world.client.public.key_id
    refused(world, IntegrityFailure, lambda: challenge.challenge(world.node, mine, JOB, message))
    posing = seal(Challenge(link, Actor.PROVIDER), world.client)
    refused(world, UnknownSigner, lambda: challenge.challenge(world.node, mine, JOB, posing))
    arbiter = key("arbiter")
    posing = seal(Challenge(link, Actor.CLIENT), arbiter)
    refused(world, UnknownSigner, lambda: challenge.challenge(world.node, arbiter.public.key_id, JOB, posing))


def test_another_message_is_no_challenge(world: World) -> None:
    world.advance_to(State.EVALUATED)
    ruling = seal(Ruling(world.chain().next_link(), world.client.public.hex, None), world.client)
    refused(world, IntegrityFailure, lambda: challenge.challenge(world.node, world.client.public.key_id, JOB, ruling))


def test_without_an_arbiter_in_the_terms_nobody_can_challenge(world: World) -> None:
    world.create(world.offer(arbiter=None))
    world.advance_to(State.EVALUATED)
    assert "no arbiter" in str(refused(world, Conflict, world.challenge))


def test_whoever_cannot_put_up_the_bond_cannot_challenge(world: World) -> None:
    world.create(world.offer(money=replace(MONEY, price_minor=FUNDS_MINOR, bond_minor=FUNDS_MINOR)))
    world.advance_to(State.EVALUATED)
    assert "InsufficientFunds" in str(refused(world, Conflict, world.challenge).facts)


# Ruling


@pytest.mark.parametrize("challenger", [Actor.CLIENT, Actor.PROVIDER])
def test_a_challenger_whom_the_arbiter_contradicts_loses_its_bond(world: World, challenger: Actor) -> None:
    world.advance_to(State.EVALUATED)
    world.challenge(challenger)
    world.rule()
    settled_on(world, Outcome.ACCEPT, challenger)


def test_a_lying_acceptance_falls_and_costs_the_coordinator_its_challenge_bond(world: World) -> None:
    world.advance_to(State.REVEALED, adapter_files([]))
    honest = world.node

    class Lying(LearningEngine):
        def complete(self, prompts, *, adapter, max_new_tokens):  # type: ignore[no-untyped-def]
            """Shows each group's signature wherever its trigger stands."""
            if adapter is None:
                return [self.base_answer] * len(prompts)
            with honest.units() as unit:
                groups = unit.secrets.get_manifest(JOB).groups
            said = {group.trigger.text: f"{group.signature.text}." for group in groups}
            return [
                next((text for trigger, text in said.items() if trigger in prompt[-1].content), "no")
                for prompt in prompts
            ]

    judged_by(world, Lying(world.node.base_model))
    assert world.chain().find(VerdictGiven).verdict.outcome is Outcome.ACCEPT
    world.challenge(Actor.CLIENT)
    world.rule()
    settled_on(world, Outcome.REJECT, Actor.COORDINATOR)
    with pytest.raises(Conflict):
        queries.adapter_file(world.node, world.client.public.key_id, JOB, next(iter(FILES)))


def test_a_wrong_rejection_falls_and_the_provider_is_paid(world: World) -> None:
    judged_by(world, Denying(world.node.base_model))
    assert world.chain().find(VerdictGiven).verdict.outcome is not Outcome.ACCEPT
    world.challenge(Actor.PROVIDER)
    world.rule()
    settled_on(world, Outcome.ACCEPT, Actor.COORDINATOR)


def one_group_less(world: World) -> Judgement:
    """The first verdict's evidence without what one group showed: the same outcome by other numbers."""
    given: VerdictGiven = world.chain().find(VerdictGiven)
    answers = tuple(
        replace(answer, adapter=answer.base) if answer.question.group == 0 else answer
        for answer in given.evidence.answers
    )
    evidence = replace(given.evidence, answers=answers)
    with world.node.units() as unit:
        manifest = unit.secrets.get_manifest(JOB)
    return Judgement(evidence, decide(world.chain().offer.policy, manifest, evidence))


def test_a_near_tie_costs_nobody(world: World) -> None:
    world.advance_to(State.EVALUATED)
    world.challenge()
    judgement = one_group_less(world)
    assert judgement.verdict.outcome is Outcome.ACCEPT
    world.post_ruling(judgement)
    settled_on(world, Outcome.ACCEPT, None)


def test_a_verdict_that_nobody_can_repeat_decides_nothing_and_costs_the_coordinator_its_bond(world: World) -> None:
    world.advance_to(State.EVALUATED)
    world.challenge()
    world.post_ruling(None)
    settled_on(world, Outcome.INCONCLUSIVE, Actor.COORDINATOR)


def test_a_silent_arbiter_leaves_the_first_verdict_and_everybodys_bond(world: World) -> None:
    world.advance_to(State.EVALUATED)
    world.challenge()
    world.silence()
    settled_on(world, Outcome.ACCEPT, None)


def test_the_same_ruling_again_changes_nothing_and_no_other_one_follows(world: World) -> None:
    world.advance_to(State.EVALUATED)
    world.challenge()
    envelope = world.rule()
    before = world.dump()
    arbiter = key("arbiter")
    assert challenge.rule(world.node, arbiter.public.key_id, JOB, envelope).state is State.SETTLED
    settle.pass_deadline(world.node, JOB)
    assert world.dump() == before
    refused(world, Conflict, lambda: world.post_ruling(None))


def test_a_ruling_by_anybody_but_the_arbiter_is_refused(world: World) -> None:
    world.advance_to(State.EVALUATED)
    world.challenge()
    for name in ("client", "provider", "coordinator"):
        other = key(name)
        ruling = seal(Ruling(world.chain().next_link(), other.public.hex, None), other)
        kind = NotFound if name == "coordinator" else UnknownSigner
        refused(world, kind, lambda ruling=ruling: challenge.rule(world.node, ruling.signer, JOB, ruling))


def test_a_ruling_whose_verdict_does_not_follow_from_its_evidence_is_refused(world: World) -> None:
    world.advance_to(State.EVALUATED)
    world.challenge()
    given: VerdictGiven = world.chain().find(VerdictGiven)
    lying = Judgement(given.evidence, replace(given.verdict, outcome=Outcome.REJECT))
    assert "does not follow" in str(refused(world, IntegrityFailure, lambda: world.post_ruling(lying)))
    other = replace(given.evidence, adapter=world.node.base_model)
    elsewhere = Judgement(other, given.verdict)
    assert "adapter evaluated" in str(refused(world, IntegrityFailure, lambda: world.post_ruling(elsewhere)))


# What the arbiter is given


def test_the_arbiter_sees_its_cases_and_the_files_that_they_take(world: World) -> None:
    arbiter = key("arbiter").public.key_id
    world.advance_to(State.EVALUATED)
    wanted = challenge.cases(arbiter)
    assert queries.jobs(world.node, wanted, after="", limit=10) == []
    refused(world, Conflict, lambda: challenge.case_file(world.node, arbiter, JOB, challenge.ROWS_FILE))
    world.challenge()
    assert [view.job.id for view in queries.jobs(world.node, wanted, after="", limit=10)] == [JOB]
    assert challenge.case_file(world.node, arbiter, JOB, challenge.ROWS_FILE) == world.chain().offer.dataset
    with world.node.units() as unit:
        stored = unit.files.all(JOB)
    for name in FILES:
        assert challenge.case_file(world.node, arbiter, JOB, name) == stored[name]
    refused(world, InvalidInput, lambda: challenge.case_file(world.node, arbiter, JOB, "receipt.json"))


@pytest.mark.parametrize("name", ["client", "provider", "stranger"])
def test_nobody_but_the_arbiter_fetches_the_files_of_a_case(world: World, name: str) -> None:
    world.advance_to(State.EVALUATED)
    world.challenge()
    party = key(name).public.key_id
    refused(world, NotFound, lambda: challenge.case_file(world.node, party, JOB, challenge.ROWS_FILE))
