"""Steps 2 to 5, the provider's side of a job: its messages, the data it trains on, the adapter it hands in.

The provider learns nothing about the marks on the way: nothing here reads the manifest but for the salts of its rows.
While it trains it may hand in checkpoints, which decide nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from node.core.adapter import FILES, WEIGHTS, adapter_identity, epoch_file
from node.core.events import JobEvent, Progress
from node.core.job import Event, Job, State
from node.core.manifest import salt_seed
from node.core.messages import AdapterCommit, Chain, Commit, DataReceipt, Terms, UploadReceipt
from node.crypto.digest import Digest
from node.crypto.signing import Envelope
from node.errors import Conflict, IntegrityFailure, InvalidInput
from node.ports.epoch_checkpoints import EpochCheckpoint
from node.ports.unit_of_work import UnitOfWork
from node.workflow import fault, record
from node.workflow.dispatch import LEASE_MS, PROVIDERS_TURN, countersigned, leased
from node.workflow.node import Node
from node.workflow.uploads import complete_of

#: Metrics that come sooner after the last ones, or after so many events of a job, are not told.
REPORT_MS, MOST_EVENTS = 1000, 10_000


@dataclass(frozen=True, slots=True)
class Beat:
    """What a heartbeat is answered. `stop`: the job no longer wants this work."""

    state: State
    until_ms: int
    stop: bool


def post_message(node: Node, caller: str, job_id: str, fence: int, envelope: Envelope) -> Job:
    """Takes the provider's next signed message: Terms, DataReceipt or AdapterCommit. Repeating one is harmless.

    Raises:
        NotFound, PermissionRefused: see `leased`.
        IntegrityFailure: the message does not verify, or names another data root than the committed one.
        Conflict: not its turn, or too late.
    """
    with node.units() as unit:
        now_ms = node.clock.now_ms()
        lease, job = leased(unit, caller, job_id, fence)
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


def heartbeat(node: Node, caller: str, job_id: str, fence: int, progress: Progress | None) -> Beat:
    """Keeps a countersigned job in the caller's hands, passes on training metrics, and tells whether to go on.

    Whoever has not countersigned cannot keep a job from others this way. The same metrics again are not told again,
    nor more of them than anybody could read.

    Raises:
        NotFound, PermissionRefused: see `leased`.
    """
    with node.units() as unit:
        now_ms = node.clock.now_ms()
        lease, job = leased(unit, caller, job_id, fence)
        unit.providers.seen(caller, now_ms)
        if job.state in PROVIDERS_TURN:
            lease = unit.leases.extend(lease, now_ms + LEASE_MS)
        if progress is not None and job.state is State.TRAINING and _is_news(unit, job_id, progress, now_ms):
            told = f"Training: step {progress.step} of {progress.steps}."
            unit.events.append(job_id, JobEvent(0, now_ms, job.state, told, progress))
        unit.commit()
        return Beat(job.state, lease.until_ms, stop=job.state not in (State.COMMITTED, *PROVIDERS_TURN))


def training_data(node: Node, caller: str, job_id: str, fence: int) -> tuple[bytes, Digest]:
    """(salt seed, blob of the rows as JSON Lines) for the provider whose terms are signed.

    Raises:
        NotFound, PermissionRefused: see `leased`.
        Conflict: terms are not signed yet, or the adapter is committed to.
    """
    with node.units(read_only=True) as unit:
        _, job = leased(unit, caller, job_id, fence)
        if job.state not in (State.AGREED, State.TRAINING):
            raise Conflict(
                f"Job {job.id} is {job.state.value}: its data is sent between signed terms and the adapter's digest.",
                state=job.state.value,
            )
        return salt_seed(unit.secrets.get_manifest(job.id)), unit.secrets.training_data(job.id)


def submit_checkpoint(node: Node, caller: str, job_id: str, fence: int, epoch: int, weights: Digest) -> None:
    """Takes the adapter as it stands after an epoch, made of a complete upload of the caller, while it trains.

    A favour to the client, on which nothing hangs: whatever is wrong with it, the job goes on.

    1. The job is in training, and the epoch is one of its, but not the last; a repeated call changes nothing.
    2. The bytes are here, uploaded by the caller.
    3. They pass the adapter gate.

    Raises:
        NotFound, PermissionRefused: see `leased`; NotFound also if the caller has uploaded no such bytes.
        InvalidInput: the job has no such epoch before its last, or the gate refuses the weights.
        Conflict: another checkpoint of this epoch is here, the job is not in training, or the upload is not complete.
    """
    with node.units(read_only=True) as unit:
        # 1
        if not _wants_checkpoint(unit, caller, job_id, fence, epoch, weights):
            return
        training = record.chain_of(node, unit, job_id).offer.training
        if not 1 <= epoch < training.epochs:
            raise InvalidInput(
                f"This job's checkpoints are of the epochs 1 to {training.epochs - 1}; the last one's is its adapter.",
                field="epoch",
                actual=epoch,
            )
        # 2
        size_bytes = complete_of(unit, caller, weights).size_bytes
    # 3
    fault.require_size(node.adapters, training, WEIGHTS, size_bytes)
    node.adapters.check(node.adapters.completed(node.blobs.file(weights), training), training)
    with node.units() as unit:
        if not _wants_checkpoint(unit, caller, job_id, fence, epoch, weights):
            return
        unit.uploads.remove(complete_of(unit, caller, weights))
        unit.files.put(job_id, epoch_file(epoch), weights)
        unit.epoch_checkpoints.add(job_id, EpochCheckpoint(epoch, weights, size_bytes))
        record.tell(unit, unit.jobs.get(job_id), node.clock.now_ms(), f"The checkpoint of epoch {epoch} arrived.")
        unit.commit()


def submit_adapter(node: Node, caller: str, job_id: str, fence: int, files: Mapping[str, Digest]) -> Envelope:
    """Takes the adapter, made of complete uploads of the caller. Returns the signed UploadReceipt.

    1. The job waits for it; a repeated call for the same files returns the same receipt.
    2. The files are those that the provider committed to.
    3. Their bytes are here, uploaded by the caller.
    4. They pass the adapter gate.

    Raises:
        NotFound, PermissionRefused: see `leased`; NotFound also if the caller has uploaded no such file.
        IntegrityFailure: other files than those committed to. Nothing changed: a broken transfer proves nothing.
        InvalidInput: the gate refuses them, and says why. The commitment is to them alone, so that the job is FAULTED.
        Conflict: no digest was committed to, an upload is not complete, or too late.
    """
    # 1
    if files.keys() != FILES:
        raise InvalidInput(f"An adapter has the files {', '.join(sorted(FILES))} and no others.", field="files")
    identity = adapter_identity(files)
    with node.units(read_only=True) as unit:
        _, job = leased(unit, caller, job_id, fence)
        chain = record.chain_of(node, unit, job_id)
        if job.state is not State.SUBMITTED:
            return _receipt_before(chain, job, identity)
        # 2
        committed = chain.find(AdapterCommit).adapter
        if identity != committed:
            raise IntegrityFailure(
                "These files are not the adapter committed to.", expected=str(committed), actual=str(identity)
            )
        # 3
        for digest in files.values():
            complete_of(unit, caller, digest)
    # 4
    try:
        fault.gate_over(node.blobs, node.adapters)(files, chain.offer.training)
    except InvalidInput:
        fault.refuse_adapter(node, chain, files)
        raise
    with node.units() as unit:
        now_ms = node.clock.now_ms()
        _, job = leased(unit, caller, job_id, fence)
        chain = record.chain_of(node, unit, job_id)
        if job.state is not State.SUBMITTED:
            return _receipt_before(chain, job, identity)
        job.after(Event.ADAPTER_UPLOADED, now_ms)  # refuses before anything is signed
        chain = record.append_own(node, unit, chain, UploadReceipt(chain.next_link(), identity))
        for name, digest in files.items():
            unit.files.put(job_id, name, digest)
            unit.uploads.remove(complete_of(unit, caller, digest))
        unit.escrow.acknowledge_upload(record.call(chain.offer.coordinator, job_id, "upload", now_ms), job_id)
        told = "The adapter arrived, matches its digest and passed the gate."
        record.move(unit, job, Event.ADAPTER_UPLOADED, now_ms, told)
        unit.commit()
        return chain.envelopes[-1]


def _wants_checkpoint(unit: UnitOfWork, caller: str, job_id: str, fence: int, epoch: int, weights: Digest) -> bool:
    """Whether this one is still to be taken; False if it was taken before."""
    _, job = leased(unit, caller, job_id, fence)
    known = unit.epoch_checkpoints.find(job_id, epoch)
    if known and known.digest == weights:
        return False
    if known:
        raise Conflict(f"Another checkpoint of epoch {epoch} is here.", expected=str(known.digest), actual=str(weights))
    if job.state is not State.TRAINING:
        raise Conflict(f"Job {job.id} is {job.state.value}: checkpoints are of a training.", state=job.state.value)
    return True


def _is_news(unit: UnitOfWork, job_id: str, progress: Progress, now_ms: int) -> bool:
    last = unit.events.last_progress(job_id)
    if last is None:
        return True
    return progress != last.progress and now_ms - last.time_ms >= REPORT_MS and last.sequence < MOST_EVENTS


def _receipt_before(chain: Chain, job: Job, identity: Digest) -> Envelope:
    for envelope, message in zip(chain.envelopes, chain.messages, strict=True):
        if isinstance(message, UploadReceipt) and message.adapter == identity:
            return envelope
    raise Conflict(f"Job {job.id} is {job.state.value}: no upload is due.", state=job.state.value)
