"""Step 1: marks are hidden and committed to, before any row leaves."""

from __future__ import annotations

from functools import partial

from node.core import dataset
from node.core.job import Event, Job
from node.core.manifest import data_tree, manifest_root, salt_seed, seed_digest
from node.core.messages import Commit
from node.crypto.digest import Digest, digest
from node.crypto.signing import PrivateKey
from node.errors import InvalidInput
from node.marking.contexts import templates, written
from node.marking.layout import draw_marked
from node.ports.unit_of_work import UnitOfWork
from node.workflow import record
from node.workflow.node import Node
from node.workflow.submit import ROWS_USED_BEFORE


def prepare(node: Node, job_id: str) -> None:
    """Draws the manifest, plants it, and commits to data and manifest in one signed message.

    The seed follows from the offer and this node's key, so that a repeated step draws the same manifest: dying and
    starting anew is no way to redraw. A policy that cannot be planted ends the job and releases the hold.

    Raises:
        Unavailable: the generator model could not be asked; the job stays as it is.
        Conflict: the job moved on meanwhile.
    """
    with node.units(read_only=True) as unit:
        unit.jobs.get(job_id).after(Event.MANIFEST_COMMITTED, node.clock.now_ms())  # refuses before anything is drawn
        chain = record.chain_of(node, unit, job_id)
    offer = chain.offer
    rows = dataset.parse(node.blobs.get(offer.dataset))
    try:
        marked = draw_marked(
            rows,
            offer.policy,
            offer.training,
            seed=_seed(node.key, chain.envelopes[0].digest),
            model=node.language_model,
            tokenizer=node.tokenizer,
            write_contexts=partial(written, model=node.inference) if node.prompt_model else templates,
        )
    except InvalidInput as refusal:
        with node.units() as unit:
            _refuse(node, unit, unit.jobs.get(job_id), str(refusal))
        return
    training_data = node.blobs.put(dataset.to_jsonl(marked.rows))
    with node.units() as unit:
        now_ms = node.clock.now_ms()
        job, chain = unit.jobs.get(job_id), record.chain_of(node, unit, job_id)
        job.after(Event.MANIFEST_COMMITTED, now_ms)  # refuses before anything is signed
        if unit.jobs.used_before(offer.dataset, other_than=job_id):  # by a job that was offered at the same time
            _refuse(node, unit, job, ROWS_USED_BEFORE)
            return
        commit = Commit(
            link=chain.next_link(),
            rows=len(marked.rows),
            data_root=data_tree(marked.rows, salt_seed(marked.manifest)).root,
            manifest_root=manifest_root(marked.manifest),
            seed=seed_digest(marked.manifest),
        )
        record.append_own(node, unit, chain, commit)
        unit.secrets.put_manifest(job_id, marked.manifest, training_data)
        told = f"Committed to {len(marked.rows)} rows of training data and to what is hidden in them."
        if offer.policy.least_isolation_cost_percent == 0:
            told += " The policy switches the self-attack gate off: whoever looks for the marks may find them cheaply."
        record.move(unit, job, Event.MANIFEST_COMMITTED, now_ms, told)
        unit.commit()


def _seed(key: PrivateKey, offer: Digest) -> bytes:
    """32 bytes that only the holder of `key` can know: the digest of its (deterministic, RFC 8032) signature."""
    return digest("manifest-seed-of-offer", key.sign(b"hallmark/v1/manifest-seed\0" + offer.raw)).raw


def _refuse(node: Node, unit: UnitOfWork, job: Job, reason: str) -> None:
    now_ms = node.clock.now_ms()
    record.move(unit, job, Event.REFUSED_BY_COORDINATOR, now_ms, reason)
    record.release_hold(unit, job, now_ms)
    unit.commit()
