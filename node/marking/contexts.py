"""What the generator model continues with a trigger: prompts of the client's rows, so that it reads like one of them.

Knows nothing of draws.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from node.core.rows import Message, Role, Row
from node.core.words import Separator
from node.ports.inference import Inference

#: So much of a text is quoted: contexts must fit into the model beside the phrase, and no byte is two tokens.
QUOTED_BYTES = 140
#: The longest prompt that the prompt model writes.
WRITTEN_TOKENS = 64


WriteContexts = Callable[[Sequence[tuple[Row, Row]], Separator], list[str]]
"""One group's context from each two rows that are neither carriers nor in pairs."""


def templates(samples: Sequence[tuple[Row, Row]], separator: Separator) -> list[str]:
    """The template: a list of both rows' prompts that has begun its next item."""
    end = "" if separator is Separator.SPACE else " "  # a word of letters brings its space, a single letter does not
    return [f"- {_prompt(first)}\n- {_prompt(second)}\n-{end}" for first, second in samples]


def written(samples: Sequence[tuple[Row, Row]], separator: Separator, *, model: Inference) -> list[str]:
    """The paper's prompt model: the base model reads each two rows' prompts, and its own takes the second one's place.

    Where it writes nothing, the row's prompt stays. Raises Unavailable if the model could not be asked.
    """
    asked = [
        f"- {_prompt(first)}\n- {_prompt(second)}\nWrite one more like these, and nothing else."
        for first, second in samples
    ]
    prompts = [(Message(Role.USER, text),) for text in asked]
    answers = model.complete(prompts, adapter=None, max_new_tokens=WRITTEN_TOKENS)
    return templates(
        [
            (first, second.with_question(answer) if answer.strip() else second)
            for (first, second), answer in zip(samples, answers, strict=True)
        ],
        separator,
    )


def _prompt(row: Row) -> str:
    return _quoted(row.messages[-2].content)


def _quoted(text: str) -> str:
    """One line of the text's beginning."""
    return " ".join(text[:QUOTED_BYTES].split()).encode()[:QUOTED_BYTES].decode(errors="ignore")
