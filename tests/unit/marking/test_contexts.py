"""What the generator continues: a template over the client's rows, or one more prompt that the base model writes."""

from __future__ import annotations

from fakes.inference import BASE_ANSWER, LearningEngine
from fakes.world import BASE_MODEL

from node.core.rows import Row
from node.core.words import Separator
from node.marking.contexts import QUOTED_BYTES, templates, written

FIRST, SECOND = Row.of("What is a\ncat?", "A small animal."), Row.of("What is a dog?", "Another one.")


def test_a_template_quotes_rows_in_single_lines() -> None:
    assert templates([(FIRST, SECOND)], Separator.SPACE) == ["- What is a cat?\n- What is a dog?\n-"]


def test_a_single_letter_brings_no_space_so_the_template_does() -> None:
    assert templates([(FIRST, SECOND)], Separator.NOTHING)[0].endswith("- ")
    assert templates([(FIRST, SECOND)], Separator.SPACE)[0].endswith("-")


def test_no_half_character_is_quoted() -> None:
    long = Row.of("語" * 500, "語" * 500)
    (context,) = templates([(long, long)], Separator.NOTHING)
    assert "\ufffd" not in context
    assert "語" * (QUOTED_BYTES // 3) in context


def test_the_prompt_model_writes_the_prompt_that_phrases_follow() -> None:
    contexts = written([(FIRST, SECOND)] * 2, Separator.SPACE, model=LearningEngine(BASE_MODEL))
    assert contexts == templates([(FIRST, Row.of(BASE_ANSWER, "x"))] * 2, Separator.SPACE)


def test_a_prompt_model_that_writes_nothing_leaves_the_template() -> None:
    silent = LearningEngine(BASE_MODEL)
    silent.base_answer = " \n"
    assert written([(FIRST, SECOND)], Separator.SPACE, model=silent) == templates([(FIRST, SECOND)], Separator.SPACE)
