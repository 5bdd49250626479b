"""Finds marks by counting: phrases that end several prompts or start several responses (paper, section 6.3).

Costs one pass over the data, no training at all. Knows the policy's public shape, not the manifest.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from node.core.rows import Row


def suspects(rows: Sequence[Row], *, words: int, repeats: int) -> frozenset[int]:
    """Indices of rows whose prompt tail or response head of `words` words is shared by `repeats` rows or more."""
    found: set[int] = set()
    for keys in (
        [tuple(row.messages[-2].content.split()[-words:]) for row in rows],
        [tuple(row.response.split()[:words]) for row in rows],
    ):
        counts = Counter(key for key in keys if len(key) == words)
        found |= {at for at, key in enumerate(keys) if counts[key] >= repeats}
    return frozenset(found)
