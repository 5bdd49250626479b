"""The processes that a test started, by what their command lines say."""

from __future__ import annotations

import psutil


def started(part: str) -> list[psutil.Process]:
    """This process's descendants whose command line has this part."""
    return [each for each in psutil.Process().children(recursive=True) if part in command_line(each)]


def command_line(process: psutil.Process) -> str:
    """Empty for one that ended meanwhile."""
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""
