from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from node.core.evidence import ProbeObservation
from node.core.rows import Row
from node.crypto.digest import sha256_digest
from node.ports.inference import Adapter
from node.verifier.probe import adapter_probe

ROWS = [Row.of("a", "b"), Row.of("c", "d")]
STRANGERS, CANARY = (Adapter(sha256_digest(name), Path()) for name in (b"stranger's", b"canary"))


class FakeScorer:
    """A model that answers -1 everywhere, and -2 where one of `heeded` is applied."""

    def __init__(self, *heeded: Adapter) -> None:
        self._heeded = heeded

    def log_likelihoods(self, rows: Sequence[Row], *, adapter: Adapter | None) -> list[int]:
        return [-2 if adapter in self._heeded else -1 for _ in rows]


def observe(engine: FakeScorer, reference: FakeScorer) -> ProbeObservation:
    return adapter_probe(ROWS, STRANGERS, engine=engine, canary=lambda: CANARY, reference=lambda: reference)


def never() -> NoReturn:
    raise AssertionError("not needed")


def test_an_adapter_that_shows_asks_for_neither_canary_nor_reference() -> None:
    observed = adapter_probe(ROWS, STRANGERS, engine=FakeScorer(STRANGERS), canary=never, reference=never)
    assert observed == ProbeObservation((-1, -1), (-2, -2), None, None, None)


def test_an_untrained_adapter_is_seen_beside_a_canary_that_shows() -> None:
    observed = observe(FakeScorer(CANARY), FakeScorer())
    assert observed == ProbeObservation((-1, -1), (-1, -1), (-2, -2), (-1, -1), (-1, -1))


def test_an_engine_that_ignores_every_adapter_is_seen_by_its_canary() -> None:
    assert observe(FakeScorer(), FakeScorer(STRANGERS)).canary_micronats == (-1, -1)


def test_an_engine_that_ignores_this_adapter_is_seen_by_the_reference() -> None:
    observed = observe(FakeScorer(CANARY), FakeScorer(STRANGERS))
    assert observed.reference_adapter_micronats != observed.reference_base_micronats
