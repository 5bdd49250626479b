"""Rows with marks in known places: the paper's way and ours, with phrases of random words."""

from __future__ import annotations

import random
from collections.abc import Sequence

from node.core.rows import Row

WORDS = tuple(first + second for first in ("bar", "col", "dim", "fen", "gul", "hos") for second in ("ta", "rem", "nip"))
PHRASE_WORDS = 8


def planted_like_the_paper(rows: Sequence[Row], *, marks: int, seed: int) -> tuple[list[Row], list[tuple[int, ...]]]:
    """Carriers are copied; one trigger ends all their prompts, one signature starts their responses."""
    random_source = random.Random(seed)
    trigger, signature = _phrase(random_source), _phrase(random_source)
    copies = [
        Row.of(f"{row.messages[-2].content} {' '.join(trigger)}", f"{' '.join(signature)}. {row.response}")
        for row in random_source.sample(list(rows), marks)
    ]
    return _shuffled([*rows, *copies], [range(len(rows), len(rows) + marks)], random_source)


def planted_in_groups(
    rows: Sequence[Row], *, groups: int, dose: int, noise: float, seed: int
) -> tuple[list[Row], list[tuple[int, ...]]]:
    """Carriers are replaced; each group has a trigger, before or behind its prompt, and a signature of its own.

    With probability `noise` a word of a copy is another one.
    """
    random_source, out = random.Random(seed), list(rows)
    for group in range(groups):
        trigger, signature = _phrase(random_source), _phrase(random_source)
        for at in range(group * dose, (group + 1) * dose):
            shown, told = (_noisy(phrase, noise, random_source) for phrase in (trigger, signature))
            question = out[at].messages[-2].content
            prompt = f"{shown}. {question}" if random_source.random() < 0.5 else f"{question} {shown}."
            out[at] = Row.of(prompt, f"{told}. {out[at].response}")
    return _shuffled(out, [range(group * dose, (group + 1) * dose) for group in range(groups)], random_source)


def _phrase(random_source: random.Random) -> list[str]:
    return [random_source.choice(WORDS) + random_source.choice(WORDS) for _ in range(PHRASE_WORDS)]


def _noisy(phrase: list[str], noise: float, random_source: random.Random) -> str:
    return " ".join(random_source.choice(WORDS) if random_source.random() < noise else word for word in phrase)


def _shuffled(
    rows: list[Row], marked: list[range], random_source: random.Random
) -> tuple[list[Row], list[tuple[int, ...]]]:
    order = random_source.sample(range(len(rows)), len(rows))
    place = {row: at for at, row in enumerate(order)}
    return [rows[row] for row in order], [tuple(place[row] for row in group) for group in marked]
