"""Step 0: a client's data set and its signed offer. Everything that can be wrong is refused before money moves."""

from __future__ import annotations

from dataclasses import fields

from node.core import dataset
from node.core.job import Job, offered
from node.core.messages import EMPTY, Offer, accept
from node.core.policy import Policy
from node.core.questions import FRESH_PER_GROUP
from node.core.receipt import log_leaf
from node.crypto.signing import Envelope, PublicKey
from node.errors import Conflict, InvalidInput, NotFound
from node.marking.layout import check_fits, check_learnable
from node.ports.unit_of_work import DataSet, UnitOfWork
from node.workflow import record
from node.workflow.node import Node

ROWS_USED_BEFORE = (
    "Marks were hidden in these rows for another job before; a copy with other marks would give both away."
)
#: Every provider that leases the job receives the offer; gRPC's own limit there is 4 MiB.
MAX_OFFER_BYTES = 16 << 10


def upload_data_set(node: Node, data: bytes) -> DataSet:
    """Checks and stores a data set. Storing it again changes nothing.

    Raises:
        InvalidInput: naming the first wrong lines.
    """
    rows = dataset.parse(data)
    digest = node.blobs.put(data)
    stored = DataSet(digest, len(rows), len(data), sum(node.tokenizer.row_tokens(row) for row in rows))
    with node.units() as unit:
        unit.data_sets.add(stored)
        unit.commit()
    return stored


def create_job(node: Node, envelope: Envelope) -> Job:
    """Takes an offer: checks it, places the hold, queues the job. The same offer again returns the same job.

    1. The offer is signed by its own client key and starts a chain.
    2. It is new, or the same as before.
    3. It is addressed to this node and its base model, and its data set is here.
    4. The policy fits into the data and the training, and no manifest over these rows was ever committed: two copies
       with different marks would give the marks away by a diff.
    5. The client's balance covers the price.

    Raises:
        IntegrityFailure, InvalidInput, NotFound, Conflict: the first obligation that does not hold; nothing changed.
    """
    # 1
    if len(envelope.payload) > MAX_OFFER_BYTES:
        raise InvalidInput(f"An offer has at most {MAX_OFFER_BYTES} bytes.", field="payload")
    chain = accept(EMPTY, envelope, trusted={})
    offer = chain.offer
    job_id, client = offer.link.job, envelope.signer
    # 2
    with node.units() as unit:
        if known := _known(unit, envelope, job_id):
            return known
        stored = unit.data_sets.find(offer.dataset)
    # 3
    check_addressed(node, offer)
    if stored is None:
        raise NotFound(f"Data set {offer.dataset} is not here.", fix="Upload it first.", field="dataset")
    # 4
    check_learnable(offer.policy, offer.training)
    check_fits(dataset.parse(node.blobs.get(offer.dataset)), offer.policy, offer.training, node.tokenizer)
    with node.units() as unit:
        if known := _known(unit, envelope, job_id):
            return known
        if unit.jobs.used_before(offer.dataset, other_than=job_id):
            raise Conflict(ROWS_USED_BEFORE, fix="Offer other rows.", field="dataset")
        # 5
        now_ms = node.clock.now_ms()
        job = offered(job_id, client, offer.deadlines, now_ms)
        unit.jobs.add(job, data_set=offer.dataset, base_model=offer.base_model)
        unit.messages.append(job_id, envelope, unit.log.append(log_leaf(envelope)))
        open_seconds = offer.deadlines.commit_seconds + offer.deadlines.assign_seconds
        unit.escrow.place_hold(
            record.call(client, job_id, "hold", now_ms),
            job_id,
            offer.money.token,
            offer.money.price_minor,
            expires_at_ms=now_ms + 1000 * open_seconds,
        )
        record.tell(unit, job, now_ms, "Offer placed; the price is on hold.")
        unit.commit()
    return job


def _known(unit: UnitOfWork, envelope: Envelope, job_id: str) -> Job | None:
    """The job of this very offer. Raises Conflict if its id belongs to another offer."""
    known = unit.jobs.find(job_id)
    if known is not None and unit.messages.chain(job_id)[0] != envelope:
        raise Conflict(f"Job {job_id} exists with another offer.", fix="Choose another job id.", job=job_id)
    return known


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
        ("attempts", drawn_words(policy), node.limits.max_drawn_words),
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


def drawn_words(policy: Policy) -> int:
    """Words that the generator is asked for until this policy gives up."""
    return policy.attempts * policy.groups * (policy.trigger_words + policy.most_signature_words)
