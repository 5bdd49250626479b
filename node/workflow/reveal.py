"""Step 6: the manifest is opened, once the adapter's bytes are here and cannot change any more."""

from __future__ import annotations

from node.core import dataset, document
from node.core.job import Event
from node.core.manifest import data_tree, open_rows, salt_seed
from node.core.messages import Reveal
from node.crypto.digest import sha256_digest
from node.workflow import record
from node.workflow.node import Node


def reveal(node: Node, job_id: str) -> None:
    """Publishes the manifest with every planted and sent row opened against the data root.

    Raises:
        Conflict: the adapter has not arrived, or the manifest was revealed before.
        IntegrityFailure: the reveal fails the public predicate; it was not sent, for that would cost the bond.
    """
    with node.units(read_only=True) as unit:  # opening many rows takes seconds: no writer shall wait for that
        unit.jobs.get(job_id).after(Event.MANIFEST_REVEALED, node.clock.now_ms())  # refuses before anything is opened
        manifest, training_data = unit.secrets.get_manifest(job_id), unit.secrets.training_data(job_id)
    rows = dataset.parse(node.blobs.get(training_data))
    opened = open_rows(manifest, data_tree(rows, salt_seed(manifest)))
    digest = sha256_digest(document.to_bytes(manifest))
    with node.units() as unit:
        now_ms = node.clock.now_ms()
        job, chain = unit.jobs.get(job_id), record.chain_of(node, unit, job_id)
        job.after(Event.MANIFEST_REVEALED, now_ms)  # refuses before anything is signed
        record.append_own(node, unit, chain, Reveal(chain.next_link(), manifest, opened))
        unit.escrow.reveal(record.call(chain.offer.coordinator, job_id, "reveal", now_ms), job_id, manifest=str(digest))
        record.move(unit, job, Event.MANIFEST_REVEALED, now_ms, "The manifest is revealed and keeps the policy.")
        unit.commit()
