"""Transactions: readers have one each; writers of a process take turns, and those that follow one another share one.

A commit takes until the disk says that it is safe, and meanwhile nobody else can write. So a writer that commits while
others wait hands its open transaction to the next of them, who goes on behind a savepoint, and the last one commits for
all. Each hears that it has committed when all of them have; what one takes back, it takes back to its savepoint alone,
and hears of that no sooner either, for it has seen what the others wrote, and may answer by it.
Knows no table, and of writers in other processes only that the database has them wait.
"""

from __future__ import annotations

import threading
from collections import deque
from typing import Protocol

from sqlalchemy import Connection, Engine

#: So many writers share a commit at most: the first of them waits for all the others.
MOST_SHARING = 32


class Transaction(Protocol):
    connection: Connection

    def commit(self) -> None:
        """Returns once it is durable; the connection is not to be used any more."""

    def end(self) -> None:
        """Takes back what was not committed. Returns once all that it saw is durable."""


class Reading:
    """A reader's transaction."""

    def __init__(self, engine: Engine) -> None:
        self.connection = _begun(engine)

    def commit(self) -> None:
        self.connection.commit()

    def end(self) -> None:
        self.connection.close()


class Writers:
    """Whose turn it is to write."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._waiting: deque[threading.Event] = deque()
        self._busy = False
        self._lock = threading.Lock()
        self._shared: _Shared | None = None  # of the writers whose turns are over, for the one whose turn it is

    def begin(self, wait_seconds: float) -> Writing:
        """A transaction, once it is this writer's turn.

        Raises:
            TimeoutError: the turn did not come in time.
        """
        self._take_turn(wait_seconds)
        shared, self._shared = self._shared, None
        try:
            if shared is None:
                shared = _Shared(self._engine)
            else:
                shared.save()
        except BaseException as fault:
            self.pass_turn(shared, fault)
            raise
        return Writing(self, shared)

    def pass_turn(self, shared: _Shared | None, fault: BaseException | None = None) -> None:
        """Gives the turn to the next writer, with the transaction if others wait for its commit; ends it otherwise.

        Args:
            fault: why the transaction cannot go on.
        """
        with self._lock:
            shared_further = shared is not None and fault is None and 0 < shared.members < MOST_SHARING
            if shared_further and self._waiting:
                self._shared = shared
                self._waiting.popleft().set()
                return
        try:
            if shared is not None:
                shared.end(fault)
        finally:
            with self._lock:
                if self._waiting:
                    self._waiting.popleft().set()
                else:
                    self._busy = False

    def _take_turn(self, wait_seconds: float) -> None:
        with self._lock:
            if not self._busy:
                self._busy = True
                return
            turn = threading.Event()
            self._waiting.append(turn)
        if not turn.wait(wait_seconds):
            with self._lock:
                if turn in self._waiting:  # otherwise it came at the last moment
                    self._waiting.remove(turn)
                    raise TimeoutError


class Writing:
    """One writer's part of a transaction."""

    def __init__(self, writers: Writers, shared: _Shared) -> None:
        self.connection = shared.connection
        self._writers = writers
        self._shared = shared
        self._open = True

    def commit(self) -> None:
        self._open = False
        self._shared.members += 1
        self._writers.pass_turn(self._shared)
        self._shared.wait()

    def end(self) -> None:
        if not self._open:
            return
        self._open = False
        fault: BaseException | None = None
        try:
            self._shared.take_back()
        except BaseException as broken:
            fault = broken
            raise
        finally:
            self._writers.pass_turn(self._shared, fault)
        self._shared.wait()


class _Shared:
    """A transaction, and how many `members` wait for its commit. The thread whose turn it is alone uses it."""

    def __init__(self, engine: Engine) -> None:
        self.connection = _begun(engine)
        self.members = 0
        self._fault: BaseException | None = None
        self._ended = threading.Event()

    def save(self) -> None:
        self._say("SAVEPOINT writer")

    def take_back(self) -> None:
        if self.members:  # the first writer's part is all there is: nobody commits that
            self._say("ROLLBACK TO SAVEPOINT writer")

    def end(self, fault: BaseException | None) -> None:
        """Commits for its members, unless there are none or something is wrong, and tells them."""
        try:
            if self.members and fault is None:
                self.connection.commit()
        except BaseException as broken:
            fault = broken
        if fault is not None:
            self.connection.invalidate()  # whatever it is left in, nobody shall meet it again
        self._fault = fault
        self._ended.set()
        self.connection.close()

    def wait(self) -> None:
        """Until it has ended. Raises why it was not committed."""
        self._ended.wait()
        if self._fault is not None:
            raise self._fault

    def _say(self, statement: str) -> None:
        self.connection.connection.cursor().execute(statement)


def _begun(engine: Engine) -> Connection:
    connection = engine.connect()
    try:
        connection.begin()
    except BaseException:
        connection.close()
        raise
    return connection
