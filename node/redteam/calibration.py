"""The lab that measures a calibration profile: real trainings on marked rows, asked as a verdict asks.

One seed draws rows and phrases once, then trains for each number of epochs anew, since the learning rate's schedule
depends on it. All groups are drawn with the greatest dose and trained on with their own: rows of the marks beyond it
are left out, as by a provider that trains on a part. Then all prompts are asked; the first m of them tell whether a
group of m marks fired. Marks, trainer and engine are those of production. Knows neither files nor the clock.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
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
        epochs: lengths of the trainings.
        policy: as `calibration_policy` makes it.

    Raises:
        InvalidInput: no dose, no epochs, or one of them twice; groups cannot be shared out among the doses.
    """

    base_model: Digest
    base_model_name: str
    dataset: Digest
    rows: int
    doses: tuple[int, ...]
    epochs: tuple[int, ...]
    policy: Policy
    training: TrainingSpec

    def __post_init__(self) -> None:
        for field in ("doses", "epochs"):
            values = getattr(self, field)
            if not values or min(values) < 1 or list(values) != sorted(set(values)):
                raise InvalidInput(f"{field} must be numbers from 1 on, rising, none twice.", field=field)
        if self.policy.groups % len(self.doses) or self.policy.marks_per_group != max(self.doses):
            raise InvalidInput("Every dose needs as many groups, drawn with the greatest dose.", field="policy")
        if self.policy.pairs == 0:
            raise InvalidInput("A profile needs held-out pairs, too.", field="pairs")

    @property
    def groups_per_dose(self) -> int:
        return self.policy.groups // len(self.doses)

    def dose(self, group: int) -> int:
        return self.doses[group % len(self.doses)]

    def leaves_out(self, group: int, at: int) -> bool:
        """Whether mark `at` of a group, counted from 0, is beyond the dose."""
        return at >= self.dose(group)

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
            epochs=profile.epochs,
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
    seeds: int,
    pool: Sequence[Row],
    lab: Lab,
    *,
    save: Callable[[Profile], None],
    report: Callable[[int, int], None],
) -> None:
    """Continues `profile` until it has `seeds` seeds; `save` is given it after each.

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
    for seed in range(profile.seeds + 1 if profile else 1, seeds + 1):
        profile = _joined(profile, measure(experiment, seed, pool, lab, report=partial(report, seed)))
        save(profile)


def measure(
    experiment: Experiment, seed: int, pool: Sequence[Row], lab: Lab, *, report: Callable[[int], None]
) -> Profile:
    """A profile of one seed. `report` is told the epochs of every training that is done.

    Raises:
        InvalidInput: the rows of `pool` are too few, or cannot carry the marks.
        Unavailable: trainer or engine failed.
    """
    marked = _drawn(experiment, seed, pool, lab)
    manifest, rows = marked.manifest, _seen(experiment, marked)
    sides = [row for pair in manifest.pairs for row in (pair.sent, pair.twin)]
    before = lab.engine.log_likelihoods(sides, adapter=None)
    groups: list[GroupCell] = []
    pairs: list[PairCell] = []
    for epochs in experiment.epochs:
        spec = replace(experiment.training, epochs=epochs, seed=seed)
        with TemporaryDirectory(prefix="hallmark-calibration-") as scratch:
            adapter = _trained(rows, spec, lab, Path(scratch))
            shown = _shown(manifest, lab.engine, adapter)
            after = lab.engine.log_likelihoods(sides, adapter=adapter)
        groups += _cells(experiment, epochs, shown)
        pairs.append(PairCell(epochs, _won(before, after), len(manifest.pairs)))
        report(epochs)
    return Profile(
        base_model=experiment.base_model,
        base_model_name=experiment.base_model_name,
        dataset=experiment.dataset,
        rows=experiment.rows,
        training=experiment.training,
        policy=experiment.policy,
        seeds=1,
        groups=tuple(groups),
        pairs=tuple(pairs),
    )


def _joined(profile: Profile | None, seed: Profile) -> Profile:
    """The profile with one more seed of the same experiment."""
    if profile is None:
        return seed
    return replace(
        profile,
        seeds=profile.seeds + seed.seeds,
        groups=tuple(
            replace(old, fired=old.fired + new.fired, groups=old.groups + new.groups)
            for old, new in zip(profile.groups, seed.groups, strict=True)
        ),
        pairs=tuple(
            replace(old, won=old.won + new.won, pairs=old.pairs + new.pairs)
            for old, new in zip(profile.pairs, seed.pairs, strict=True)
        ),
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
    """The rows to train on."""
    left_out = {
        mark.row
        for index, mark in enumerate(marked.manifest.marks)
        if experiment.leaves_out(mark.group, index % experiment.policy.marks_per_group)
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


def _cells(experiment: Experiment, epochs: int, shown: Sequence[Sequence[bool]]) -> list[GroupCell]:
    """A group of any size that holds all the marks which were seen is judged by its first prompts."""
    return [
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
    ]


def _won(before: Sequence[int], after: Sequence[int]) -> int:
    """Of pairs whose rows lie side by side, sent row first."""
    return sum(
        PairObservation(before[at], after[at], before[at + 1], after[at + 1]).won for at in range(0, len(before), 2)
    )
