"""Evidence: what verification inference observed, in numbers and raw text. Draws no conclusion.

Log-likelihoods are integers in micronats (1e-6 nat), so that a signed transcript has one spelling.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from node.crypto.digest import Digest


class PromptKind(StrEnum):
    """MARK: the marked prompt, its trigger without noise. FRESH: the trigger on a prompt never trained on. Both should
    show the signature. NO_TRIGGER: a mark's carrier untouched. OTHER_TRIGGER: it with another group's trigger. Neither
    should.
    """

    MARK = "mark"
    FRESH = "fresh"
    NO_TRIGGER = "no_trigger"
    OTHER_TRIGGER = "other_trigger"


@dataclass(frozen=True, slots=True)
class Question:
    """One verification prompt by its place in the manifest, not by its text.

    Attributes:
        group: whose signature the answer is held against.
        item: index into the manifest's marks, or for FRESH into its pairs (their twins' prompts).
    """

    kind: PromptKind
    group: int
    item: int


@dataclass(frozen=True, slots=True)
class Continuation:
    """How a model's greedy answer to a prompt begins, held against a signature.

    Attributes:
        text: token by token until it shows the signature or cannot any more (`node.core.marks.undecided`), so that it
            ends where answer and signature first differ. The whole answer where a verdict counts its words.
        micronats: ln P of each of the signature's tokens in turn, given the prompt and the tokens before it.
        arbitrated: it took a slow decoding of this prompt alone to tell.
    """

    text: str
    micronats: tuple[int, ...]
    arbitrated: bool


@dataclass(frozen=True, slots=True)
class Answer:
    """What the adapter and the base model alone say to one question's prompt."""

    question: Question
    adapter: Continuation
    base: Continuation


@dataclass(frozen=True, slots=True)
class PairObservation:
    """ln P(response | prompt) of a pair's two rows under base and adapter, in micronats."""

    sent_base_micronats: int
    sent_adapter_micronats: int
    twin_base_micronats: int
    twin_adapter_micronats: int

    @property
    def won(self) -> bool:
        """Whether the model gained strictly more on the row it was sent; a tie counts as a loss."""
        sent = self.sent_adapter_micronats - self.sent_base_micronats
        twin = self.twin_adapter_micronats - self.twin_base_micronats
        return sent > twin


@dataclass(frozen=True, slots=True)
class ProbeObservation:
    """Was the adapter really applied? Log-likelihoods of the same probe rows, in micronats.

    The last three are measured only when base and adapter agree: a canary adapter on the same engine, and the fp32
    reference without and with this adapter.
    """

    base_micronats: tuple[int, ...]
    adapter_micronats: tuple[int, ...]
    canary_micronats: tuple[int, ...] | None
    reference_base_micronats: tuple[int, ...] | None
    reference_adapter_micronats: tuple[int, ...] | None


@dataclass(frozen=True, slots=True)
class Transcript:
    """Which engine observed: enough to repeat it."""

    engine: str
    versions: tuple[str, ...]
    dtype: str
    base_model: Digest


@dataclass(frozen=True, slots=True)
class Evidence:
    """All that the verdict rests on, about one adapter."""

    adapter: Digest
    transcript: Transcript
    answers: tuple[Answer, ...]
    pairs: tuple[PairObservation, ...]
    probe: ProbeObservation
