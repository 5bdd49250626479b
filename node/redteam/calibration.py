"""The lab that measures a calibration profile: real trainings on marked rows, asked as a verdict asks.

One seed draws rows and phrases, then trains for each number of epochs anew, since the learning rate's schedule depends
on it. All groups are drawn with the greatest dose and trained on with their own: rows of the marks beyond it are left
out, as by a provider that trains on a part. Then all prompts are asked; the first m of them tell whether a group of m
marks fired. Marks, trainer and engine are those of production. Knows neither files nor the clock.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

from node.core.adapter import FILES, adapter_digest
from node.core.evidence import PairObservation, PromptKind, Question
from node.core.manifest import Manifest
from node.core.marks import fires
from node.core.plan import majority
from node.core.policy import Policy
from node.core.profile import GroupCell, PairCell, Profile
from node.core.questions import prompt
from node.core.rows import Row
from node.core.training import TrainingSpec
from node.crypto.digest import Digest
from node.crypto.stream import SeedStream
from node.errors import Conflict, InvalidInput
from node.marking.layout import Marked, draw_marked
from node.ports.fine_tuner import FineTuner
from node.ports.inference import Adapter, Inference
from node.ports.language_model import LanguageModel
from node.ports.tokenizer import Tokenizer


@dataclass(frozen=True, slots=True)
class Experiment:
    """What every seed of one profile measures.

    Attributes:
        rows: rows of one training, marks included.
        doses: marks of a group that are trained on, each of as many groups; and sizes of the groups that are judged.
        training: its epochs mean nothing.
        policy: as `calibration_policy` makes it.

    Raises:
        InvalidInput: no dose, or one twice; groups cannot be shared out among the doses; too few rows, or no pairs.
    """

    base_model: Digest
    base_model_name: str
    dataset: Digest
    rows: int
    doses: tuple[int, ...]
    policy: Policy
    training: TrainingSpec

    def __post_init__(self) -> None:
        if not self.doses or self.doses[0] < 1 or list(self.doses) != sorted(set(self.doses)):
            raise InvalidInput("doses must be numbers from 1 on, rising, none twice.", field="doses")
        if self.policy.groups % len(self.doses) or self.policy.marks_per_group != max(self.doses):
            raise InvalidInput("Every dose needs as many groups, drawn with the greatest dose.", field="policy")
        if self.policy.pairs == 0:
            raise InvalidInput("A profile needs held-out pairs, too.", field="pairs")
        missing_rows = self.policy.least_rows() - self.rows_drawn
        if missing_rows > 0:
            raise InvalidInput(
                f"{self.rows} rows do not hold so many marks, pairs and contexts; {self.rows + missing_rows} do.",
                field="rows",
            )

    @property
    def groups_per_dose(self) -> int:
        return self.policy.groups // len(self.doses)

    def dose(self, group: int) -> int:
        return self.doses[group % len(self.doses)]

    @property
    def rows_drawn(self) -> int:
        """Rows trained on, rows of the marks left out, and the pairs' twins."""
        left_out = self.groups_per_dose * sum(self.doses[-1] - dose for dose in self.doses)
        return self.rows + left_out + self.policy.pairs

    @staticmethod
    def of(profile: Profile) -> Experiment:
        """The experiment that measured this profile."""
        return Experiment(
            base_model=profile.base_model,
            base_model_name=profile.base_model_name,
            dataset=profile.dataset,
            rows=profile.rows,
            doses=profile.seen,
            policy=profile.policy,
            training=profile.training,
        )


@dataclass(frozen=True, slots=True)
class Lab:
    """What measures. `base_model` is the folder that the trainer loads."""

    engine: Inference
    language_model: LanguageModel
    tokenizer: Tokenizer
    fine_tuner: FineTuner
    base_model: Path


def calibration_policy(phrases: Policy, *, doses: Sequence[int], groups_per_dose: int, pairs: int) -> Policy:
    """`phrases`, with as many groups as the doses need, all of the greatest dose. Nothing is decided by it."""
    groups = len(doses) * groups_per_dose
    policy = replace(
        phrases,
        groups=groups,
        marks_per_group=max(doses),
        fire_at=majority(max(doses)),
        accept_at=groups,
        reject_at=0,
        log10_alpha=-1,
        pairs=pairs,
    )
    return replace(policy, accept_at=policy.least_accept_at)


def calibrate(
    experiment: Experiment,
    profile: Profile | None,
    pool: Sequence[Row],
    lab: Lab,
    *,
    epochs: Sequence[int],
    seeds: int,
    save: Callable[[Profile], None],
    report: Callable[[int, int], None],
) -> None:
    """Continues `profile` until it has `seeds` trainings of each length; `save` is given it after each training.

    Args:
        report: told (seed, epochs) of every training that is done.

    Raises:
        Conflict: the profile was measured by another experiment.
        InvalidInput, Unavailable: see `measure`.
    """
    if profile and Experiment.of(profile) != experiment:
        raise Conflict(
            "The profile was measured with other settings.", fix="Repeat its settings, or write to another file."
        )
    for seed, lengths in missing(profile, epochs, seeds):
        for length, training in zip(lengths, measure(experiment, seed, lengths, pool, lab), strict=True):
            profile = _joined(profile, training)
            save(profile)
            report(seed, length)


def missing(profile: Profile | None, epochs: Sequence[int], seeds: int) -> Iterator[tuple[int, list[int]]]:
    """(seed, lengths): the trainings that `profile` lacks."""
    done = {length: profile.trainings(length) if profile else 0 for length in epochs}
    for seed in range(1, seeds + 1):
        if lengths := [length for length in epochs if done[length] < seed]:
            yield seed, lengths


def measure(
    experiment: Experiment, seed: int, epochs: Sequence[int], pool: Sequence[Row], lab: Lab
) -> Iterator[Profile]:
    """A profile of one training for each number of `epochs`.

    Raises:
        InvalidInput: the rows of `pool` are too few, or cannot carry the marks.
        Unavailable: trainer or engine failed.
    """
    marked = _drawn(experiment, seed, pool, lab)
    manifest, rows = marked.manifest, _seen(experiment, marked)
    sides = [row for pair in manifest.pairs for row in (pair.sent, pair.twin)]
    before = lab.engine.log_likelihoods(sides, adapter=None)
    for length in epochs:
        with TemporaryDirectory(prefix="hallmark-calibration-") as scratch:
            adapter = _trained(rows, replace(experiment.training, epochs=length, seed=seed), lab, Path(scratch))
            shown = _shown(manifest, lab.engine, adapter)
            after = lab.engine.log_likelihoods(sides, adapter=adapter)
        yield Profile(
            base_model=experiment.base_model,
            base_model_name=experiment.base_model_name,
            dataset=experiment.dataset,
            rows=experiment.rows,
            training=experiment.training,
            policy=experiment.policy,
            groups=_cells(experiment, length, shown),
            pairs=(PairCell(length, _won(before, after), len(manifest.pairs)),),
        )


def _joined(profile: Profile | None, training: Profile) -> Profile:
    """The profile with one more training of the same experiment."""
    if profile is None:
        return training
    fired, groups = Counter[tuple[int, int, int]](), Counter[tuple[int, int, int]]()
    for cell in (*profile.groups, *training.groups):
        kind = (cell.marks, cell.seen, cell.epochs)
        fired[kind] += cell.fired
        groups[kind] += cell.groups
    won, pairs = Counter[int](), Counter[int]()
    for each in (*profile.pairs, *training.pairs):
        won[each.epochs] += each.won
        pairs[each.epochs] += each.pairs
    return replace(
        profile,
        groups=tuple(GroupCell(*kind, fired[kind], groups[kind]) for kind in sorted(groups)),
        pairs=tuple(PairCell(epochs, won[epochs], pairs[epochs]) for epochs in sorted(pairs)),
    )


def _drawn(experiment: Experiment, seed: int, pool: Sequence[Row], lab: Lab) -> Marked:
    stream = SeedStream(seed.to_bytes(32), "calibration")
    if len(pool) < experiment.rows_drawn:
        raise InvalidInput(
            f"{len(pool)} rows are too few for trainings on {experiment.rows}: {experiment.rows_drawn} are needed.",
            fix="Give more rows, or ask for smaller trainings.",
            field="rows",
        )
    return draw_marked(
        stream.child("rows").sample(pool, experiment.rows_drawn),
        replace(experiment.policy, least_isolation_cost_percent=0),  # learning is measured here, not hiding
        experiment.training,
        seed=stream.child("manifest").bytes(32),
        model=lab.language_model,
        tokenizer=lab.tokenizer,
    )


def _seen(experiment: Experiment, marked: Marked) -> list[Row]:
    """The rows to train on: of each group only the first marks, as many as its dose."""
    left_out = {
        mark.row
        for index, mark in enumerate(marked.manifest.marks)
        if index % experiment.policy.marks_per_group >= experiment.dose(mark.group)
    }
    return [row for at, row in enumerate(marked.rows) if at not in left_out]


def _trained(rows: Sequence[Row], spec: TrainingSpec, lab: Lab, out: Path) -> Adapter:
    lab.fine_tuner.fine_tune(rows, spec, base_model=lab.base_model, out=out, report=lambda _: None)
    return Adapter(adapter_digest({name: (out / name).read_bytes() for name in sorted(FILES)}), out)


def _shown(manifest: Manifest, engine: Inference, adapter: Adapter) -> list[list[bool]]:
    """Per group, in the order of its marks: whether the mark's prompt shows the signature."""
    signatures = [manifest.groups[mark.group].signature for mark in manifest.marks]
    answers = engine.follow(
        [prompt(manifest, Question(PromptKind.MARK, mark.group, at)) for at, mark in enumerate(manifest.marks)],
        [signature.text for signature in signatures],
        adapter=adapter,
        max_new_tokens=manifest.answer_tokens,
    )
    shown: list[list[bool]] = [[] for _ in manifest.groups]
    for mark, answer, signature in zip(manifest.marks, answers, signatures, strict=True):
        shown[mark.group].append(fires(answer.text, signature))
    return shown


def _cells(experiment: Experiment, epochs: int, shown: Sequence[Sequence[bool]]) -> tuple[GroupCell, ...]:
    """A group of any size that holds all the marks which were seen is judged by its first prompts."""
    return tuple(
        GroupCell(
            marks,
            seen,
            epochs,
            fired=sum(
                sum(each[:marks]) >= majority(marks)
                for group, each in enumerate(shown)
                if experiment.dose(group) == seen
            ),
            groups=experiment.groups_per_dose,
        )
        for marks in experiment.doses
        for seen in experiment.doses
        if seen <= marks
    )


def _won(before: Sequence[int], after: Sequence[int]) -> int:
    """Of pairs whose rows lie side by side, sent row first."""
    return sum(
        PairObservation(before[at], after[at], before[at + 1], after[at + 1]).won for at in range(0, len(before), 2)
    )
