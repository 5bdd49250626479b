"""What a benchmark of the verifier asks about: a small marked job, and an adapter that learned its marks.

The adapter is trained on the marked rows alone: what else it learned changes nothing about what verifying it costs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from node.cli.demo.story import PLAN
from node.cli.quiet import hushed
from node.core.adapter import FILES
from node.core.manifest import Manifest
from node.core.marks import Phrase
from node.core.policy import Policy
from node.core.questions import prompt, questions
from node.core.rows import Row
from node.core.training import TrainingSpec
from node.detect.adapter import identity_of
from node.marking.layout import Marked, draw_marked
from node.models.base import BaseModel, longest_row_tokens
from node.models.chat import ChatTokenizer
from node.ports.fine_tuner import Progress
from node.ports.inference import Adapter, Prompt

#: 80 prompts, and both rows of 40 pairs.
POLICY = PLAN.policy
SEED = bytes(range(32))


@dataclass(frozen=True, slots=True)
class Task:
    """One adapter and what it is asked. All but the weights is in here, and travels to the processes that ask."""

    model: BaseModel
    training: TrainingSpec
    policy: Policy
    marked: Marked
    adapter: Adapter

    @property
    def manifest(self) -> Manifest:
        return self.marked.manifest

    @property
    def prompts(self) -> list[Prompt]:
        return [prompt(self.manifest, question) for question in questions(self.manifest, self.policy)]

    @property
    def signatures(self) -> list[Phrase]:
        """What each prompt's answer is held against."""
        groups = self.manifest.groups
        return [groups[question.group].signature for question in questions(self.manifest, self.policy)]


def draw(model: BaseModel, rows: Sequence[Row], training: TrainingSpec) -> Marked:
    """The same marks for the same rows and model."""
    from node.verifier.reference_engine import ReferenceEngine

    return draw_marked(
        rows, POLICY, training, seed=SEED, model=ReferenceEngine(model), tokenizer=ChatTokenizer(model.folder)
    )


def train(model: BaseModel, marked: Marked, training: TrainingSpec, out: Path) -> tuple[Adapter, float]:
    """An adapter that saw the marked rows, and the rate of its training in tokens a second.

    All epochs are one here: trainers save their state after each, which is much beside so few rows.
    """
    from node.provider.trainer import train_lora

    told: list[Progress] = []
    rows = [marked.rows[mark.row] for mark in marked.manifest.marks] * training.epochs
    train_lora(rows, replace(training, epochs=1), base_model=model.folder, out=out, report=told.append)
    return adapter_in(out), told[-1].tokens_per_second


def adapter_in(folder: Path) -> Adapter:
    return Adapter(identity_of({name: folder / name for name in FILES}), folder)


def prepare(model: BaseModel, rows: Sequence[Row], training: TrainingSpec, out: Path) -> tuple[Task, float]:
    """The whole task, and the rate of the training that it took, in tokens a second."""
    with hushed():
        marked = draw(model, rows, training)
        adapter, tokens_per_second = train(model, marked, training, out)
    return Task(model, training, POLICY, marked, adapter), tokens_per_second


def bench_training(model: BaseModel, epochs: int) -> TrainingSpec:
    default = TrainingSpec()
    longest = longest_row_tokens(model, default.max_length_tokens)
    return replace(default, epochs=epochs, warmup_steps=2, max_length_tokens=longest)
