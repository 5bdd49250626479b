"""The little that a provider keeps of a job in hand, so that it goes on after a restart: lease, messages, files.

One folder a job: `job.json`, what was downloaded so far, and the finished adapter. Knows nothing of gRPC or training.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from node.core.adapter import FILES
from node.core.messages import Chain, read_chain
from node.crypto.signing import Envelope, PublicKey
from node.errors import HallmarkError
from node.provider.durable import sync, write_durably

STATE_FILE = "job.json"


@dataclass(frozen=True, slots=True)
class Held:
    """A job in this provider's hands: its lease and its verified chain so far."""

    job: str
    fence: int
    chain: Chain

    @property
    def name(self) -> str:
        return f"jobs/{self.job}"

    def has(self, kind: type[Any]) -> bool:
        return any(isinstance(message, kind) for message in self.chain.messages)


class Work:
    """The folders of all jobs in hand, in `folder`."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder

    def unfinished(self, trusted: Mapping[str, PublicKey]) -> Iterator[Held]:
        """The jobs that were in hand when this provider stopped. What cannot be read is removed: it holds nothing
        that the coordinator does not have."""
        for file in sorted(self.folder.glob(f"*/{STATE_FILE}")):
            try:
                stored = json.loads(file.read_bytes())
                chain = read_chain([Envelope.from_json(each) for each in stored["messages"]], trusted=trusted)
                yield Held(chain.offer.link.job, int(stored["fence"]), chain)
            except (ValueError, KeyError, TypeError, HallmarkError):
                shutil.rmtree(file.parent, ignore_errors=True)

    def keep(self, held: Held) -> None:
        """Stores lease and chain durably."""
        stored = {"fence": held.fence, "messages": [envelope.to_json() for envelope in held.chain.envelopes]}
        write_durably(self._of(held) / STATE_FILE, json.dumps(stored).encode())

    def data_file(self, held: Held) -> Path:
        """Where the training data is downloaded to, as far as it came."""
        return self._of(held) / "data.jsonl"

    def training(self, held: Held) -> Path:
        """The folder to train in, with whatever an earlier attempt left there."""
        folder = self._of(held) / "training"
        folder.mkdir(exist_ok=True)
        return folder

    def keep_adapter(self, held: Held) -> None:
        """Stores the finished adapter durably, all of it or none, and then forgets how it was trained."""
        training, partial = self.training(held), self._of(held) / "adapter.partial"
        partial.mkdir(exist_ok=True)
        for name in FILES:
            sync(training / name)
            (training / name).replace(partial / name)
        sync(partial)
        partial.replace(self._adapter(held))
        sync(self._of(held))
        shutil.rmtree(training)

    def adapter(self, held: Held) -> dict[str, Path] | None:
        """The finished adapter's files, if there is one."""
        folder = self._adapter(held)
        return {name: folder / name for name in sorted(FILES)} if folder.exists() else None

    def drop_adapter(self, held: Held) -> None:
        """Deletes the finished adapter: the job is to be trained again."""
        shutil.rmtree(self._adapter(held))

    def drop(self, held: Held) -> None:
        """Deletes everything of a job."""
        shutil.rmtree(self._of(held), ignore_errors=True)

    def _of(self, held: Held) -> Path:
        folder = self.folder / held.job
        folder.mkdir(exist_ok=True)
        return folder

    def _adapter(self, held: Held) -> Path:
        return self._of(held) / "adapter"
