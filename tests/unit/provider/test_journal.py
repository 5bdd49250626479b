"""What an agent writes down: read by others at any moment, by one writer at a time, never worth more than a memory."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from node.core.events import Progress
from node.crypto.digest import digest
from node.errors import Conflict
from node.provider import journal
from node.provider.journal import MOST_LEFT, Left, Told
from node.provider.metrics import JournalCollector

MODEL = digest("test", b"model")


def test_what_was_noted_is_read_again(tmp_path: Path) -> None:
    with journal.opened(tmp_path) as opened:
        opened.note(job="job-1", doing="trains", progress=Progress(3, 9, 0.5, 1.5, 200.0))
        opened.note(tokens_per_second={"sha256:00": 180.5})
        opened.heard()
        assert journal.read(journal.file_in(tmp_path)) == opened.told
    with journal.opened(tmp_path) as again:
        assert (again.told.job, again.told.tokens_per_second) == ("job-1", {"sha256:00": 180.5})
        assert again.told.heard_at_ms > 0


def test_a_job_that_left_is_counted_and_no_longer_in_hand(tmp_path: Path) -> None:
    with journal.opened(tmp_path) as opened:
        progress = Progress(3, 9, 0.5, 1.5, 200.0)
        opened.note(job="job-1", doing="trains", trouble="It was killed.", progress=progress)
        opened.ended("delivered")
        for number in range(MOST_LEFT + 1):
            opened.ended("refused", Left(f"job-{number}", number, "Too slow."))
    told = journal.read(journal.file_in(tmp_path))
    assert (told.job, told.doing, told.trouble, told.progress) == ("", "", "", None)
    assert told.outcomes == {"delivered": 1, "refused": MOST_LEFT + 1}
    assert len(told.left) == MOST_LEFT
    assert told.left[-1] == Left(f"job-{MOST_LEFT}", MOST_LEFT, "Too slow.")


def test_a_provider_learns_how_fast_it_is_from_every_training(tmp_path: Path) -> None:
    with journal.opened(tmp_path) as opened:
        for speed in (200.0, 100.0, 0.0):
            opened.trained(MODEL, Progress(9, 9, 5.0, 0.5, speed))
        opened.trained(MODEL, None)
        assert opened.told.tokens_per_second == {str(MODEL): 150.0}


def test_a_loss_that_is_no_number_is_no_obstacle(tmp_path: Path) -> None:
    with journal.opened(tmp_path) as opened:
        opened.note(progress=Progress(1, 2, 0.5, math.nan, 2.0))
    read = journal.read(journal.file_in(tmp_path)).progress
    assert read is not None
    assert math.isnan(read.loss)


@pytest.mark.parametrize("content", [b"", b"[]", b'{"left": 1}', b"\xff"])
def test_a_journal_that_cannot_be_read_says_nothing(tmp_path: Path, content: bytes) -> None:
    journal.file_in(tmp_path).write_bytes(content)
    assert journal.read(journal.file_in(tmp_path)) == Told()


def test_a_journal_that_cannot_be_written_ends_no_work(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with journal.opened(tmp_path) as opened:
        journal.file_in(tmp_path).with_suffix(".partial").mkdir()
        opened.note(job="job-1")
        assert opened.told.job == "job-1"
    assert "could not be written" in caplog.text


def test_a_second_agent_in_the_same_home_is_refused(tmp_path: Path) -> None:
    assert not journal.is_open(tmp_path)
    with journal.opened(tmp_path):
        assert journal.is_open(tmp_path)
        with pytest.raises(Conflict, match="Another agent"), journal.opened(tmp_path):
            pass
    assert not journal.is_open(tmp_path)


def test_metrics_say_what_the_journal_says(tmp_path: Path) -> None:
    with journal.opened(tmp_path) as opened:
        opened.ended("refused", Left("job-1", 1, "Too slow."))
        idle = samples(opened)
        opened.note(job="job-2", progress=Progress(3, 12, 0.5, 1.5, 200.0))
        busy = samples(opened)
    assert idle["hallmark_provider_jobs_total", "refused"] == 1
    assert idle["hallmark_provider_jobs_total", "delivered"] == 0
    assert idle["hallmark_provider_jobs_in_hand", ""] == 0
    assert ("hallmark_provider_training_loss", "") not in idle
    assert busy["hallmark_provider_jobs_in_hand", ""] == 1
    assert busy["hallmark_provider_training_loss", ""] == 1.5
    assert busy["hallmark_provider_training_tokens_per_second", ""] == 200.0
    assert busy["hallmark_provider_training_progress_ratio", ""] == 0.25


def samples(opened: journal.Journal) -> dict[tuple[str, str], float]:
    return {
        (sample.name, sample.labels.get("outcome", "")): sample.value
        for metric in JournalCollector(opened).collect()
        for sample in metric.samples
    }
