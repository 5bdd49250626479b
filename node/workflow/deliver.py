"""Steps 2 to 5, the provider's side of a job: its messages, the data it trains on, the adapter it hands in.

The provider learns nothing about the marks on the way: nothing here reads the manifest but for the salts of its rows.
"""

from __future__ import annotations

from collections.abc import Mapping

from node.core.adapter import adapter_digest
from node.core.events import JobEvent, Progress
from node.core.job import Event, Job, State
from node.core.manifest import salt_seed
from node.core.messages import AdapterCommit, Commit, DataReceipt, Terms, UploadReceipt
from node.crypto.signing import Envelope
from node.errors import Conflict, IntegrityFailure
from node.workflow import record
from node.workflow.dispatch import countersigned, leased
from node.workflow.node import Node


def post_message(node: Node, token: bytes, envelope: Envelope) -> Job:
    """Takes the provider's next signed message: Terms, DataReceipt or AdapterCommit. Repeating one is harmless.

    Raises:
        IntegrityFailure: the message does not verify, or names another data root than the committed one.
        Conflict: not its turn, or too late.
    """
    with node.units() as unit:
        now_ms = node.clock.now_ms()
        lease, job = leased(unit, token)
        chain = record.chain_of(node, unit, job.id)
        if envelope in chain.envelopes:
            return job
        chain = record.append(node, unit, chain, envelope)
        match chain.messages[-1]:
            case Terms():
                job = countersigned(node, unit, lease, job, chain, now_ms)
            case DataReceipt() as receipt:
                committed = chain.find(Commit).data_root
                if receipt.data_root != committed:
                    raise IntegrityFailure(
                        "The receipt is for other data than the data committed to.",
                        expected=str(committed),
                        actual=str(receipt.data_root),
                    )
                call = record.call(lease.provider, job.id, "receive", now_ms)
                unit.escrow.receive_data(call, job.id, receipt=str(envelope.digest))
                job = record.move(unit, job, Event.DATA_RECEIVED, now_ms, "The data arrived whole; training starts.")
            case AdapterCommit() as commit:
                call = record.call(lease.provider, job.id, "submit", now_ms)
                unit.escrow.submit(call, job.id, deliverable=str(commit.adapter))
                job = record.move(
                    unit, job, Event.ADAPTER_COMMITTED, now_ms, f"The provider committed to adapter {commit.adapter}."
                )
            case other:
                raise IntegrityFailure(f"A {type(other).__name__} is not the provider's to send.", field="payload_type")
        unit.commit()
        return job


def training_data(node: Node, token: bytes) -> tuple[bytes, bytes]:
    """(salt seed, rows as JSON Lines) for the provider whose terms are signed.

    Raises:
        Conflict: terms are not signed yet.
    """
    with node.units() as unit:
        _, job = leased(unit, token)
        if job.state not in (State.AGREED, State.TRAINING):
            raise Conflict(
                f"Job {job.id} is {job.state.value}: its data is sent between signed terms and the adapter's digest.",
                state=job.state.value,
            )
        return salt_seed(unit.secrets.get_manifest(job.id)), node.blobs.get(unit.secrets.training_data(job.id))


def require_lease(node: Node, token: bytes) -> None:
    """Raises PermissionRefused if the token is none: before anything of an upload is kept in memory."""
    with node.units() as unit:
        leased(unit, token)


def report_progress(node: Node, token: bytes, progress: Progress) -> bool:
    """Passes on training metrics; returns whether the job still wants this work."""
    with node.units() as unit:
        _, job = leased(unit, token)
        if job.state is not State.TRAINING:
            return False
        told = f"Training: step {progress.step} of {progress.steps}."
        unit.events.append(job.id, JobEvent(0, node.clock.now_ms(), job.state, told, progress))
        unit.commit()
        return True


def upload_adapter(node: Node, token: bytes, files: Mapping[str, bytes]) -> Envelope:
    """Takes the adapter: it must match the committed digest and pass the gate. Returns the signed UploadReceipt.

    Raises:
        IntegrityFailure: other bytes than those committed to. Nothing changed: a broken transfer proves nothing.
        InvalidInput: the gate refuses it, and says why.
        Conflict: no digest was committed to, or too late.
    """
    with node.units() as unit:
        _, job = leased(unit, token)
        chain = record.chain_of(node, unit, job.id)
        if job.state is not State.SUBMITTED:
            done = [m for m in chain.messages if isinstance(m, UploadReceipt)]
            if done and done[0].adapter == adapter_digest(files):
                return chain.envelopes[chain.messages.index(done[0])]
            raise Conflict(f"Job {job.id} is {job.state.value}: no upload is due.", state=job.state.value)
    committed = chain.find(AdapterCommit).adapter
    if adapter_digest(files) != committed:
        raise IntegrityFailure(
            "The uploaded files are not those committed to.", expected=str(committed), actual=str(adapter_digest(files))
        )
    node.adapters.check(files, chain.offer.training)
    stored = {name: node.blobs.put(data) for name, data in files.items()}
    with node.units() as unit:
        now_ms = node.clock.now_ms()
        job, chain = unit.jobs.get(job.id), record.chain_of(node, unit, job.id)
        job.after(Event.ADAPTER_UPLOADED, now_ms)  # refuses before anything is signed
        chain = record.append_own(node, unit, chain, UploadReceipt(chain.next_link(), committed))
        for name, blob in stored.items():
            unit.files.put(job.id, name, blob)
        unit.escrow.acknowledge_upload(record.call(chain.offer.coordinator, job.id, "upload", now_ms), job.id)
        told = "The adapter arrived, matches its digest and passed the gate."
        record.move(unit, job, Event.ADAPTER_UPLOADED, now_ms, told)
        unit.commit()
        return chain.envelopes[-1]
