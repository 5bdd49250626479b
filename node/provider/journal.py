"""What an agent remembers and tells of itself: one file, which others may read while it works and after.

Losing it loses no job and no money: these are kept elsewhere. One agent at a time writes it.
"""

from __future__ import annotations

import fcntl
import json
import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, TextIO

from pydantic import TypeAdapter, ValidationError

from node.core.events import Progress
from node.crypto.digest import Digest
from node.errors import Conflict
from node.wire.channel import wall_ms

log = logging.getLogger(__name__)

MOST_LEFT = 100
#: A sign of life is not worth writing down more often.
HEARD_EVERY_MS = 5000

#: How jobs went on their way out of an agent's hands.
Outcome = Literal["delivered", "refused", "failed"]


@dataclass(frozen=True, slots=True)
class Left:
    """A job that was refused before terms were signed, or came to nothing after.

    Attributes:
        needs_minor: it is worth another look once the account has so much available; 0: after some time.
    """

    job: str
    at_ms: int
    reason: str
    needs_minor: int = 0


@dataclass(frozen=True, slots=True)
class Told:
    """All that a journal says.

    Attributes:
        heard_at_ms: when the coordinator last answered, give or take HEARD_EVERY_MS.
        job: the one in hand, or empty.
        doing: what is being done for it.
        trouble: why the work on it had to be tried again, the last time, or empty.
        progress: the last report of its training.
        tokens_per_second: of the trainings over each base model, by its digest; the last one counts half.
        outcomes: jobs counted by how they left.
        left: the last ones that were not delivered, the newest last.
    """

    heard_at_ms: int = 0
    job: str = ""
    doing: str = ""
    trouble: str = ""
    progress: Progress | None = None
    tokens_per_second: Mapping[str, float] = field(default_factory=dict)
    outcomes: Mapping[Outcome, int] = field(default_factory=dict)
    left: tuple[Left, ...] = ()


_FORM = TypeAdapter(Told)


class Journal:
    """`told` is what the file says. What a crash of the machine takes back was never important."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self.told = read(file)

    def note(self, **changes: Any) -> None:
        """Fields of `Told` and their new values."""
        self.told = replace(self.told, **changes)
        partial = self._file.with_suffix(".partial")
        try:
            partial.write_text(json.dumps(asdict(self.told), indent=2))
            partial.replace(self._file)
        except OSError as fault:  # a full disk must not end a training
            log.warning("%s could not be written: %s.", self._file, fault.strerror)

    def heard(self) -> None:
        """The coordinator answered."""
        now_ms = wall_ms()
        if now_ms - self.told.heard_at_ms >= HEARD_EVERY_MS:
            self.note(heard_at_ms=now_ms)

    def trained(self, base_model: Digest, last: Progress | None) -> None:
        """A training ended, and this was its last report, if it made any."""
        speed = last.tokens_per_second if last else 0.0
        if speed > 0:
            known = self.told.tokens_per_second
            mean = (known.get(str(base_model), speed) + speed) / 2
            self.note(progress=last, tokens_per_second={**known, str(base_model): mean})

    def ended(self, outcome: Outcome, *left: Left) -> None:
        """No job is in hand any more; `left` says why it was not delivered."""
        told, count = self.told, self.told.outcomes.get(outcome, 0) + 1
        self.note(
            job="",
            doing="",
            trouble="",
            progress=None,
            outcomes={**told.outcomes, outcome: count},
            left=(*told.left, *left)[-MOST_LEFT:],
        )


def read(file: Path) -> Told:
    """What the journal says; nothing, if there is none or another version wrote it."""
    try:
        return _FORM.validate_json(file.read_bytes())
    except (FileNotFoundError, ValidationError):
        return Told()


def file_in(folder: Path) -> Path:
    """The journal of the agent that keeps its state in a folder."""
    return folder / "agent.json"


@contextmanager
def opened(folder: Path) -> Iterator[Journal]:
    """The journal of the one agent that works in this folder.

    Raises:
        Conflict: another agent works there: both would train the same job.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with _lock_file(folder).open("w") as lock:
        if not _locked(lock):
            raise Conflict(
                "Another agent works with this home.",
                fix="Give each agent a home of its own: its own key, admission and deposit.",
            )
        yield Journal(file_in(folder))


def is_open(folder: Path) -> bool:
    """Whether an agent works in this folder now."""
    if not _lock_file(folder).exists():
        return False
    with _lock_file(folder).open("r+") as lock:
        return not _locked(lock)


def _lock_file(folder: Path) -> Path:
    return folder / "agent.lock"


def _locked(lock: TextIO) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
