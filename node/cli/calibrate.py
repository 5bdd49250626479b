"""`hallmark calibrate`: measures the profile that `hallmark plan` reckons with, on this machine's model and rows."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from node.cli import options, output_file, profile_file
from node.cli.quiet import hushed
from node.core.policy import Drawing, Placement, Policy

PHRASES = Policy()


def calibrate(
    out: Annotated[Path, typer.Option(help="The profile; one that is there is continued.", show_default=False)],
    seeds: Annotated[int, typer.Option(help="Trainings of each length that the profile shall have.")] = 6,
    epochs: Annotated[str, typer.Option(help="Lengths of the trainings; cheats may choose any.")] = "1,2,3,6,12",
    doses: Annotated[
        str, typer.Option(help="Marks of a group that are trained on; groups of each of these sizes are judged.")
    ] = "1,2,4,8,12,16",
    groups_per_dose: Annotated[int, typer.Option(help="Groups of each dose in every training.")] = 2,
    rows: Annotated[int, typer.Option(help="Rows of one training, marks included.")] = 240,
    pairs: Annotated[int, typer.Option(help="Held-out pairs of one training.")] = 100,
    drawing: Annotated[Drawing, typer.Option(help="How words of phrases are drawn.")] = PHRASES.drawing,
    placement: Annotated[Placement, typer.Option(help="Where triggers stand.")] = PHRASES.placement,
    noise_percent: Annotated[
        int, typer.Option(help="Words of a planted phrase that are replaced.")
    ] = PHRASES.noise_percent,
    data: Annotated[
        Path | None, typer.Option(help="JSON Lines of rows; default: Python's own docstrings.", show_default=False)
    ] = None,
    model: options.Model = None,
) -> None:
    """Trains as providers do, asks as verdicts ask, and counts which groups fire of which only some marks were seen.

    The file is written after every training, and grows when the same command asks for more seeds or other lengths;
    Ctrl-C loses the training that is under way.
    """
    import os

    from node import bootstrap, settings
    from node.cli.demo.data import rows_of_file, standard_library_rows
    from node.core import dataset
    from node.core.training import TrainingSpec
    from node.crypto.digest import sha256_digest
    from node.errors import InvalidInput
    from node.models.base import longest_row_tokens
    from node.models.chat import ChatTokenizer
    from node.provider.actors import QUIET_WORKER
    from node.redteam import calibration
    from node.redteam.apart import ProcessFineTuner
    from node.verifier.verifier import Verifier

    if groups_per_dose < 1 or seeds < 1:
        raise InvalidInput("At least one seed and one group of each dose must be measured.", field="seeds")
    lengths, marks = _numbers("epochs", epochs), _numbers("doses", doses)
    phrases = replace(PHRASES, drawing=drawing, placement=placement, noise_percent=noise_percent)
    policy = calibration.calibration_policy(phrases, doses=marks, groups_per_dose=groups_per_dose, pairs=pairs)
    output_file.require_place(out, field="out")
    before = profile_file.read(out) if out.exists() else None
    with options.interruptible(), tempfile.TemporaryDirectory(prefix="hallmark-calibration-") as scratch:
        pool = rows_of_file(data) if data else standard_library_rows()
        base = bootstrap.base_model(settings.load(), model, _tell)
        training = TrainingSpec()
        training = replace(training, max_length_tokens=longest_row_tokens(base, training.max_length_tokens))
        experiment = calibration.Experiment(
            base_model=base.digest,
            base_model_name=base.folder.name,
            dataset=sha256_digest(dataset.to_jsonl(pool)),
            rows=rows,
            doses=marks,
            policy=policy,
            training=training,
        )
        os.environ.update(QUIET_WORKER)  # before torch: the idle engine's threads must not spin beside the training
        _tell("Starting vLLM, about 10 s")
        with hushed():
            verifier = Verifier(
                base,
                max_length_tokens=training.max_length_tokens,
                lora_rank=training.lora_rank,
                scratch=Path(scratch),
            )
        calibration.calibrate(
            experiment,
            before,
            pool,
            calibration.Lab(verifier, verifier, ChatTokenizer(base.folder), ProcessFineTuner(), base.folder),
            epochs=lengths,
            seeds=seeds,
            save=lambda profile: profile_file.write(out, profile),
            report=_progress(seeds, sum(sum(each) for _, each in calibration.missing(before, lengths, seeds))),
        )
    _tell(f"{out} is measured; name it to `hallmark plan` with --profile.")


def _numbers(field: str, text: str) -> tuple[int, ...]:
    from node.errors import InvalidInput

    numbers = text.split(",")
    if not all(each.isdecimal() and int(each) for each in numbers):
        raise InvalidInput(f"{field} is {text!r}; it must be numbers from 1 on, such as 2,3,4.", field=field)
    return tuple(sorted({int(each) for each in numbers}))


def _progress(seeds: int, epochs_left: int) -> Callable[[int, int], None]:
    """Tells each training that is done, and how long the rest takes at the pace so far."""
    started, done = time.monotonic(), 0

    def report(seed: int, epochs: int) -> None:
        nonlocal done
        done += epochs
        minutes = (time.monotonic() - started) / done * (epochs_left - done) / 60
        _tell(f"Seed {seed} of {seeds}: {epochs} epochs are done; about {minutes:.0f} min remain.")

    return report


def _tell(text: str) -> None:
    typer.echo(text, err=True)
