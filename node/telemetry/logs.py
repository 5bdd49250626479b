"""Log lines: one form for the standard library's loggers, each with the job and the trace that it is about.

Modules log with `logging.getLogger(__name__)` as anywhere. No line shows local variables of a traceback: these hold
keys and marks.
"""

from __future__ import annotations

import logging
import sys
from contextlib import AbstractContextManager
from typing import TextIO

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from node.telemetry import tracing

#: Whose lines the level is about. Everybody else only warns: libraries tell in detail what concerns nobody here, and at
#: the level of debugging even what must not be told (SQLAlchemy: every value in every row).
OURS = "node"


def configure(level: str, form: str, stream: TextIO = sys.stderr) -> None:
    """From now on every logger writes to `stream`.

    Args:
        level: of this program's own lines: debug, info, warning or error.
        form: `console` for people, `json` for one object a line (time, level, logger, message, and job, trace, method,
            exception where there is one), `auto` to choose by whether `stream` is a terminal.
    """
    for_people = form == "console" or (form == "auto" and stream.isatty())
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[
                structlog.contextvars.merge_contextvars,
                structlog.stdlib.add_log_level,
                structlog.stdlib.add_logger_name,
                structlog.stdlib.ExtraAdder(),
                _drop_private,
                structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
                _add_trace,
            ],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *_ending(for_people, stream)],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    logging.getLogger(OURS).setLevel(level.upper())
    root.setLevel(max(logging.getLogger(OURS).level, logging.WARNING))
    logging.captureWarnings(capture=True)


def about(**facts: str) -> AbstractContextManager[None]:
    """Adds these facts (`job`, `method`) to every line that is logged inside the block."""
    return structlog.contextvars.bound_contextvars(**facts)


def _ending(for_people: bool, stream: TextIO) -> list[Processor]:
    if for_people:
        plain = structlog.dev.plain_traceback
        return [
            structlog.dev.ConsoleRenderer(
                colors=stream.isatty(), exception_formatter=plain, timestamp_key="time", pad_event_to=0
            )
        ]
    return [
        structlog.processors.format_exc_info,
        structlog.processors.EventRenamer("message"),
        structlog.processors.JSONRenderer(),
    ]


def _drop_private(logger: WrappedLogger, name: str, line: EventDict) -> EventDict:
    """Ray marks every record of a process that it runs in."""
    own = ("_record", "_from_structlog")
    return {key: value for key, value in line.items() if key in own or not key.startswith("_")}


def _add_trace(logger: WrappedLogger, name: str, line: EventDict) -> EventDict:
    if trace := tracing.trace_id():
        line["trace"] = trace
    return line
