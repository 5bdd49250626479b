"""What is wrong with the demonstration's input is said in one line, with the next step, before anything starts."""

from __future__ import annotations

import inspect
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from node import bootstrap
from node.cli.demo import data
from node.cli.demo.story import PARTS, PLAN
from node.core.rows import Row
from node.errors import InvalidInput, Unavailable


def demo(tmp_path: Path, *options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "node", "demo", "--home", str(tmp_path / "demo"), *options],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def row(number: int) -> str:
    return f'{{"prompt": "question {number}", "completion": "answer {number}"}}\n'


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "cannot be read: No such file or directory"),
        ("not json\n", "line 1: $: This is not JSON"),
        (row(1) + '{"prompt": "q", "completion": ""}\n', "line 2: $.messages[1].content: A message is empty"),
        (row(1) + "\n" + row(2), "line 2: $: This line is empty"),
        (row(1) + '{"prompt": "q"}\n', "line 2: $: A row is"),
        (row(1), "1 rows are too few"),
    ],
    ids=["missing file", "broken file", "empty row", "blank line", "half a row", "too few rows"],
)
def test_bad_data_is_named_before_anything_starts(tmp_path: Path, content: str | None, said: str) -> None:
    file = tmp_path / "rows.jsonl"
    if content is not None:
        file.write_text(content)
    ended = demo(tmp_path, "--data", str(file), "--json")
    assert ended.returncode == 2, ended.stderr
    assert ended.stdout == ""
    (line,) = [line for line in ended.stderr.splitlines() if line.startswith("hallmark: ")]
    assert said in line
    assert not (tmp_path / "demo" / "logs").exists()


def test_an_unknown_model_is_named_before_anything_starts(tmp_path: Path) -> None:
    ended = demo(tmp_path, "--model", str(tmp_path / "nowhere"))
    assert ended.returncode == 2
    assert "is not a directory. Give a directory with config.json" in ended.stderr
    assert not (tmp_path / "demo" / "logs").exists()


def test_a_busy_port_is_said_before_anything_starts(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        ended = demo(tmp_path, "--listen", address)
    assert ended.returncode == 5
    assert f"Cannot listen on {address}: Address already in use. Stop what uses it" in ended.stderr
    assert not (tmp_path / "demo" / "logs").exists()


@pytest.mark.parametrize("address", ["here", "127.0.0.1", "127.0.0.1:", ":1", "127.0.0.1:99999", "127.0.0.1:-1"])
def test_an_address_that_is_none_is_refused(address: str) -> None:
    with pytest.raises(InvalidInput, match="is no address"):
        bootstrap.require_port(address)


def test_too_little_memory_or_disk_is_said_with_figures() -> None:
    with pytest.raises(Unavailable, match=r"GiB of memory are free; this needs 1000000\. Close other programs"):
        bootstrap.require_memory(1_000_000)
    with pytest.raises(Unavailable, match=r"GiB are free on the disk of .*; this needs 1000000000\. Make room"):
        bootstrap.require_disk(Path.cwd(), 10**9)


def test_the_standard_library_has_rows_for_all_jobs_and_no_job_shares_one() -> None:
    rows = data.standard_library_rows()
    shares = data.shares(rows, len(PARTS), PLAN.rows, PLAN.policy.least_rows())
    assert [len(share) for share in shares] == [PLAN.rows] * len(PARTS)
    assert len({each for share in shares for each in share}) == PLAN.rows * len(PARTS)


def test_the_rows_are_the_same_whatever_a_library_has_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = data.standard_library_rows()
    assert any("`inspect.getfile`" in row.messages[1].content for row in rows)
    monkeypatch.setattr(inspect, "getfile", lambda value: value)
    data.standard_library_rows.cache_clear()
    assert data.standard_library_rows() == rows


def test_fewer_rows_are_shared_out_equally_down_to_what_the_policy_needs() -> None:
    least = PLAN.policy.least_rows()
    rows = tuple(Row.of(f"question {number}", "answer") for number in range(3 * least))
    assert [len(share) for share in data.shares(rows, 3, PLAN.rows, least)] == [least] * 3
    with pytest.raises(InvalidInput, match="rows are too few"):
        data.shares(rows[1:], 3, PLAN.rows, least)
