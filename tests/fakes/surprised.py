"""A language model that finds chosen rows unlikely: as many nats a token as they were given, and 1 for all others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from fakes.language_model import WordListModel

from node.core.rows import Row

OTHER_NATS = 1.0


class SurprisedModel(WordListModel):
    """`rows_read` counts the rows that it was asked about, `tokens_asked` keeps the last `first`."""

    def __init__(self, nats: Mapping[Row, float]) -> None:
        super().__init__()
        self._nats = nats
        self.rows_read = 0
        self.tokens_asked = 0

    def surprisals(self, rows: Sequence[Row], *, first: int) -> list[list[float]]:
        self.rows_read += len(rows)
        self.tokens_asked = first
        return [[self._nats.get(row, OTHER_NATS)] * min(first, len(row.response)) for row in rows]
