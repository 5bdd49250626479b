"""Log lines: one JSON object a line for machines, one readable line for people, and never a local variable."""

from __future__ import annotations

import io
import json
import logging
import warnings
from collections.abc import Iterator

import pytest

from node.telemetry import logs


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.getLogger(logs.OURS).setLevel(logging.NOTSET)
    logging.captureWarnings(capture=False)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def fail() -> None:
    signature = "zebra quartz"
    raise ValueError(len(signature))


def test_a_line_for_machines_is_one_object_with_its_facts() -> None:
    stream = io.StringIO()
    logs.configure("info", "auto", stream)
    with logs.about(job="job-1"):
        logging.getLogger("node.worker").info("Verification of %s runs.\nStill.", "it", extra={"tries": 2, "_ray": 1})
    logging.getLogger("node.worker").info("later")
    within, later = map(json.loads, stream.getvalue().splitlines())
    time = within.pop("time")
    assert time.endswith("Z")
    assert within == {
        "level": "info",
        "logger": "node.worker",
        "message": "Verification of it runs.\nStill.",
        "job": "job-1",
        "tries": 2,
    }
    assert "job" not in later


def test_a_line_for_people_is_readable_and_coloured_on_a_terminal_only() -> None:
    terminal, file = Terminal(), io.StringIO()
    logs.configure("info", "auto", terminal)
    logging.getLogger("node.worker").info("Starts.")
    logs.configure("info", "console", file)
    with logs.about(job="job-1"):
        logging.getLogger("node.worker").info("Starts.")
    assert "\x1b[" in terminal.getvalue()
    assert "\x1b[" not in file.getvalue()
    assert "Starts." in file.getvalue()
    assert "job=job-1" in file.getvalue()


@pytest.mark.parametrize("form", ["json", "console"])
def test_a_traceback_shows_no_local_variable(form: str) -> None:
    stream = io.StringIO()
    logs.configure("info", form, stream)
    try:
        fail()
    except ValueError:
        logging.getLogger("node.worker").exception("It failed.")
    assert "ValueError: 12" in stream.getvalue().replace("\\n", "\n")
    assert "in fail" in stream.getvalue()
    assert stream.getvalue().count("quartz") == 0


def test_the_level_is_kept_and_libraries_only_warn() -> None:
    stream = io.StringIO()
    logs.configure("warning", "json", stream)
    logging.getLogger("node.worker").info("not this")
    logs.configure("debug", "json", stream)
    for name in ("sqlalchemy.engine", "ray", "vllm.engine", "grpc._cython"):
        logging.getLogger(name).info("nor this")
    logging.getLogger("node.worker").debug("this")
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.captureWarnings(capture=True)
        warnings.warn("and this", stacklevel=1)
    first, second = map(json.loads, stream.getvalue().splitlines())
    assert (first["message"], first["level"]) == ("this", "debug")
    assert "and this" in second["message"]
