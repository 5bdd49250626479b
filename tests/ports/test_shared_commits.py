"""Writers that follow one another at once share a commit, and nothing else."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import Engine, event, exc

from node.errors import Unavailable
from node.ports.unit_of_work import UnitOfWork
from node.settlement.escrow import ContractEscrow
from node.storage import transactions
from node.storage.database import SqlUnits

PATIENCE_SECONDS = 30

Part = Callable[[UnitOfWork], None]


@pytest.fixture
def units(engine: Engine) -> SqlUnits:
    return SqlUnits(engine, ContractEscrow)


@pytest.fixture
def commits(engine: Engine) -> list[int]:
    """One entry for each."""
    counted: list[int] = []
    event.listen(engine, "commit", lambda _connection: counted.append(1))
    return counted


def leaf(unit: UnitOfWork) -> None:
    unit.log.append(b"leaf")


def changes_its_mind(unit: UnitOfWork) -> None:
    leaf(unit)
    raise RuntimeError


def loses_the_transaction(unit: UnitOfWork) -> None:
    unit.log._connection.connection.cursor().execute("ROLLBACK")  # type: ignore[attr-defined]
    raise RuntimeError


def side_by_side(units: SqlUnits, *parts: Part) -> list[BaseException | None]:
    """What each part, a writer of its own, came to. The first one commits when all the others wait, in this order."""
    all_wait = threading.Event()

    def write(part: Part) -> None:
        with units() as unit:
            all_wait.wait(PATIENCE_SECONDS)
            part(unit)
            unit.commit()

    writers = units._writers
    with ThreadPoolExecutor(len(parts)) as pool:
        written = []
        for number, part in enumerate(parts):
            written.append(pool.submit(write, part))
            until(lambda number=number: writers._busy and len(writers._waiting) == number)
        all_wait.set()
        return [each.exception(PATIENCE_SECONDS) for each in written]


def until(there: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not there():
        assert time.monotonic() < deadline
        time.sleep(0.001)


def size(units: SqlUnits) -> int:
    with units(read_only=True) as unit:
        return unit.log.size()


def test_those_who_wait_share_a_commit_with_the_one_that_they_wait_for(units: SqlUnits, commits: list[int]) -> None:
    assert side_by_side(units, *[leaf] * 5) == [None] * 5
    assert (size(units), len(commits)) == (5, 1)


def test_who_waits_for_nobody_commits_alone(units: SqlUnits, commits: list[int]) -> None:
    for _ in range(3):
        assert side_by_side(units, leaf) == [None]
    assert (size(units), len(commits)) == (3, 3)


@pytest.mark.parametrize("place", range(4))
def test_what_one_takes_back_touches_no_other(units: SqlUnits, commits: list[int], place: int) -> None:
    parts = [leaf, leaf, leaf, leaf]
    parts[place] = changes_its_mind
    ended = side_by_side(units, *parts)
    assert [type(each) for each in ended] == [RuntimeError if at == place else type(None) for at in range(4)]
    assert (size(units), len(commits)) == (3, 1)


def test_nobody_waits_for_more_than_so_many_others(
    units: SqlUnits, commits: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transactions, "MOST_SHARING", 2)
    assert side_by_side(units, *[leaf] * 5) == [None] * 5
    assert (size(units), len(commits)) == (5, 3)


def test_a_commit_that_fails_fails_for_all_who_share_it(engine: Engine, units: SqlUnits) -> None:
    def fail(_connection: object) -> None:
        raise exc.OperationalError("COMMIT", {}, OSError("no room on the disk"))

    event.listen(engine, "commit", fail)
    assert [type(each) for each in side_by_side(units, leaf, leaf)] == [Unavailable] * 2
    event.remove(engine, "commit", fail)
    assert size(units) == 0
    assert side_by_side(units, leaf, leaf) == [None, None]
    assert size(units) == 2


@pytest.mark.parametrize("place", [1, 2])
def test_nobody_answers_by_what_another_wrote_before_that_is_safe(engine: Engine, units: SqlUnits, place: int) -> None:
    """A repeated request is answered from the first one's record, without writing anything."""

    def fail(_connection: object) -> None:
        raise exc.OperationalError("COMMIT", {}, OSError("no room on the disk"))

    event.listen(engine, "commit", fail)
    parts = [leaf, leaf, leaf]
    parts[place] = changes_its_mind
    assert [type(each) for each in side_by_side(units, *parts)] == [Unavailable] * 3
    event.remove(engine, "commit", fail)


def test_who_loses_the_transaction_loses_it_for_those_before_and_none_after(units: SqlUnits) -> None:
    before, loser, after = side_by_side(units, leaf, loses_the_transaction, leaf)
    assert isinstance(before, Unavailable)
    assert isinstance(loser, Unavailable)
    assert after is None
    assert size(units) == 1
