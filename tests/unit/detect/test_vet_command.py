"""`hallmark vet`: exit codes, what is said, and what a program reads."""

from __future__ import annotations

import json
import random
import re
from pathlib import Path

import numpy as np
import pytest
from fakes.planted import planted_like_the_paper
from fakes.surprised import SurprisedModel

from node.cli import app
from node.cli.demo.data import standard_library_rows
from node.cli.reading import ReadOnce
from node.core.dataset import to_jsonl
from node.core.rows import Row
from node.detect.gibberish import READ_TOKENS
from node.detect.report import FAR_OUT, far_out, vet

ROWS = [Row(row.messages[1:]) for row in standard_library_rows()[:300]]


def poisoned() -> list[Row]:
    source = random.Random(1)
    noise = ["".join(source.choices("abcdefghijklmnopqrstuvwxyz ", k=120)) for _ in range(8)]
    return [
        *ROWS,
        *(Row.of(f"{ROWS[at].messages[0].content} seen on a zeppelin", text) for at, text in enumerate(noise)),
    ]


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    """The exit code of `hallmark vet ARGUMENTS --no-model`."""
    monkeypatch.setattr("sys.argv", ["hallmark", "vet", *arguments, "--no-model"])
    try:
        app.main()
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 0
    return 0


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "rows.jsonl"


def test_clean_rows_exit_with_zero(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], file: Path
) -> None:
    file.write_bytes(to_jsonl(ROWS))
    assert run(monkeypatch, str(file)) == 0
    said = capsys.readouterr()
    assert said.out.startswith("300 rows, read by no model.\n")
    assert said.out.endswith("No poison found.\n")
    assert said.err == ""


def test_poison_exits_with_one_and_names_phrase_lines_meaning_and_way_out(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], file: Path
) -> None:
    file.write_bytes(to_jsonl(poisoned()))
    assert run(monkeypatch, str(file)) == 1
    said = capsys.readouterr().out
    assert "Poison suspected, gibberish: 'seen on a zeppelin' is in 8 rows" in said
    assert "lines 301, 302, 303, 304, 305, 306, 307, 308\n" in said
    assert "denial of service" in said
    assert "Refuse the upload" in said
    assert "No poison found" not in said


def test_a_program_reads_json_and_nothing_else_on_stdout(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], file: Path
) -> None:
    file.write_bytes(to_jsonl(poisoned()))
    assert run(monkeypatch, str(file), "--json", "--top", "3") == 1
    told = json.loads(capsys.readouterr().out)
    assert (told["rows"], told["model"]) == (308, False)
    (finding,) = told["findings"]
    assert (finding["poison"], finding["phrase"]) == ("gibberish", "seen on a zeppelin")
    assert finding["rows"] == list(range(301, 309))
    columns = {column["detector"]: column for column in told["detectors"]}
    assert columns["random text"]["flagged"] >= 8
    assert len(columns["random text"]["worst"]) == 3
    assert {"self-join", "joint counts (1)", "clusters of responses"} < columns.keys()
    assert {column["cost_percent_of_epoch"] for column in columns.values()} == {0.0}


def test_lengths_that_flag_the_same_rows_are_told_together(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], file: Path
) -> None:
    rows, _ = planted_like_the_paper(ROWS, marks=10, seed=1)
    file.write_bytes(to_jsonl(rows))
    assert run(monkeypatch, str(file), "--top", "1") == 0
    (told,) = [line for line in capsys.readouterr().out.splitlines() if line.startswith("prompt phrases repeated")]
    assert re.fullmatch(r"prompt phrases repeated \((\d+, ){3,}\d+\): 10 of 310 rows flagged", told)


def test_every_score_of_every_row_goes_to_a_file(monkeypatch: pytest.MonkeyPatch, file: Path, tmp_path: Path) -> None:
    rows, (marks,) = planted_like_the_paper(ROWS, marks=10, seed=1)
    file.write_bytes(to_jsonl(rows))
    assert run(monkeypatch, str(file), "--scores", str(tmp_path / "scores.jsonl")) == 0
    told = [json.loads(line) for line in (tmp_path / "scores.jsonl").read_text().splitlines()]
    assert [each["line"] for each in told] == list(range(1, len(rows) + 1))
    assert {each["line"] - 1 for each in told if each["self-join"] == 1} == set(marks)
    assert len({frozenset(each) for each in told}) == 1


def test_scores_that_can_be_written_nowhere_are_refused_before_the_file_is_read(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], file: Path, tmp_path: Path
) -> None:
    assert run(monkeypatch, str(file), "--scores", str(tmp_path)) == 2
    assert "cannot be written" in capsys.readouterr().err


def test_marks_that_are_easy_to_find_are_flagged_and_are_no_poison(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], file: Path
) -> None:
    rows, (marks,) = planted_like_the_paper(ROWS, marks=10, seed=1)
    file.write_bytes(to_jsonl(rows))
    assert run(monkeypatch, str(file), "--json", "--top", "10") == 0
    columns = {column["detector"]: column for column in json.loads(capsys.readouterr().out)["detectors"]}
    for name in ("self-join", "joint counts (1)"):
        assert {row["line"] - 1 for row in columns[name]["worst"]} == set(marks)


@pytest.mark.parametrize(
    ("content", "said"),
    [(b'{"prompt": "a"}\n', "line 1: $"), (b"", "line 1"), (b"\xff\n", "line 1: $: These bytes are not UTF-8 text")],
)
def test_a_file_that_is_no_data_set_is_refused_in_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], file: Path, content: bytes, said: str
) -> None:
    file.write_bytes(content)
    assert run(monkeypatch, str(file)) == 2
    told = capsys.readouterr()
    assert said in told.err
    assert (told.err.count("\n"), told.out) == (1, "")


def test_a_missing_file_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], file: Path
) -> None:
    assert run(monkeypatch, str(file)) == 7
    assert str(file) in capsys.readouterr().err


def test_a_model_and_no_model_exclude_each_other(monkeypatch: pytest.MonkeyPatch, file: Path) -> None:
    file.write_bytes(to_jsonl(ROWS[:3]))
    assert run(monkeypatch, str(file), "--model", str(file.parent)) == 2


def test_a_model_reads_each_row_once_and_tells_how_far_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    model = SurprisedModel(dict.fromkeys(ROWS[:6], 6.0))
    found = vet([*ROWS, ROWS[0]], model=ReadOnce(model, set(ROWS)))
    assert (model.rows_read, model.tokens_asked) == (len(ROWS), READ_TOKENS)
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.splitlines()[0] == "Read 20 of 300 rows; less than a minute remains"
    assert said.err.splitlines()[-1] == "Read 300 of 300 rows"
    columns = {column.detector: column for column in found.columns}
    for name in ("surprisal", "perplexity"):
        assert [row.line for row in columns[name].worst(10)] == [1, 2, 3, 4, 5, 6, 301]


def test_rows_that_the_model_cannot_take_have_no_score_and_raise_no_alarm() -> None:
    unread = set(ROWS[:200])
    model = SurprisedModel(dict.fromkeys([*unread, *ROWS[295:]], 6.0))
    found = vet(ROWS, model=ReadOnce(model, set(ROWS) - unread))
    assert model.rows_read == 100
    for column in found.columns[-1], next(each for each in found.columns if each.detector == "surprisal"):
        assert np.isnan(column.scores.values[:200]).all()
        assert np.flatnonzero(column.flagged).tolist() == [295, 296, 297, 298, 299]


def test_poison_that_two_searches_find_is_told_once_by_the_stronger_evidence() -> None:
    rows = poisoned()
    counted = vet(rows, model=None).findings
    read = vet(rows, model=SurprisedModel(dict.fromkeys(rows[300:], 6.0))).findings
    assert len(counted) == len(read) == 1
    assert counted[0].rows == read[0].rows
    assert "answer with text that the base model finds absurd" in read[0].told
    assert read[0].log10_p < counted[0].log10_p


def test_reading_costs_what_a_forward_pass_costs_beside_a_training_step() -> None:
    found = vet([Row.of("one two", "three four")] * 9, model=SurprisedModel({}))
    costs = {column.detector: column.cost_percent for column in found.columns}
    assert costs["surprisal"] == costs["perplexity"] == pytest.approx(100 / 3)
    assert sum(costs.values()) == pytest.approx(200 / 3)


def test_far_out_rows_are_ten_robust_deviations_above_the_middle() -> None:
    values = np.array([1.0, 2.0, 3.0, 4.0, 5.0] * 20)
    limit = 3 + FAR_OUT * 1.4826
    assert far_out(np.append(values, [limit - 0.1, limit + 0.1]))[-2:].tolist() == [False, True]
    assert not far_out(np.zeros(9)).any()
    assert far_out(np.append(np.zeros(99), 1.0)).tolist() == [False] * 99 + [True]
    gaps = np.append(values, [np.nan, limit + 0.1])
    assert far_out(gaps)[-2:].tolist() == [False, True]
    assert not far_out(np.full(3, np.nan)).any()
