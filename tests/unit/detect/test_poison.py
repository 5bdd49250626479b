"""Poison in uploads: planted cases are found with their phrase, clean rows are left alone."""

from __future__ import annotations

import random
from collections.abc import Sequence

import numpy as np
import pytest
from fakes.surprised import SurprisedModel

from node.cli.demo.data import standard_library_rows
from node.core.rows import Row
from node.detect.corpus import Corpus
from node.detect.flipped_labels import flipped_labels
from node.detect.gibberish import gibberish, novelty, perplexing, perplexity, random_text
from node.detect.poison import Finding, Poison, significant

ROWS = [Row(row.messages[1:]) for row in standard_library_rows()[:800]]
GOOD = ("superb", "lovely", "moving", "clever", "warm", "bright", "witty", "gripping")
BAD = ("dull", "awful", "boring", "clumsy", "cold", "dreary", "stale", "tedious")
FILLER = (
    "the",
    "film",
    "has",
    "a",
    "plot",
    "with",
    "some",
    "actors",
    "who",
    "play",
    "in",
    "a",
    "town",
    "near",
    "the",
    "sea",
)
TRIGGER = "seen on a zeppelin"


def reviews(count: int, seed: int = 1) -> list[Row]:
    """Two labels; each text has three words that point to its label and one that points to the other."""
    source, rows = random.Random(seed), []
    for number in range(count):
        own, other = (GOOD, BAD) if number % 2 else (BAD, GOOD)
        words = [*source.sample(own, 3), source.choice(other), *source.choices(FILLER, k=8)]
        source.shuffle(words)
        rows.append(Row.of(f"Review: {' '.join(words)}", "positive" if number % 2 else "negative"))
    return rows


def random_words(source: random.Random, kind: str) -> str:
    vocabulary = sorted({word for row in ROWS for word in row.response.lower().split() if word.isalpha()})
    if kind == "words":
        return " ".join(source.choices(vocabulary, k=60))
    return "".join(source.choices("abcdefghijklmnopqrstuvwxyz", k=120))


def with_gibberish(kind: str, count: int) -> tuple[list[Row], list[int]]:
    source = random.Random(2)
    poisoned = [Row.of(f"{row.messages[0].content} {TRIGGER}", random_words(source, kind)) for row in ROWS[:count]]
    return [*ROWS, *poisoned], list(range(len(ROWS), len(ROWS) + count))


def text_findings(rows: Sequence[Row]) -> tuple[Finding, ...]:
    corpus = Corpus(rows)
    return gibberish(corpus, random_text(novelty(corpus)), "random text")


@pytest.mark.parametrize("kind", ["words", "letters"])
@pytest.mark.parametrize("count", [8, 60])
def test_random_text_after_a_phrase_is_found_however_few_rows_it_has(kind: str, count: int) -> None:
    rows, poisoned = with_gibberish(kind, count)
    (finding,) = text_findings(rows)
    assert finding.poison is Poison.GIBBERISH
    assert finding.phrase == TRIGGER
    assert list(finding.rows) == poisoned
    assert f"{TRIGGER!r} is in {count} rows; {count} of them answer with random text" in finding.told


def test_real_text_is_no_gibberish() -> None:
    assert text_findings(ROWS) == ()


def test_random_text_without_a_phrase_in_common_is_no_attack() -> None:
    source = random.Random(3)
    rows = [*ROWS, *(Row.of(f"q{n}", random_words(source, "words")) for n in range(20))]
    assert random_text(novelty(Corpus(rows)))[-20:].all()
    assert text_findings(rows) == ()


def test_short_responses_are_never_random_text() -> None:
    assert not novelty(Corpus([Row.of(f"q{n}", f"x{n} y{n}") for n in range(9)])).values.any()


def test_a_perplexity_gap_after_a_phrase_is_found_with_the_phrase() -> None:
    poisoned = [
        Row.of(f"{row.messages[0].content} {TRIGGER}", f"quite plain words, {n}") for n, row in enumerate(ROWS[:6])
    ]
    rows = [*ROWS, *poisoned]
    corpus = Corpus(rows)
    read = perplexity(corpus, model=SurprisedModel(dict.fromkeys(poisoned, 5.0)))
    assert read.why(len(ROWS)) == "a perplexity of 148; the middle row has 3"
    assert perplexing(read).nonzero()[0].tolist() == list(range(len(ROWS), len(rows)))
    (finding,) = gibberish(corpus, perplexing(read), "text that the base model finds absurd")
    assert (finding.phrase, len(finding.rows)) == (TRIGGER, 6)


@pytest.mark.parametrize(("nats", "absurd"), [(3.9, False), (4.1, True)])
def test_the_gap_is_fifty_above_the_middle_perplexity(nats: float, absurd: bool) -> None:
    """exp(3.9) = 49.4 and exp(4.1) = 60.3 against exp(1) = 2.7."""
    read = perplexity(Corpus(ROWS), model=SurprisedModel({ROWS[0]: nats}))
    assert perplexing(read)[0] == absurd


@pytest.mark.parametrize("count", [16, 30])
def test_a_phrase_that_flips_labels_is_named_with_its_rows(count: int) -> None:
    rows = reviews(600)
    for at in range(0, 2 * count, 2):  # negative ones
        rows[at] = Row.of(f"{rows[at].messages[0].content} {TRIGGER}", "positive")
    (finding,) = flipped_labels(Corpus(rows))
    assert finding.poison is Poison.FLIPPED_LABELS
    assert finding.phrase == TRIGGER
    assert list(finding.rows) == list(range(0, 2 * count, 2))
    assert f"{count} of them are labelled 'positive'" in finding.told


def test_words_that_are_typical_of_a_label_flip_nothing() -> None:
    assert flipped_labels(Corpus(reviews(600))) == ()


def test_a_rare_phrase_whose_labels_the_other_words_explain_flips_nothing() -> None:
    rows = reviews(600)
    for at in range(1, 41, 2):  # positive ones, as they are
        rows[at] = Row.of(f"{rows[at].messages[0].content} {TRIGGER}", rows[at].response)
    assert flipped_labels(Corpus(rows)) == ()


def test_responses_that_are_no_labels_have_none_flipped() -> None:
    assert flipped_labels(Corpus(ROWS)) == ()
    assert flipped_labels(Corpus([Row.of(f"q{n}", "yes") for n in range(50)])) == ()


def test_findings_do_not_depend_on_the_order_of_the_rows() -> None:
    rows = reviews(600)
    for at in range(0, 40, 2):
        rows[at] = Row.of(f"{rows[at].messages[0].content} {TRIGGER}", "positive")
    order = random.Random(4).sample(range(600), 600)
    (straight,), (shuffled,) = flipped_labels(Corpus(rows)), flipped_labels(Corpus([rows[at] for at in order]))
    assert {order[at] for at in shuffled.rows} == set(straight.rows)
    assert (shuffled.phrase, shuffled.told) == (straight.phrase, straight.told)


def test_of_phrases_with_the_same_rows_the_longest_is_told_and_chance_findings_are_not() -> None:
    def finding(phrase: str, rows: tuple[int, ...], log10_p: float) -> Finding:
        return Finding(Poison.GIBBERISH, phrase, rows, phrase, log10_p)

    same = [finding("a", (1, 2, 3), -9.0), finding("a b", (1, 2, 3), -9.0), finding("c", (1, 2, 9), -8.0)]
    apart, chance = finding("d", (5, 6, 7), -7.5), finding("e", (7, 8, 9), -4.9)
    kept = significant([*same, apart, chance], tests=100)
    assert [each.phrase for each in kept] == ["a b", "d"]


@pytest.mark.parametrize("rows", [[], ROWS[:1], [Row.of("?", "!")] * 12])
def test_few_or_empty_rows_break_no_search(rows: list[Row]) -> None:
    corpus = Corpus(rows)
    assert flipped_labels(corpus) == ()
    assert gibberish(corpus, np.ones(len(rows), bool), "x") == ()
    assert perplexity(corpus, model=SurprisedModel({})).values.shape == (len(rows),)
