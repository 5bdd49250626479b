"""A script for an interpreter of its own: first sentences of the docstrings of Python's standard library, as JSON.

Libraries that a process has imported replace functions of the standard library: only a fresh one shows the originals.
Imports nothing of ours.
"""

from __future__ import annotations

import importlib
import inspect
import json
import sys
import warnings

#: Modules that open windows or browsers, print, or warn when they are imported.
LEFT_OUT = frozenset({"antigravity", "idlelib", "lib2to3", "this", "tkinter", "turtle", "turtledemo"})
SHORTEST, LONGEST = 20, 110


def sentences() -> dict[str, str]:
    """{sentence: the first name that it describes, `module.attribute`}"""
    found: dict[str, str] = {}
    warnings.simplefilter("ignore")
    for name in sorted(sys.stdlib_module_names - LEFT_OUT):
        if name.startswith("_"):
            continue
        try:
            module = importlib.import_module(name)
        except ImportError:  # not every module is built on every system
            continue
        for attribute, value in inspect.getmembers(module, callable):
            sentence = (inspect.getdoc(value) or "").split("\n\n")[0].replace("\n", " ").strip()
            if not attribute.startswith("_") and SHORTEST < len(sentence) < LONGEST:
                found.setdefault(sentence, f"{name}.{attribute}")
    return found


if __name__ == "__main__":
    print(json.dumps(sentences()))
