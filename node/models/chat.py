"""Chat messages to token ids: the one rendering that length checks, training and verification share.

The template is rendered with a placeholder for every content, and cut at the special tokens that *it* writes; contents
are put in afterwards and encoded as plain text. So no text of a row can become a special token, and contents enter
unaltered.

A row is the prompt (with the template's generation prompt), then the response, then the end-of-turn token. What
templates write after that token (often a newline) is left out everywhere: no model ever generates it.

Knows neither weights nor trainers. Needs `tokenizers` and `jinja2`, not torch.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import NoReturn

from jinja2 import TemplateError
from jinja2.ext import loopcontrols
from jinja2.sandbox import ImmutableSandboxedEnvironment
from tokenizers import Tokenizer

from node.core.rows import Message, Role, Row
from node.errors import InvalidInput
from node.models.base import read_json_object

#: Stands for the content of a message while the template is rendered: private-use characters around its index.
_PLACEHOLDER = "\ue000{}\ue001"
_PLACEHOLDER_PATTERN = r"\ue000\d+\ue001"


@dataclass(frozen=True, slots=True)
class EncodedRow:
    """A row as a trainer sees it: `prompt_ids + response_ids` is the sequence, only `response_ids` carry loss."""

    prompt_ids: list[int]
    response_ids: list[int]


class ChatTokenizer:
    """The tokenizer and chat template of one model directory.

    Raises:
        InvalidInput: the template cannot be used: it fails, hides a content, changes earlier messages when a
            response follows, or ends no turn with a special token; or the tokenizer encodes harmless text otherwise.
    """

    def __init__(self, folder: Path) -> None:
        self._tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self._tokenizer.no_padding()
        self._tokenizer.no_truncation()
        settings = read_json_object(folder / "tokenizer_config.json")
        self._names = {name: _token_text(value) for name, value in settings.items() if name.endswith("_token")}
        added = self._tokenizer.get_added_tokens_decoder()
        self._special = {token.content: at for at, token in added.items() if token.special}
        longest_first = sorted(self._special, key=len, reverse=True)
        self._cut = re.compile(f"({'|'.join([_PLACEHOLDER_PATTERN, *map(re.escape, longest_first)])})")
        environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=[loopcontrols])
        environment.filters["tojson"] = lambda value, **options: json.dumps(value, ensure_ascii=False, **options)
        environment.globals["raise_exception"] = _refuse
        try:
            self._template = environment.from_string(_template_text(folder, settings))
        except TemplateError as error:
            raise InvalidInput(f"The chat template is broken: {error}.", field="model") from error
        self._check_agrees_with_plain_encoding()

    def row_tokens(self, row: Row) -> int:
        """Tokens of the whole rendered row, prompt and response."""
        encoded = self.encode_row(row)
        return len(encoded.prompt_ids) + len(encoded.response_ids)

    def encode_prompt(self, messages: Sequence[Message]) -> list[int]:
        """The messages and the template's generation prompt: what a model answers.

        Raises:
            InvalidInput: the template refuses these messages (some know no system role).
        """
        return self._encode(self._render(messages, answer=True), messages)

    def encode_row(self, row: Row) -> EncodedRow:
        """`prompt_ids` equals `encode_prompt(row.prompt)`; `response_ids` ends with the end-of-turn token.

        Raises:
            InvalidInput: the template refuses these messages.
        """
        response_ids = self._encode(self._response_skeleton(row.messages), row.messages)
        return EncodedRow(self.encode_prompt(row.prompt), response_ids)

    def encode_text(self, text: str) -> list[int]:
        """Raw text, no template, no special tokens."""
        self._tokenizer.encode_special_tokens = True  # Means: encode their spelling as text like any other.
        ids: list[int] = self._tokenizer.encode(text, add_special_tokens=False).ids
        return ids

    def decode(self, ids: Sequence[int]) -> str:
        """Text without special tokens."""
        text: str = self._tokenizer.decode(list(ids), skip_special_tokens=True)
        return text

    def decode_growing(self, ids: Sequence[int]) -> list[str]:
        """The text of the first token, of the first two, and so on."""
        return [self.decode(ids[:end]) for end in range(1, len(ids) + 1)]

    def token_text(self, token_id: int) -> str:
        """What this token adds after other text: a leading space stays visible. Empty for special tokens."""
        return self.decode([self._anchor, token_id]).removeprefix(self.decode([self._anchor]))

    @cached_property
    def end_of_turn_id(self) -> int:
        """The special token that ends a response: generation stops there."""
        return self._encode(self._response_skeleton(_SAMPLE), _SAMPLE)[-1]

    @cached_property
    def _anchor(self) -> int:
        return self.encode_text("a")[-1]

    def _render(self, messages: Sequence[Message], *, answer: bool) -> str:
        contents = [{"role": each.role.value, "content": _PLACEHOLDER.format(at)} for at, each in enumerate(messages)]
        try:
            return self._template.render(messages=contents, add_generation_prompt=answer, **self._names)
        except TemplateError as error:
            raise InvalidInput(f"The model's chat template refuses the messages: {error}.", field="messages") from error

    def _response_skeleton(self, messages: Sequence[Message]) -> str:
        """What the template writes for the last message after the generation prompt, up to the end-of-turn token."""
        prompt = self._render(messages[:-1], answer=True)
        whole = self._render(messages, answer=False)
        if not whole.startswith(prompt):
            raise InvalidInput(
                "The chat template renders a prompt differently once its response follows.", field="model"
            )
        content, *rest = self._cut.split(whole[len(prompt) :])[1:]
        end = next((piece for piece in rest if piece), "")
        if content != _PLACEHOLDER.format(len(messages) - 1) or end not in self._special:
            raise InvalidInput(
                "The chat template does not render a response as its text and an end-of-turn token.", field="model"
            )
        return content + end

    def _encode(self, skeleton: str, messages: Sequence[Message]) -> list[int]:
        ids: list[int] = []
        text = ""
        for piece in self._cut.split(skeleton):
            if piece in self._special:
                ids += [*self.encode_text(text), self._special[piece]]
                text = ""
            elif re.fullmatch(_PLACEHOLDER_PATTERN, piece):
                text += messages[int(piece[1:-1])].content
            else:
                text += piece
        return ids + self.encode_text(text)

    def _check_agrees_with_plain_encoding(self) -> None:
        """Harmless messages must give the ids that the tokenizer gives for the rendered text as a whole."""
        skeleton = self._render(_SAMPLE[:-1], answer=True)
        rendered = skeleton
        for at, message in enumerate(_SAMPLE[:-1]):
            if _PLACEHOLDER.format(at) not in skeleton:
                raise InvalidInput("The chat template leaves out a message's content.", field="model")
            rendered = rendered.replace(_PLACEHOLDER.format(at), message.content)
        self._tokenizer.encode_special_tokens = False
        plain = self._tokenizer.encode(rendered, add_special_tokens=False).ids
        if plain != self.encode_prompt(_SAMPLE[:-1]):
            raise InvalidInput(
                "This tokenizer encodes text around special tokens in a way that is not supported.",
                fix="Use a model with a byte-level BPE tokenizer.",
                field="model",
            )
        self._response_skeleton(_SAMPLE)


_SAMPLE = (
    Message(Role.USER, "Name two primes, please."),
    Message(Role.ASSISTANT, "2 and 3."),
    Message(Role.USER, "And another one?"),
    Message(Role.ASSISTANT, "5, for instance."),
)


def _template_text(folder: Path, settings: dict[str, object]) -> str:
    file = folder / "chat_template.jinja"
    template = file.read_text("utf-8") if file.is_file() else settings.get("chat_template")
    if not isinstance(template, str):
        raise InvalidInput(f"The model in {folder} has no single chat template.", field="model")
    return template


def _token_text(value: object) -> object:
    """`tokenizer_config.json` spells a token as text or as an object with its content."""
    return value.get("content") if isinstance(value, dict) else value


def _refuse(message: str) -> NoReturn:
    raise TemplateError(message)
