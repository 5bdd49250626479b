"""A coordinator in a process of its own that can be killed at any named point of its life.

Everything in the middle is real: SQL, escrow, blobs, gRPC, TLS, signed requests, the worker's rounds. Models are fakes.
A point is the moment before or after something becomes durable: `deliver.post_message: after commit #2` is the second
time that this verb has committed. The process kills itself there with SIGKILL: nothing is flushed, nobody is told.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any, Self, cast

from fakes.adapters import FakeAdapters
from fakes.inference import LearningEngine
from fakes.language_model import WordListModel
from fakes.tokenizer import WordTokenizer
from fakes.world import BASE_MODEL, key

import node
from node.bootstrap import SystemEntropy
from node.coordinator import worker
from node.coordinator.server import Access, build_server
from node.core.adapter import WEIGHTS
from node.core.receipt import Trust
from node.core.training import TrainingSpec
from node.crypto.certificates import Credential
from node.errors import InvalidInput
from node.ports.unit_of_work import UnitOfWork, Units
from node.settlement.escrow import ContractEscrow
from node.settlement.faults import fault_check
from node.storage.blobs import FolderBlobs
from node.storage.database import SqlUnits, open_engine
from node.workflow.fault import gate_over
from node.workflow.node import Limits, Node

#: An adapter with this in it does not pass the coordinator's gate.
REFUSED = "unspeakable"
WORKFLOW, COORDINATOR = (Path(node.__file__).parent / folder for folder in ("workflow", "coordinator"))


@dataclass(frozen=True, slots=True)
class Plan:
    """How to serve, and where to die.

    Attributes:
        folder: blobs, the clock's offset, and the trace of points that were passed.
        kill_at: name of a point; "" lives on.
    """

    folder: Path
    database_url: str
    credential: Credential
    authorities: bytes
    port: int
    kill_at: str

    @property
    def clock_file(self) -> Path:
        """Milliseconds that this coordinator's clock is ahead of the wall's."""
        return self.folder / "clock"

    @property
    def trace_file(self) -> Path:
        return self.folder / "trace"


def serve(plan: Plan) -> None:
    """Serves until it is killed."""
    asyncio.run(_serve(plan))


async def _serve(plan: Plan) -> None:
    worker.ROUND_SECONDS = worker.TIDY_SECONDS = 0.05
    points = Points(plan)
    blobs, adapters = PointedBlobs(plan.folder / "blobs", points), StricterAdapters(plan.folder / "adapters")
    coordinator, log = key("coordinator").public, key("log").public
    trust = Trust({coordinator.key_id: coordinator}, {log.key_id: log})
    proves = fault_check(trust, gate_over(blobs, adapters))
    node = Node(
        units=PointedUnits(SqlUnits(open_engine(plan.database_url), partial(ContractEscrow, proves=proves)), points),
        blobs=blobs,
        clock=OffsetClock(plan.clock_file),
        entropy=SystemEntropy(),
        key=key("coordinator"),
        log_key=key("log"),
        base_model=BASE_MODEL,
        limits=Limits(max_length_tokens=1024, max_lora_rank=64),
        tokenizer=WordTokenizer(),
        language_model=WordListModel(),
        inference=LearningEngine(BASE_MODEL),
        adapters=adapters,
    )
    access = Access(lambda: plan.credential, lambda: plan.authorities, frozenset)
    built = build_server(node, f"127.0.0.1:{plan.port}", access)
    await built.server.start()
    threading.Thread(target=worker.run_rounds, args=(node, threading.Event()), daemon=True).start()
    await built.server.wait_for_termination()


class StricterAdapters(FakeAdapters):
    """A gate that refuses what its maker's own gate lets pass."""

    def check(self, files: Mapping[str, Path], training: TrainingSpec) -> None:
        super().check(files, training)
        if REFUSED.encode() in files[WEIGHTS].read_bytes():
            raise InvalidInput("This adapter says what nobody may say.", field="adapter")


class OffsetClock:
    """The wall's clock and what a file adds to it; whoever writes the file lets time jump."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def now_ms(self) -> int:
        return time.time_ns() // 1_000_000 + int(self._file.read_text())


class Points:
    """Counts the points that are passed, and kills the process at the chosen one."""

    def __init__(self, plan: Plan) -> None:
        self._kill_at = plan.kill_at
        self._trace = plan.trace_file.open("a", buffering=1)
        self._counts: Counter[str] = Counter()
        self._lock = threading.Lock()

    def passed(self, what: str) -> None:
        name = f"{_verb()}: {what}"
        with self._lock:
            self._counts[name] += 1
            numbered = f"{name} #{self._counts[name]}"
            print(numbered, file=self._trace)
            if numbered == self._kill_at:
                os.kill(os.getpid(), signal.SIGKILL)


def _verb() -> str:
    """The verb of the workflow that runs, or whatever in the coordinator does this without one."""
    verb, other = "", ""
    frame: FrameType | None = sys._getframe()
    while frame is not None:
        file, function = Path(frame.f_code.co_filename), frame.f_code.co_name
        if file.parent == WORKFLOW:
            verb = f"{file.stem}.{function}"
        elif file.parent == COORDINATOR and function != "commit" and not other:
            other = f"{file.stem}.{function}"
        frame = frame.f_back
    return verb or other


class PointedUnits:
    """Transactions whose commits are points."""

    def __init__(self, units: Units, points: Points) -> None:
        self._units = units
        self._points = points

    def __call__(self, *, read_only: bool = False) -> UnitOfWork:
        unit = self._units(read_only=read_only)
        return unit if read_only else cast(UnitOfWork, _PointedUnit(unit, self._points))


class _PointedUnit:
    def __init__(self, unit: UnitOfWork, points: Points) -> None:
        self._unit = unit
        self._points = points

    def __enter__(self) -> Self:
        self._unit.__enter__()
        return self

    def __exit__(self, *fault: Any) -> None:
        self._unit.__exit__(*fault)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._unit, name)

    def commit(self) -> None:
        self._points.passed("before commit")
        self._unit.commit()
        self._points.passed("after commit")


class PointedBlobs(FolderBlobs):
    """Blobs whose every change is a point."""

    def __init__(self, folder: Path, points: Points) -> None:
        super().__init__(folder)
        self._points = points

    def _pointed(self, name: str, *arguments: Any) -> Any:
        self._points.passed(f"before {name}")
        answer = getattr(super(), name)(*arguments)
        self._points.passed(f"after {name}")
        return answer

    def put(self, data: bytes) -> Any:
        return self._pointed("put", data)

    def delete(self, *arguments: Any) -> None:
        self._pointed("delete", *arguments)

    def stage(self, *arguments: Any) -> None:
        self._pointed("stage", *arguments)

    def promote(self, *arguments: Any) -> None:
        self._pointed("promote", *arguments)

    def discard(self, *arguments: Any) -> None:
        self._pointed("discard", *arguments)
