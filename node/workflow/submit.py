"""Step 0: a client's signed offer. Everything that can be wrong with it is refused before money moves."""

from __future__ import annotations

from dataclasses import fields

from node.core import dataset
from node.core.job import Job, offered
from node.core.messages import EMPTY, Offer, accept
from node.core.policy import Policy
from node.core.questions import FRESH_PER_GROUP
from node.core.receipt import log_leaf
from node.crypto.signing import Envelope, PublicKey
from node.errors import Conflict, InvalidInput, PermissionRefused
from node.marking.layout import check_fits, check_learnable
from node.ports.data_sets import DataSet
from node.ports.unit_of_work import UnitOfWork
from node.workflow import data_sets, record
from node.workflow.node import Node
from node.workflow.queries import JobView, view_of

ROWS_USED_BEFORE = (
    "Marks were hidden in these rows for another job before; a copy with other marks would give both away."
)
#: Every provider that leases the job receives the offer; gRPC's own limit there is 4 MiB.
MAX_OFFER_BYTES = 16 << 10


def create_job(node: Node, caller: str, envelope: Envelope, *, validate_only: bool = False) -> JobView:
    """Takes an offer: checks it, places the hold, queues the job. The same offer again returns the same job.

    1. The offer is signed by its own client key, which is the caller's, and starts a chain.
    2. It is new, or the same as before.
    3. It can work: see `check_offer`; and its policy fits into the rows.
    4. The client's balance covers the price.

    Args:
        validate_only: does all of this, and keeps nothing of it.

    Raises:
        IntegrityFailure, PermissionRefused, InvalidInput, NotFound, Conflict: the first obligation that does not hold;
            nothing changed.
    """
    # 1
    if len(envelope.payload) > MAX_OFFER_BYTES:
        raise InvalidInput(f"An offer has at most {MAX_OFFER_BYTES} bytes.", field="payload")
    if envelope.signer != caller:
        raise PermissionRefused("An offer is placed by the client that signed it.", expected=caller)
    offer = accept(EMPTY, envelope, trusted={}).offer
    with node.units() as unit:
        # 2
        if known := _known(unit, envelope, offer.link.job):
            return view_of(unit, known)
        # 3
        stored = check_offer(node, unit, caller, offer)
        if fits(stored, offer):
            # 4
            now_ms, tokens = node.clock.now_ms(), data_sets.trained_tokens(stored, offer.training)
            job = _placed(unit, envelope, offer, tokens, now_ms)
            if not validate_only:
                unit.commit()
            return JobView(job, offer, tokens)
    raise misfit(node, offer)  # looking at them may take seconds: no writer shall wait for that


def _placed(unit: UnitOfWork, envelope: Envelope, offer: Offer, tokens: int, now_ms: int) -> Job:
    """The new job, its first message and its hold."""
    job_id = offer.link.job
    job = offered(job_id, envelope.signer, offer.deadlines, now_ms)
    unit.jobs.add(
        job,
        data_set=offer.dataset,
        base_model=offer.base_model,
        arbiter=offer.arbiter,
        price_minor_per_1000_tokens=1000 * offer.money.price_minor // tokens,
    )
    unit.messages.append(job_id, envelope, unit.log.append(log_leaf(envelope)))
    open_seconds = offer.deadlines.commit_seconds + offer.deadlines.assign_seconds
    unit.escrow.place_hold(
        record.call(job.client, job_id, "hold", now_ms),
        job_id,
        offer.money.token,
        offer.money.price_minor,
        expires_at_ms=now_ms + 1000 * open_seconds,
    )
    record.tell(unit, job, now_ms, "Offer placed; the price is on hold.")
    return job


def _known(unit: UnitOfWork, envelope: Envelope, job_id: str) -> Job | None:
    """The job of this very offer. Raises Conflict if its id belongs to another offer."""
    known = unit.jobs.find(job_id)
    if known and unit.messages.find(job_id, 0) != envelope:
        raise Conflict(f"The job id {job_id} is taken by another offer.", fix="Choose another job id.", job=job_id)
    return known


def check_offer(node: Node, unit: UnitOfWork, client: str, offer: Offer) -> DataSet:
    """Whether an offer can work, if only it `fits` into its rows; returns its data set.

    1. It is addressed to this node and asks for nothing that this node cannot do.
    2. Its data set is the client's, and no manifest over these rows was ever committed: two copies with different
       marks would give the marks away by a diff.
    3. The marks can be learned, and there are not too many rows.
    4. This node has what it puts up as its bond: the escrow takes it when a provider countersigns.

    Raises:
        InvalidInput, NotFound, Conflict: the first obligation that does not hold, with what would.
    """
    # 1
    check_addressed(node, offer)
    # 2
    stored = data_sets.of_owner(unit, client, offer.dataset)
    if unit.jobs.used_before(offer.dataset, other_than=offer.link.job):
        raise Conflict(ROWS_USED_BEFORE, fix="Offer other rows.", field="dataset")
    # 3
    check_learnable(offer.policy, offer.training)
    if stored.rows > node.limits.max_rows:
        raise InvalidInput(
            f"The data set has {stored.rows} rows; this node reveals up to {node.limits.max_rows} in time.",
            fix="Offer fewer, longer rows.",
            field="dataset",
        )
    # 4
    bond, token = offer.money.bond_minor, offer.money.token
    if unit.escrow.account(f"party:{offer.coordinator}", token).available_minor < bond:
        raise Conflict(
            f"This node cannot put up its bond of {bond:,} {token} now.",
            fix=f"Have its operator run `hallmark account deposit {offer.coordinator} {bond}`, or ask again later.",
            field="bond_minor",
        )
    return stored


def fits(stored: DataSet, offer: Offer) -> bool:
    """Whether the policy fits into the rows, going by their counts."""
    return stored.rows >= offer.policy.least_rows() and stored.longest_row_tokens <= offer.training.max_length_tokens


def misfit(node: Node, offer: Offer) -> InvalidInput:
    """Where an offer does not fit into its rows, as their counts have told."""
    try:
        check_fits(dataset.parse(node.blobs.get(offer.dataset)), offer.policy, offer.training, node.tokenizer)
    except InvalidInput as found:
        return found
    return InvalidInput(
        "The tokens of this data set were counted for another base model.",
        fix="Delete it and send it anew.",
        field="dataset",
    )


def check_addressed(node: Node, offer: Offer) -> None:
    """Whether this node can serve the offer. Raises InvalidInput naming the field."""
    if offer.coordinator != node.key.public.key_id:
        raise InvalidInput(
            "This offer names another coordinator.",
            field="coordinator",
            expected=node.key.public.key_id,
            actual=offer.coordinator,
        )
    parties = {PublicKey.from_hex(offer.client_key_hex).key_id, offer.coordinator, offer.arbiter}
    if len(parties) < 3:
        raise InvalidInput("Client, coordinator and arbiter must be three different parties.", field="arbiter")
    if offer.base_model != node.base_model:
        raise InvalidInput(
            f"This node verifies on base model {node.base_model}.",
            fix="Offer that one, or ask another node.",
            field="base_model",
            actual=str(offer.base_model),
        )
    price, policy = offer.money.price_minor, offer.policy
    for field, asked, limit in (
        ("max_length_tokens", offer.training.max_length_tokens, node.limits.max_length_tokens),
        ("lora_rank", offer.training.lora_rank, node.limits.max_lora_rank),
        ("policy", asked_rows(policy), node.limits.max_asked_rows),
        ("attempts", drawing_prompts(policy), node.limits.max_drawing_prompts),
        ("stake_minor", offer.money.stake_minor, price),  # a client would earn more by a forfeited job than it pays
        ("bond_minor", offer.money.bond_minor, node.limits.most_bond_prices * price),
    ):
        if asked > limit:
            raise InvalidInput(
                f"The offer asks for {asked} ({field}); this node takes offers up to {limit}.",
                field=field,
                actual=asked,
            )
    for name in (each.name for each in fields(offer.deadlines)):
        if getattr(offer.deadlines, name) > node.limits.longest_deadline_seconds:
            raise InvalidInput(
                f"Deadline {name} is longer than the {node.limits.longest_deadline_seconds} s that this node waits.",
                field=name,
            )
    for field, least in (
        ("reveal_seconds", node.limits.least_reveal_seconds),
        ("evaluate_seconds", node.limits.least_evaluate_seconds),
    ):
        granted = int(getattr(offer.deadlines, field))
        if granted < least:
            raise InvalidInput(
                f"The offer grants this node {field} {granted}; it needs at least {least}.", field=field, actual=granted
            )


def asked_rows(policy: Policy) -> int:
    """Rows of one verification: every mark with, without and with another trigger; fresh prompts; pairs' two sides."""
    return 3 * policy.marks + FRESH_PER_GROUP * policy.groups + 2 * policy.pairs


def drawing_prompts(policy: Policy) -> int:
    """Texts that the generator continues until this policy gives up: a group's context for each word of its trigger,
    every carrier's prompt for each word of a signature.
    """
    per_group = policy.trigger_words + policy.marks_per_group * policy.most_signature_words
    return policy.attempts * policy.groups * per_group
