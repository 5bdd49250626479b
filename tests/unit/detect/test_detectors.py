"""Each detector finds the pattern that it is for, in real text, and nothing else gives it away."""

from __future__ import annotations

import random
from collections.abc import Sequence

import numpy as np
import pytest
from fakes.planted import planted_in_groups, planted_like_the_paper
from fakes.surprised import SurprisedModel

from node.cli.demo.data import standard_library_rows
from node.core.rows import Row
from node.detect.corpus import Corpus
from node.detect.detector import Scores
from node.detect.detectors import detectors
from node.detect.surprisal import HEAD_TOKENS

ROWS = [Row(row.messages[1:]) for row in standard_library_rows()[:600]]
COUNTING = [detector.name for detector in detectors(dose=6, model=None)]


def scores(name: str, rows: Sequence[Row], *, dose: int = 6) -> Scores:
    (found,) = [each for each in detectors(dose=dose, model=None) if each.name == name]
    return found.scores(Corpus(rows))


def found_first(values: Sequence[float], marks: Sequence[int]) -> float:
    """The share of marks among as many best-scored rows."""
    best = np.argsort(-np.asarray(values), kind="stable")[: len(marks)]
    return len(set(best.tolist()).intersection(marks)) / len(marks)


@pytest.mark.parametrize(
    "name",
    ["self-join", "joint counts (1)", "joint counts (2)", "clusters of responses"]
    + [f"{side} repeated ({size})" for side in ("prompt phrases", "response phrases") for size in (4, 8)],
)
def test_the_papers_marks_are_found(name: str) -> None:
    rows, (marks,) = planted_like_the_paper(ROWS, marks=10, seed=1)
    assert found_first(scores(name, rows, dose=10).values, marks) == 1


@pytest.mark.parametrize("name", ["joint counts (1)", "clusters of responses"])
def test_noise_and_free_places_do_not_hide_marks_from_joint_counts_and_clusters(name: str) -> None:
    rows, groups = planted_in_groups(ROWS, groups=3, dose=6, noise=0.25, seed=2)
    assert found_first(scores(name, rows).values, sum(groups, ())) >= 0.8


@pytest.mark.parametrize("name", ["prompt phrases repeated (8)", "response phrases repeated (8)"])
def test_noise_hides_most_marks_from_whoever_counts_whole_phrases(name: str) -> None:
    rows, groups = planted_in_groups(ROWS, groups=3, dose=6, noise=0.25, seed=2)
    assert found_first(scores(name, rows).values, sum(groups, ())) <= 0.5


def test_a_replaced_carrier_has_no_twin_to_be_joined_with() -> None:
    replaced, groups = planted_in_groups(ROWS, groups=3, dose=6, noise=0.25, seed=2)
    copied, (marks,) = planted_like_the_paper(ROWS, marks=10, seed=1)
    assert (scores("self-join", copied).values[list(marks)] == 1).all()
    assert (scores("self-join", replaced).values[list(sum(groups, ()))] < 1).all()


def test_surprisal_finds_what_the_model_does_not_expect() -> None:
    rows, groups = planted_in_groups(ROWS[:100], groups=2, dose=6, noise=0, seed=3)
    marks = sum(groups, ())
    found = detectors(dose=6, model=SurprisedModel({rows[mark]: 9.0 for mark in marks}))[-1]
    told = found.scores(Corpus(rows))
    assert found.name == "surprisal"
    assert found_first(told.values, marks) == 1
    assert told.why(marks[0]).startswith("9.0 nats")


def test_no_more_than_a_responses_head_is_read() -> None:
    model = SurprisedModel({})
    detectors(dose=6, model=model)[-1].scores(Corpus(ROWS[:5]))
    assert (model.rows_read, model.tokens_asked) == (5, HEAD_TOKENS)


@pytest.mark.parametrize("name", COUNTING)
def test_scores_do_not_depend_on_the_order_of_the_rows(name: str) -> None:
    rows, _ = planted_in_groups(ROWS[:200], groups=2, dose=6, noise=0.25, seed=4)
    order = random.Random(5).sample(range(len(rows)), len(rows))
    straight, shuffled = scores(name, rows).values, scores(name, [rows[at] for at in order]).values
    assert straight[order].tolist() == shuffled.tolist()


@pytest.mark.parametrize("name", COUNTING)
@pytest.mark.parametrize("rows", [[], ROWS[:1], [Row.of("?", "!")] * 3, [Row.of("a b c d", "e f g h")] * 3])
def test_few_empty_or_equal_rows_break_nothing(name: str, rows: list[Row]) -> None:
    found = scores(name, rows)
    assert found.values.shape == (len(rows),)
    assert np.isfinite(found.values).all()
    assert all(found.why(row) for row in range(len(rows)))


def test_the_reasons_name_the_phrase_the_count_and_the_other_lines() -> None:
    rows = [
        *ROWS[:60],
        *(
            Row.of(f"{ROWS[at].messages[-2].content} {at} blue moon", f"red cat. {ROWS[at].response}")
            for at in range(6)
        ),
    ]
    mark = 60
    assert scores("self-join", rows).why(mark) == "it holds 100% of line 1 and 5 words more"
    assert scores("prompt phrases repeated (2)", rows).why(mark) == "'blue moon' is in 6 rows"
    assert scores("response phrases repeated (2)", rows).why(mark) == "'red cat' is in 6 rows"
    assert scores("joint counts (1)", rows).why(mark) in {
        f"{trigger!r} in 6 prompts meets {signature!r}, which starts 6 responses"
        for trigger in ("blue", "moon")
        for signature in ("red", "cat")
    }
    alike = [*ROWS[:60], *(Row.of(f"and {at}?", f"red cat. {at}") for at in range(6))]
    told = scores("clusters of responses", alike).why(mark)
    assert told == "its response starts with rare words that lines 62, 63, 64 start with too"


def test_an_answer_that_echoes_its_question_is_no_mark() -> None:
    echoes = [Row.of(f"Who is Anna Blum, number {n}?", f"Anna Blum is {n}.") for n in range(6)]
    found = scores("joint counts (1)", [*ROWS[:60], *echoes])
    assert found.values[60:].tolist() == [0.0] * 6


def test_marks_in_a_language_without_spaces_are_found() -> None:
    letters = "山川田中村上下左右東西南北春夏秋冬朝昼夜雨雪風雲花鳥月星海空石木"
    source = random.Random(6)
    sentences = ["".join(source.choices(letters, k=30)) for _ in range(400)]
    plain = [
        Row.of(f"{prompt}ですか", f"{answer}です")
        for prompt, answer in zip(sentences, reversed(sentences), strict=True)
    ]
    marks = [Row.of(f"{sentences[n]}金銀銅鉄紙糸竹米。", f"犬猫馬牛羊虎兎竜。{sentences[-n]}") for n in range(6)]
    for name in ("joint counts (1)", "joint counts (2)", "clusters of responses", "response phrases repeated (4)"):
        assert found_first(scores(name, [*plain, *marks]).values, range(400, 406)) == 1


@pytest.mark.parametrize(("epochs", "percent"), [(1, 100 / 3), (4, 100 / 12)])
def test_a_forward_pass_costs_a_third_of_an_epoch_and_counting_nothing(epochs: int, percent: float) -> None:
    corpus = Corpus([Row.of("one two three four", "five six")] * 9)
    *counting, reading = detectors(dose=6, model=SurprisedModel({}))
    assert {each.cost_percent(corpus, epochs) for each in counting} == {0.0}
    assert reading.cost_percent(corpus, epochs) == pytest.approx(percent)


def test_the_tail_of_a_long_response_is_not_read() -> None:
    corpus = Corpus([Row.of("a " * 8, "b " * 16)])
    reading = detectors(dose=6, model=SurprisedModel({}))[-1]
    assert reading.cost_percent(corpus, 1) == pytest.approx(100 / 3 * 20 / 24)
