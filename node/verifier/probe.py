"""Is the adapter really applied? What stands between an engine that ignores adapters and a wrong REJECT.

If base and adapter differ on the probe rows, the adapter is at work. If they agree, it is either untrained or not
applied: a canary adapter must then change the same engine's answers, and the slow reference must agree that *this*
adapter changes nothing. Measures only; the conclusion is `node.core.verdict`'s.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from node.core.evidence import ProbeObservation
from node.core.rows import Row
from node.ports.inference import Adapter


class Scorer(Protocol):
    def log_likelihoods(self, rows: Sequence[Row], *, adapter: Adapter | None) -> list[int]: ...


def adapter_probe(
    rows: Sequence[Row],
    adapter: Adapter,
    *,
    engine: Scorer,
    canary: Callable[[], Adapter],
    reference: Callable[[], Scorer],
) -> ProbeObservation:
    """Scores `rows` on base and adapter; asks for `canary` and `reference` only where the two agree.

    Raises:
        Unavailable: engine or reference could not run.
    """
    base = tuple(engine.log_likelihoods(rows, adapter=None))
    adapted = tuple(engine.log_likelihoods(rows, adapter=adapter))
    if base != adapted:
        return ProbeObservation(base, adapted, None, None, None)
    slow = reference()
    return ProbeObservation(
        base_micronats=base,
        adapter_micronats=adapted,
        canary_micronats=tuple(engine.log_likelihoods(rows, adapter=canary())),
        reference_base_micronats=tuple(slow.log_likelihoods(rows, adapter=None)),
        reference_adapter_micronats=tuple(slow.log_likelihoods(rows, adapter=adapter)),
    )
