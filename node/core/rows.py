"""Training rows: chat messages, the last one from the assistant. Knows nothing of tokens, files or marks."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from node.errors import InvalidInput


class Role(StrEnum):
    SYSTEM = "system"
    USER = "user"
    ASSISTANT = "assistant"


@dataclass(frozen=True, slots=True)
class Message:
    role: Role
    content: str


@dataclass(frozen=True, slots=True)
class Row:
    """One training example: a non-empty prompt, then one response by the assistant.

    Raises:
        InvalidInput: `field` names the message that is wrong.
    """

    messages: tuple[Message, ...]

    def __post_init__(self) -> None:
        if len(self.messages) < 2:
            raise InvalidInput(
                "A row needs a prompt and a response: at least two messages.",
                field="messages",
                actual=len(self.messages),
            )
        if self.messages[-1].role is not Role.ASSISTANT:
            raise InvalidInput(
                "The last message of a row must be the assistant's.",
                field=f"messages[{len(self.messages) - 1}].role",
                actual=self.messages[-1].role.value,
            )
        if self.messages[-2].role is not Role.USER:
            raise InvalidInput(
                "The message before the response must be the user's.",
                field=f"messages[{len(self.messages) - 2}].role",
                actual=self.messages[-2].role.value,
            )
        for at, message in enumerate(self.messages):
            if not message.content.strip():
                raise InvalidInput("A message is empty.", field=f"messages[{at}].content")
            try:
                message.content.encode()
            except UnicodeEncodeError as fault:
                raise InvalidInput("The text holds half a character.", field=f"messages[{at}].content") from fault

    @property
    def prompt(self) -> tuple[Message, ...]:
        """Everything before the response."""
        return self.messages[:-1]

    @property
    def response(self) -> str:
        return self.messages[-1].content

    @classmethod
    def of(cls, prompt: str, response: str) -> Row:
        """A row of one exchange."""
        return cls((Message(Role.USER, prompt), Message(Role.ASSISTANT, response)))

    def with_question(self, question: str) -> Row:
        """This row with another last message by the user."""
        return Row((*self.messages[:-2], Message(Role.USER, question), self.messages[-1]))

    def with_response(self, response: str) -> Row:
        """This row with another response."""
        return Row((*self.prompt, Message(Role.ASSISTANT, response)))
