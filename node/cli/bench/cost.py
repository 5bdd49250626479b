"""What verifying costs beside training, for the default policy: computed from the rates of a run. Measures nothing."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from node.core.policy import Policy
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


def cost_of(
    calls: Iterable[Call],
    policy: Policy,
    *,
    prompt_tokens: int,
    pair_tokens: int,
    row_tokens: float,
    training_tokens_per_second: float,
) -> Cost:
    """The cost for a job of JOB_ROWS rows and JOB_EPOCHS epochs.

    Args:
        calls: one verdict's by `policy`, as measured.
        prompt_tokens, pair_tokens: distinct ones in its prompts, with the signatures behind them, and in its pairs.
        row_tokens: mean length of the job's rows.
    """
    default = Policy()
    prompts = _prompts(default) / _prompts(policy)
    pairs = default.pairs / policy.pairs
    factors = {"log_likelihoods": pairs, "probe": 1.0}
    scaled = [(call, factors.get(call.method, prompts)) for call in calls]
    trained = JOB_ROWS * JOB_EPOCHS * row_tokens
    asked = 2 * (prompts * prompt_tokens + pairs * pair_tokens)  # on adapter and on base model
    return Cost(
        tuple(
            replace(call, sequences=round(factor * call.sequences), seconds=factor * call.seconds)
            for call, factor in scaled
        ),
        training_seconds=trained / training_tokens_per_second,
        least_percent=100 * asked / (TRAINING_PASSES * trained),
    )


def _prompts(policy: Policy) -> int:
    return asked_rows(policy) - 2 * policy.pairs
