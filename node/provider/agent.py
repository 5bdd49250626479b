"""A provider's agent: leases a job over gRPC, trains, commits to its adapter, uploads it. It dials out only.

It trusts nothing that it is sent: the offer must be signed by its client and the commit by a coordinator whose key the
operator pinned, and the rows must have the committed root before a step is trained.
"""

from __future__ import annotations

import logging
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import grpc

from node.core import dataset
from node.core.adapter import FILES, adapter_digest
from node.core.events import Progress
from node.core.manifest import SALT_BYTES, data_tree
from node.core.messages import (
    AdapterCommit,
    Chain,
    Commit,
    DataReceipt,
    Message,
    Offer,
    Terms,
    accept,
    read_chain,
    seal,
)
from node.core.rows import Row
from node.crypto.digest import Digest
from node.crypto.signing import PrivateKey, PublicKey
from node.errors import HallmarkError, IntegrityFailure, InvalidInput, Unavailable
from node.ports.fine_tuner import FineTuner
from node.wire import status, translate
from node.wire.hallmark.v1 import providers_pb2, providers_pb2_grpc

log = logging.getLogger(__name__)

CHUNK_BYTES = 1 << 20
POLL_SECONDS = 0.5
#: Metrics are sent at most this often; a step of a small model is faster.
REPORT_SECONDS = 0.5

#: Nobody promises to train faster than this.
MOST_ROWS_PER_SECOND = 50

T = TypeVar("T")


class Agent:
    """One provider at one coordinator.

    Args:
        coordinators: keys that this operator pinned, by key id.
        base_models: digest -> folder of the base models on this machine.
    """

    def __init__(
        self,
        address: str,
        key: PrivateKey,
        *,
        coordinators: Mapping[str, PublicKey],
        base_models: Mapping[Digest, Path],
        fine_tuner: FineTuner,
    ) -> None:
        self._key = key
        self._coordinators = coordinators
        self._base_models = base_models
        self._fine_tuner = fine_tuner
        self._channel = grpc.insecure_channel(address)
        self._stub: Any = providers_pb2_grpc.ProviderServiceStub(self._channel)

    def close(self) -> None:
        self._channel.close()

    def run(self, *, once: bool) -> None:
        """Works on jobs as they come; returns after the first one if `once`.

        Raises:
            Unavailable: the coordinator cannot be reached.
            IntegrityFailure: the coordinator sent what it had not committed to.
            HallmarkError: if `once`, why the job came to nothing. Otherwise no job ends the work on others.
        """
        while True:
            lease = self._lease()
            if lease.job:
                log.info("leased job %s", lease.job)
                try:
                    self._work(lease)
                except IntegrityFailure:
                    raise
                except HallmarkError as fault:
                    if once:
                        raise
                    log.warning("job %s came to nothing: %s", lease.job, fault)
                    time.sleep(POLL_SECONDS)
                if once:
                    return
            else:
                time.sleep(POLL_SECONDS)

    def _lease(self) -> providers_pb2.Lease:
        request = providers_pb2.LeaseJobRequest(
            provider_key_hex=self._key.public.hex, base_model_digests=[str(digest) for digest in self._base_models]
        )
        lease: providers_pb2.Lease = _answer(lambda: self._stub.LeaseJob(request, wait_for_ready=True))
        return lease

    def _work(self, lease: providers_pb2.Lease) -> None:
        """One job, from its lease to the upload.

        1. Offer and commit verify, the base model is one that we hold, and the stake is not there to be lost.
        2. Countersign the terms.
        3. Take the data; its root must be the committed one. Sign for it.
        4. Train. 5. Commit to the adapter's digest. 6. Upload it.
        """
        token = lease.lease_token
        # 1
        chain = read_chain(
            [translate.envelope_from_wire(envelope) for envelope in lease.messages], trusted=self._coordinators
        )
        offer, commit = chain.offer, chain.find(Commit)
        if offer.base_model not in self._base_models:
            raise IntegrityFailure("The coordinator sent a job for a base model that was not asked for.")
        base_model = self._base_models[offer.base_model]
        _check_acceptable(offer, commit)
        # 2
        chain = self._post(token, chain, Terms(chain.next_link(), self._key.public.hex))
        # 3
        rows = self._download(token, commit)
        chain = self._post(token, chain, DataReceipt(chain.next_link(), commit.data_root))
        # 4
        with tempfile.TemporaryDirectory(prefix="hallmark-adapter-") as scratch:
            out = Path(scratch)
            report = self._reporter(token)
            self._fine_tuner.fine_tune(rows, offer.training, base_model=base_model, out=out, report=report)
            files = {name: (out / name).read_bytes() for name in sorted(FILES)}
        # 5
        digest = adapter_digest(files)
        self._post(token, chain, AdapterCommit(chain.next_link(), digest))
        log.info("committed to adapter %s", digest)
        # 6
        _answer(lambda: self._stub.UploadAdapter(_parts(token, files)))
        log.info("uploaded; the verdict is the coordinator's turn")

    def _post(self, token: str, chain: Chain, message: Message) -> Chain:
        envelope = seal(message, self._key)
        longer = accept(chain, envelope, trusted=self._coordinators)
        request = providers_pb2.PostMessageRequest(lease_token=token, message=translate.envelope_to_wire(envelope))
        _answer(lambda: self._stub.PostMessage(request))
        return longer

    def _download(self, token: str, commit: Commit) -> Sequence[Row]:
        request = providers_pb2.DownloadTrainingDataRequest(lease_token=token)
        data = _answer(lambda: b"".join(chunk.data for chunk in self._stub.DownloadTrainingData(request)))
        salt_seed_hex, _, lines = data.partition(b"\n")
        try:
            salt_seed = bytes.fromhex(salt_seed_hex.decode("ascii"))
        except ValueError as fault:
            raise IntegrityFailure("The training data does not start with its salt seed.") from fault
        if len(salt_seed) != SALT_BYTES:
            raise IntegrityFailure("The salt seed has another length.", expected=SALT_BYTES, actual=len(salt_seed))
        rows = dataset.parse(lines)
        root = data_tree(rows, salt_seed).root
        if root != commit.data_root or len(rows) != commit.rows:
            raise IntegrityFailure(
                "The training data is not what the coordinator committed to.",
                expected=str(commit.data_root),
                actual=str(root),
            )
        return rows

    def _reporter(self, token: str) -> Callable[[Progress], None]:
        last = 0.0

        def report(progress: Progress) -> None:
            nonlocal last
            if time.monotonic() - last < REPORT_SECONDS and progress.step < progress.steps:
                return
            last = time.monotonic()
            request = providers_pb2.ReportProgressRequest(
                lease_token=token, progress=translate.progress_to_wire(progress)
            )
            try:
                _answer(lambda: self._stub.ReportProgress(request))
            except Unavailable as fault:
                log.warning("progress was not reported: %s", fault)  # train on; metrics are a courtesy

        return report


def _check_acceptable(offer: Offer, commit: Commit) -> None:
    """Refuses terms under which a client earns most if nobody can train in time: a forfeited stake is the client's.

    Raises:
        InvalidInput: the stake exceeds the price, or no machine trains so fast.
    """
    if offer.money.stake_minor > offer.money.price_minor:
        raise InvalidInput("The offer's stake exceeds its price.", field="stake_minor")
    if commit.rows * offer.training.epochs > MOST_ROWS_PER_SECOND * offer.deadlines.train_seconds:
        raise InvalidInput(
            f"The offer grants {offer.deadlines.train_seconds} s to train {commit.rows} rows "
            f"{offer.training.epochs} times.",
            field="train_seconds",
        )


def _parts(token: str, files: Mapping[str, bytes]) -> Iterator[providers_pb2.UploadAdapterRequest]:
    for name, data in files.items():
        for at in range(0, len(data), CHUNK_BYTES):
            yield providers_pb2.UploadAdapterRequest(
                lease_token=token, file_name=name, data=data[at : at + CHUNK_BYTES]
            )


def _answer(call: Callable[[], T]) -> T:
    try:
        return call()
    except grpc.RpcError as fault:
        raise status.error_of(fault) from fault
