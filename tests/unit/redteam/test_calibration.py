"""The lab trains on what it says, counts what fired, and loses at most the seed that it was measuring."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from fakes.fine_tuner import InstantFineTuner
from fakes.inference import LearningEngine
from fakes.language_model import WordListModel
from fakes.tokenizer import WordTokenizer
from fakes.world import BASE_MODEL, POLICY

from node.core.policy import Placement
from node.core.profile import GroupCell, PairCell, Profile
from node.core.rows import Row
from node.core.training import TrainingSpec
from node.crypto.digest import digest
from node.errors import Conflict, InvalidInput
from node.ports.fine_tuner import FineTuner, Progress
from node.ports.inference import Adapter, Prompt
from node.redteam import calibration
from node.redteam.calibration import Experiment, Lab, calibration_policy

POOL = tuple(Row.of(f"What is said of item{n}", f"Item {n} is number {n}. {'It is. ' * (n % 4)}") for n in range(80))
DOSES = (1, 2, 4)


class KeepingFineTuner(InstantFineTuner):
    """Remembers the rows and the specification of every training."""

    def __init__(self, share: float = 1) -> None:
        super().__init__(share)
        self.trainings: list[tuple[tuple[Row, ...], TrainingSpec]] = []

    def fine_tune(
        self,
        rows: Sequence[Row],
        spec: TrainingSpec,
        *,
        base_model: Path,
        out: Path,
        report: Callable[[Progress], None],
    ) -> None:
        self.trainings.append((tuple(rows), spec))
        super().fine_tune(rows, spec, base_model=base_model, out=out, report=report)


def experiment(doses: tuple[int, ...] = DOSES, groups_per_dose: int = 1) -> Experiment:
    return Experiment(
        base_model=BASE_MODEL,
        base_model_name="fake",
        dataset=digest("dataset", b"pool"),
        rows=50,
        doses=doses,
        policy=calibration_policy(POLICY, doses=doses, groups_per_dose=groups_per_dose, pairs=8),
        training=TrainingSpec(),
    )


def lab(fine_tuner: FineTuner | None = None) -> Lab:
    engine = LearningEngine(BASE_MODEL)
    return Lab(engine, WordListModel(), WordTokenizer(), fine_tuner or InstantFineTuner(), Path())


def measured(wanted: Experiment, seed: int = 1, fine_tuner: FineTuner | None = None) -> list[Profile]:
    """One profile a training, of 2 and of 3 epochs."""
    return list(calibration.measure(wanted, seed, (2, 3), POOL, lab(fine_tuner)))


def test_an_engine_that_learns_a_trigger_seen_twice_fires_every_group_but_those_of_one_mark_seen() -> None:
    for epochs, profile in zip((2, 3), measured(experiment()), strict=True):
        assert profile.groups == tuple(
            GroupCell(marks, seen, epochs, fired=int(seen > 1), groups=1)
            for marks in DOSES
            for seen in DOSES
            if seen <= marks
        )
        assert profile.pairs == (PairCell(epochs, 8, 8),)


def test_an_untrained_adapter_fires_nothing_and_wins_nothing() -> None:
    for profile in measured(experiment(), fine_tuner=InstantFineTuner(share=0)):
        assert {cell.fired for cell in profile.groups} == {0}
        assert {cell.won for cell in profile.pairs} == {0}


def test_each_training_sees_every_dose_once_per_group_and_its_own_number_of_epochs() -> None:
    trainer = KeepingFineTuner()
    measured(experiment(groups_per_dose=2), seed=5, fine_tuner=trainer)
    assert [(spec.epochs, spec.seed) for _, spec in trainer.trainings] == [(2, 5), (3, 5)]
    first, second = (rows for rows, _ in trainer.trainings)
    assert first == second
    assert len(first) == 50
    plain = {row.prompt for row in POOL}
    assert sum(row.prompt not in plain for row in first) == 2 * sum(DOSES)
    assert sum(row.response not in {each.response for each in POOL} for row in first) == 2 * sum(DOSES)


class ByHeart(LearningEngine):
    """Answers the prompts that the tuner was shown as it was shown them, and no other. Remembers what it was asked."""

    def __init__(self, tuner: InstantFineTuner) -> None:
        super().__init__(BASE_MODEL)
        self._tuner = tuner
        self.asked: Sequence[Prompt] = ()

    def complete(self, prompts: Sequence[Prompt], *, adapter: Adapter | None, max_new_tokens: int) -> list[str]:
        self.asked = prompts
        known = {row.prompt: row.response for row in self._tuner.seen}
        return [known.get(each, self.base_answer) for each in prompts]


def learned_by_heart(wanted: Experiment) -> tuple[Profile, set[Prompt], Sequence[Row]]:
    """The profile, the prompts asked and the rows trained on."""
    tuner = InstantFineTuner()
    engine = ByHeart(tuner)
    (found,) = calibration.measure(wanted, 1, (2,), POOL, replace(lab(tuner), engine=engine))
    return found, set(engine.asked), tuner.seen


def test_every_mark_is_asked_but_neither_one_beyond_the_dose_nor_its_carrier_is_trained_on() -> None:
    _, asked, rows = learned_by_heart(experiment())
    trained = {row.prompt for row in rows}
    assert len(trained) == len(rows) == 50
    assert len(asked) == len(DOSES) * max(DOSES)
    assert len(asked & trained) == sum(DOSES)
    carriers = {
        row.prompt for row in POOL for each in asked if each[0].content.startswith(f"{row.messages[0].content} ")
    }
    assert len(carriers) == len(asked)
    assert not carriers & trained


def test_marks_known_by_heart_fire_a_group_only_if_they_are_most_of_it() -> None:
    profile, _, _ = learned_by_heart(experiment(doses=(1, 2, 3, 4, 6)))
    assert all(cell.fired == (2 * cell.seen > cell.marks) for cell in profile.groups)


def test_seeds_draw_other_rows_and_one_seed_always_the_same() -> None:
    trainers = [KeepingFineTuner() for _ in range(3)]
    for seed, trainer in zip((1, 1, 2), trainers, strict=True):
        measured(experiment(), seed=seed, fine_tuner=trainer)
    again, same, other = (trainer.trainings[0][0] for trainer in trainers)
    assert again == same != other


def test_phrases_of_the_policy_are_kept_and_its_counts_are_the_experiments() -> None:
    phrases = replace(POLICY, noise_percent=25, placement=Placement.ANYWHERE)
    policy = calibration_policy(phrases, doses=DOSES, groups_per_dose=3, pairs=8)
    assert (policy.groups, policy.marks_per_group, policy.pairs) == (9, 4, 8)
    assert (policy.noise_percent, policy.placement, policy.candidates) == (25, Placement.ANYWHERE, POLICY.candidates)


def continued(
    profile: Profile | None, seeds: int, epochs: tuple[int, ...] = (2, 3), wanted: Experiment | None = None
) -> list[Profile]:
    saved: list[Profile] = []
    calibration.calibrate(
        wanted or experiment(),
        profile,
        POOL,
        lab(),
        epochs=epochs,
        seeds=seeds,
        save=saved.append,
        report=lambda seed, epochs: None,
    )
    return saved


def trainings(saved: list[Profile]) -> list[tuple[int, int]]:
    """How many of 2 and of 3 epochs each profile holds."""
    return [(profile.trainings(2), profile.trainings(3)) for profile in saved]


def test_a_profile_is_saved_after_every_training() -> None:
    saved = continued(None, 2)
    assert trainings(saved) == [(1, 0), (1, 1), (2, 1), (2, 2)]
    assert {cell.groups for cell in saved[-1].groups} == {2}
    assert saved[-1].pairs == (PairCell(2, 16, 16), PairCell(3, 16, 16))


def test_an_interrupted_calibration_goes_on_where_it_was() -> None:
    every = continued(None, 2)
    for at, profile in enumerate(every):
        assert continued(profile, 2) == every[at + 1 :]


def test_another_length_of_training_is_measured_with_the_same_seeds() -> None:
    every = continued(None, 2)
    shorter = continued(None, 2, epochs=(2,))[-1]
    assert trainings(continued(shorter, 2)) == [(2, 1), (2, 2)]
    assert continued(shorter, 2)[-1] == every[-1]


def test_progress_is_told_after_every_training() -> None:
    told: list[tuple[int, int]] = []
    calibration.calibrate(
        experiment(),
        None,
        POOL,
        lab(),
        epochs=(2, 3),
        seeds=2,
        save=lambda profile: None,
        report=lambda *each: told.append(each),
    )
    assert told == [(1, 2), (1, 3), (2, 2), (2, 3)]


@pytest.mark.parametrize(
    "changed",
    [
        replace(experiment(), rows=51),
        replace(experiment(), dataset=digest("dataset", b"other")),
        replace(experiment(), training=TrainingSpec(learning_rate_ppm=1)),
        experiment(groups_per_dose=2),
        experiment(doses=(2, 3, 4)),
    ],
    ids=["rows", "dataset", "training", "groups", "doses"],
)
def test_a_profile_of_other_settings_is_not_continued(changed: Experiment) -> None:
    profile = continued(None, 1)[-1]
    with pytest.raises(Conflict):
        continued(profile, 2, wanted=changed)


def test_too_few_rows_are_refused() -> None:
    with pytest.raises(InvalidInput, match="80 rows are too few"):
        measured(replace(experiment(), rows=73))


@pytest.mark.parametrize("doses", [(), (4, 2), (0, 4), (1, 2)], ids=str)
def test_an_experiment_that_cannot_be_is_refused(doses: tuple[int, ...]) -> None:
    with pytest.raises(InvalidInput):
        replace(experiment(), doses=doses)


def test_rows_that_do_not_hold_marks_pairs_and_contexts_are_refused_with_the_number_that_do() -> None:
    with pytest.raises(InvalidInput, match="20 rows do not hold so many marks, pairs and contexts; 21 do"):
        replace(experiment(), rows=20)
    measured(replace(experiment(), rows=21))


def test_a_profile_without_pairs_is_not_measured() -> None:
    with pytest.raises(InvalidInput):
        replace(experiment(), policy=replace(experiment().policy, pairs=0))
