"""The demonstration's table and JSON: words of signatures stand beside groups where they decide."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from fakes.world import JOB, POLICY, World, build

from node.cli.demo import report
from node.cli.demo.story import PARTS, Act
from node.core import receipt
from node.core.job import State
from node.core.policy import DecidingTest, Policy
from node.settings import Settings
from node.workflow import queries

BY_WORDS = replace(POLICY, deciding_test=DecidingTest.POSITIONS, accept_at=14, reject_at=8)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    built = build(tmp_path)
    yield built
    built.database.dispose()


def act(world: World, policy: Policy) -> Act:
    world.create(world.offer(policy=policy))
    world.advance_to(State.SETTLED)
    checked = receipt.check(queries.receipt(world.node, None, JOB), world.trust)
    return Act(PARTS[0], JOB, checked, Path("job.receipt.json"), (0, 1), (1, 0))


def test_words_are_shown_where_they_decide(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    report.show([act(world, BY_WORDS)], Settings())
    table = capsys.readouterr().out
    assert re.search(r"groups +words", table)
    assert re.search(r"3/3 +18/18", table)
    assert "words of signatures predicted" in table


def test_the_table_is_narrow_where_groups_decide(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    report.show([act(world, POLICY)], Settings())
    table = capsys.readouterr().out
    assert "3/3" in table
    assert "words" not in table


def test_programs_read_words_always(world: World) -> None:
    (job,) = report.as_json([act(world, POLICY)], Settings())["jobs"]
    assert (job["positions_right"], job["positions"], job["positions_log10_p"]) == (
        18,
        18,
        round(math.log10(4 * 4**-18), 3),
    )
