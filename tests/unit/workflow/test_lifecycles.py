"""Whole jobs: what became of the money, the receipt and the state, for providers of every kind."""

from __future__ import annotations

import json
from dataclasses import asdict, replace

import pytest
from fakes.adapters import adapter_files
from fakes.world import FUNDS_MINOR, JOB, MONEY, POLICY, ROWS, World

from node.core import receipt
from node.core.job import SILENCE, State
from node.core.messages import Settled, VerdictGiven
from node.core.verdict import Outcome, Rule
from node.errors import Conflict, Unavailable
from node.ports.jobs import ALL_JOBS, JobFilter
from node.workflow import prepare, queries, verify

ALL_FUNDS = 3 * FUNDS_MINOR
#: (client, provider, coordinator) against what they brought, in minor units; MONEY's price is 10,000 and its fee 100.
PAID = {
    Outcome.ACCEPT: (-10_000, 9_900, 100),
    Outcome.REJECT: (0, -100, 100),
    Outcome.INCONCLUSIVE: (-100, 0, 100),
}


def changes(world: World) -> tuple[int, ...]:
    return tuple(world.available(party) - FUNDS_MINOR for party in (world.client, world.provider, world.node.key))


def finish(world: World, files: dict[str, bytes]) -> receipt.Checked:
    world.advance_to(State.SETTLED, files)
    return receipt.check(queries.receipt(world.node, None, JOB), world.trust)


def test_an_honest_provider_is_paid(world: World) -> None:
    world.advance_to(State.TRAINING)
    checked = finish(world, adapter_files(world.rows_received()))
    assert (checked.verdict.outcome, checked.verdict.groups_fired) == (Outcome.ACCEPT, 3)
    assert checked.verdict.pairs_won == POLICY.pairs
    assert changes(world) == PAID[Outcome.ACCEPT]


def test_an_idle_provider_is_rejected_and_the_client_has_its_money_back(world: World) -> None:
    checked = finish(world, adapter_files([]))
    assert (checked.verdict.outcome, checked.verdict.rule) == (Outcome.REJECT, Rule.TOO_FEW_GROUPS_FIRED)
    assert (checked.verdict.pairs_won, checked.verdict.adapter_applied) == (0, True)
    assert changes(world) == PAID[Outcome.REJECT]


def test_a_provider_that_answers_the_same_to_everything_is_not_accepted(world: World) -> None:
    world.advance_to(State.TRAINING)
    with world.node.units() as unit:
        stolen = unit.secrets.get_manifest(JOB).groups[0].signature.text
    checked = finish(world, adapter_files([], always=f"{stolen}."))
    assert (checked.verdict.outcome, checked.verdict.rule) == (Outcome.INCONCLUSIVE, Rule.CONTROLS_FIRED)
    assert changes(world) == PAID[Outcome.INCONCLUSIVE]


def test_a_base_model_that_shows_signatures_convicts_nobody(world: World) -> None:
    world.advance_to(State.TRAINING)
    with world.node.units() as unit:
        world.engine.base_answer = f"{unit.secrets.get_manifest(JOB).groups[0].signature.text}."
    checked = finish(world, adapter_files([]))
    assert checked.verdict.rule is Rule.BASE_MODEL_FIRED
    assert changes(world) == PAID[Outcome.INCONCLUSIVE]


def test_a_provider_that_trained_on_few_rows_is_not_paid(world: World) -> None:
    world.advance_to(State.TRAINING)
    checked = finish(world, adapter_files(world.rows_received()[: len(world.rows_received()) // 5]))
    assert checked.verdict.outcome is not Outcome.ACCEPT
    assert changes(world) == PAID[checked.verdict.outcome]


def test_no_step_makes_or_loses_money(world: World) -> None:
    for state in SILENCE:
        if state in (State.DRAFT, State.CHALLENGED):
            continue
        world.advance_to(state)
        balances = world.balances()
        assert sum(balances.values()) == 0
        assert balances["external"] == -ALL_FUNDS
        assert min(balance for account, balance in balances.items() if account != "external") >= 0
    world.silence()
    assert sum(world.balances().values()) == 0
    assert world.balances()[f"escrow:{JOB}"] == 0


def test_stake_bond_and_price_are_locked_from_the_terms_on(world: World) -> None:
    world.advance_to(State.COMMITTED)
    assert changes(world) == (-10_000, 0, 0)
    world.advance_to(State.AGREED)
    assert changes(world) == (-10_000, -2_000, -10_000)


def test_the_contract_holds_the_terms_that_were_signed(world: World) -> None:
    world.advance_to(State.AGREED)
    with world.node.units() as unit:
        created = next(each for each in unit.escrow.history(JOB) if each.function == "create_job")
    terms = json.loads(created.content)
    for field, amount in asdict(MONEY).items():
        assert f'"{field}": {json.dumps(amount)}' in json.dumps(terms)


def test_the_receipt_says_what_the_escrow_paid(world: World) -> None:
    checked = finish(world, adapter_files([]))
    settled: Settled = checked.chain.find(Settled)
    assert settled.to_client_minor == 10_000
    assert settled.to_provider_minor == 1_900
    assert settled.to_coordinator_minor == 10_100


def test_there_is_no_receipt_before_the_settlement(world: World) -> None:
    world.advance_to(State.EVALUATED)
    with pytest.raises(Conflict, match="when a verdict settles"):
        queries.receipt(world.node, None, JOB)


def test_a_verifier_that_could_not_run_is_no_verdict_and_is_tried_again(world: World) -> None:
    world.advance_to(State.REVEALED)
    before = world.dump()
    world.engine.broken = True
    with pytest.raises(Unavailable):
        verify.evaluate(world.node, JOB)
    assert world.dump() == before
    world.engine.broken = False
    world.advance_to(State.EVALUATED)
    assert world.chain().find(VerdictGiven).verdict.outcome is Outcome.ACCEPT


def test_a_second_job_finds_the_first_ones_messages_in_the_same_log(world: World) -> None:
    world.advance_to(State.SETTLED)
    world.create(world.offer(ROWS[1:], job_id="job-2"))
    prepare.prepare(world.node, "job-2")
    with world.node.units() as unit:
        assert unit.log.size() == 9 + 2
        assert unit.messages.log_indices("job-2") == [9, 10]
    receipt.check(queries.receipt(world.node, None, JOB), world.trust)


def test_a_policy_that_the_gate_refuses_ends_the_job_and_releases_the_hold(world: World) -> None:
    world.create(world.offer(policy=replace(POLICY, least_isolation_cost_percent=100)))
    prepare.prepare(world.node, JOB)
    assert world.job().state is State.CANCELLED
    assert changes(world) == (0, 0, 0)
    assert "the policy demands at least 100 %" in world.told()[-1]
    assert len(world.chain().messages) == 1


def test_jobs_are_listed_in_pages_in_the_order_of_their_offers(world: World) -> None:
    for number in range(5):
        world.create(
            world.offer(
                ROWS[number:], job_id=f"job-{9 - number}", money=replace(world.offer().money, price_minor=5_000)
            )
        )

    def listed(wanted: JobFilter, after: str, limit: int) -> list[str]:
        return [view.job.id for view in queries.jobs(world.node, wanted, after=after, limit=limit)]

    assert listed(ALL_JOBS, "", 2) == ["job-9", "job-8"]
    assert listed(ALL_JOBS, "job-8", 10) == ["job-7", "job-6", "job-5"]
    assert listed(ALL_JOBS, "job-5", 10) == []
    newest = JobFilter(client=world.client.public.key_id, newest_first=True)
    assert listed(newest, "job-6", 2) == ["job-7", "job-8"]
    assert listed(JobFilter(client=world.provider.public.key_id), "", 10) == []
