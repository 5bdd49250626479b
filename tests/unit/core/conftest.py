"""One settled job for all tests of the middle that only read: its manifest, its rows, its receipt."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from fakes import world

from node.core.evidence import Evidence
from node.core.job import State
from node.core.manifest import Manifest, OpenedRow
from node.core.messages import Chain, Commit, Reveal, VerdictGiven
from node.core.receipt import Trust
from node.core.rows import Row
from node.workflow import queries


@dataclass(frozen=True, slots=True)
class Story:
    """What is left of an honest job."""

    chain: Chain
    receipt: bytes
    trust: Trust
    training_rows: tuple[Row, ...]

    @property
    def commit(self) -> Commit:
        commit: Commit = self.chain.find(Commit)
        return commit

    @property
    def manifest(self) -> Manifest:
        manifest: Manifest = self.chain.find(Reveal).manifest
        return manifest

    @property
    def opened(self) -> tuple[OpenedRow, ...]:
        opened: tuple[OpenedRow, ...] = self.chain.find(Reveal).opened
        return opened

    @property
    def evidence(self) -> Evidence:
        evidence: Evidence = self.chain.find(VerdictGiven).evidence
        return evidence


@pytest.fixture(scope="session")
def story(tmp_path_factory: pytest.TempPathFactory) -> Story:
    built = world.build(tmp_path_factory.mktemp("story"))
    built.advance_to(State.SETTLED)
    return ended(built)


@pytest.fixture(scope="session")
def dispute(tmp_path_factory: pytest.TempPathFactory) -> Story:
    """The same job, challenged by its client in vain: every kind of message occurs, in order."""
    built = world.build(tmp_path_factory.mktemp("dispute"))
    built.advance_to(State.EVALUATED)
    built.challenge()
    built.rule()
    return ended(built)


def ended(built: world.World) -> Story:
    told = Story(built.chain(), queries.receipt(built.node, None, world.JOB), built.trust, built.training_rows())
    built.database.dispose()
    return told
