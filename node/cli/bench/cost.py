"""What verifying costs beside training, for the default policy: computed from the rates of a run. Measures nothing."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate, chain

from node.cli.bench.job import Task
from node.core.policy import Policy
from node.models.chat import ChatTokenizer
from node.verifier.shared_beginnings import distinct
from node.workflow.submit import asked_rows

#: The job whose verification is held against its training.
JOB_ROWS, JOB_EPOCHS = 10_000, 3
#: As costly as a forward pass, in a training step, at most: that pass, the gradients of activations and those of
#: weights, which frozen ones do without.
TRAINING_PASSES = 3


@dataclass(frozen=True, slots=True)
class Call:
    """What a verdict asked of an engine at once."""

    method: str
    on_base: bool
    sequences: int
    seconds: float

    def __str__(self) -> str:
        asked = {"log_likelihoods": "rows of pairs", "probe": "whether the adapter is applied"}
        side = "" if self.method == "probe" else ", on the base model" if self.on_base else ", on the adapter"
        return asked.get(self.method, "prompts") + side


@dataclass(frozen=True, slots=True)
class Cost:
    """Attributes:
    calls: of one verdict by the default policy, with their seconds as computed.
    least_percent: of the training, if both ran at one rate: a forward pass over each distinct token that the default
        policy asks about, on adapter and on base model. No verifier that asks all of it could do with less.
    """

    calls: tuple[Call, ...]
    training_seconds: float
    least_percent: float

    @property
    def seconds(self) -> float:
        return sum(call.seconds for call in self.calls)

    @property
    def percent(self) -> float:
        return 100 * self.seconds / self.training_seconds

    def rows_at(self, percent: float) -> int:
        """Rows of a job whose verification costs this share: a policy asks no more of a larger job."""
        return round(JOB_ROWS * self.percent / percent)


def cost_of(task: Task, calls: Iterable[Call], *, tokens_per_second: float, row_tokens: float) -> Cost:
    """The cost for a job of JOB_ROWS rows and JOB_EPOCHS epochs.

    Args:
        calls: as measured on the task.
        tokens_per_second: of training.
        row_tokens: mean length of the job's rows.
    """
    policy = Policy()
    prompts = _prompts(policy) / _prompts(task.policy)
    pairs = policy.pairs / task.policy.pairs
    times = {"log_likelihoods": pairs, "probe": 1.0}
    scaled = [(call, times.get(call.method, prompts)) for call in calls]
    trained = JOB_ROWS * JOB_EPOCHS * row_tokens
    tokenizer = ChatTokenizer(task.model.folder)
    sides = [tokenizer.encode_row(row) for pair in task.manifest.pairs for row in (pair.sent, pair.twin)]
    asked = prompts * distinct_tokens(prompt_tokens(task)) + pairs * distinct_tokens(
        [row.prompt_ids + row.response_ids for row in sides]
    )
    return Cost(
        tuple(
            replace(call, sequences=round(factor * call.sequences), seconds=factor * call.seconds)
            for call, factor in scaled
        ),
        training_seconds=trained / tokens_per_second,
        least_percent=100 * 2 * asked / (TRAINING_PASSES * trained),
    )


def prompt_tokens(task: Task) -> list[list[int]]:
    """Each prompt with the signature that its answer is held against."""
    tokenizer = ChatTokenizer(task.model.folder)
    return [
        tokenizer.encode_prompt(prompt) + tokenizer.encode_text(signature.text)
        for prompt, signature in zip(task.prompts, task.signatures, strict=True)
    ]


def distinct_tokens(sequences: Sequence[list[int]]) -> int:
    """Tokens, those of equal beginnings once."""
    starts = [0, *accumulate(map(len, sequences))]
    return len(distinct(list(chain.from_iterable(sequences)), starts, [0] * len(sequences))[0])


def _prompts(policy: Policy) -> int:
    return asked_rows(policy) - 2 * policy.pairs
