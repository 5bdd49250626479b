"""The stored log against the whole tree over the same leaves."""

from __future__ import annotations

import pytest
from fakes.heard_statements import heard
from sqlalchemy import Engine

from node.crypto.merkle import EMPTY_ROOT, Tree, leaf_hash
from node.errors import InvalidInput
from node.settlement.escrow import ContractEscrow
from node.storage.database import SqlUnits

LEAVES = [b"leaf %d" % number for number in range(70)]
SIZES = (1, 2, 3, 7, 8, 9, 63, 64, 65, 70)


@pytest.fixture
def units(engine: Engine) -> SqlUnits:
    """A log of seventy leaves, appended by several transactions."""
    begun = SqlUnits(engine, ContractEscrow)
    for start in range(0, len(LEAVES), 10):
        with begun() as unit:
            for number, leaf in enumerate(LEAVES[start : start + 10], start):
                assert unit.log.append(leaf) == number
            unit.commit()
    return begun


def test_an_empty_log_has_the_root_of_nothing(engine: Engine) -> None:
    with SqlUnits(engine, ContractEscrow)(read_only=True) as unit:
        assert unit.log.size() == 0
        assert unit.log.root(0) == EMPTY_ROOT
        assert unit.log.consistency(0, 0) == ()


def test_every_root_and_proof_is_that_of_the_whole_tree(units: SqlUnits) -> None:
    with units(read_only=True) as unit:
        assert unit.log.size() == 70
        for size in SIZES:
            tree = Tree(LEAVES[:size])
            assert unit.log.root(size) == tree.root
            for index in range(0, size, 5):
                assert unit.log.inclusion(index, size) == tree.inclusion(index)
            for old in (0, *SIZES):
                if old <= size:
                    assert unit.log.consistency(old, size) == tree.consistency(old)
        assert unit.log.leaf_hash(69) == leaf_hash(LEAVES[69])


def test_what_this_transaction_appended_counts_and_is_gone_with_it(units: SqlUnits) -> None:
    with units() as unit:
        unit.log.append(b"more")
        assert unit.log.root(71) == Tree([*LEAVES, b"more"]).root
    with units(read_only=True) as unit:
        assert unit.log.size() == 70


def test_nothing_is_proved_of_leaves_that_are_not_there(units: SqlUnits) -> None:
    with units(read_only=True) as unit:
        for refused in (
            lambda: unit.log.root(71),
            lambda: unit.log.root(-1),
            lambda: unit.log.inclusion(70, 70),
            lambda: unit.log.inclusion(-1, 70),
            lambda: unit.log.inclusion(0, 71),
            lambda: unit.log.consistency(1, 71),
            lambda: unit.log.consistency(2, 1),
            lambda: unit.log.consistency(-1, 1),
            lambda: unit.log.leaf_hash(70),
            lambda: unit.log.leaf_hash(-1),
        ):
            with pytest.raises(InvalidInput):
                refused()


def test_a_proof_takes_two_queries_however_long_it_is(units: SqlUnits) -> None:
    with units(read_only=True) as unit, heard(unit.log._connection) as asked:  # type: ignore[attr-defined]
        unit.log.inclusion(33, 70)
        assert len(asked) == 2
        unit.log.consistency(33, 70)
        assert len(asked) == 4
