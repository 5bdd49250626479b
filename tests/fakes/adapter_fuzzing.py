"""Random changes to an adapter's files, and what must hold of those that the gate accepts all the same."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy
from fakes.adapter_drafts import SHAPES, SPEC, Draft, Files, parted, weights
from fakes.hostile_adapters import MALFORMED
from safetensors import deserialize

from node.core.adapter import CONFIG, WEIGHTS
from node.detect.adapter_header import Tensor

_TOKENS = (
    *(character.encode() for character in '"{}[],: \n0-é'),
    *(b"1e3", b"null", b"true", b"NaN", b"\\u0041", b"9" * 20, b"\xff", b"\0"),
    *(b'"F16"', b'"BF16"', b'"I32"', b'"__metadata__": {"format": "pt"}, '),
)


def changed_adapter(number: int) -> tuple[str, dict[str, bytes]]:
    """(what it was, its files) after random changes: every other one was honest. Equal numbers, equal files."""
    draw = random.Random(number)
    name = draw.choice(("F32", "BF16", "F16") if draw.random() < 0.5 else tuple(MALFORMED))
    return name, mutated(_unchanged(name), draw)


@cache
def _unchanged(name: str) -> Files:
    return MALFORMED[name].spoil(Draft(SHAPES, SPEC)) if name in MALFORMED else Draft(SHAPES, SPEC, dtype=name).files()


def mutated(files: Files, draw: random.Random) -> dict[str, bytes]:
    """One to four random changes: to bytes anywhere, to a header's or configuration's text, to its numbers."""
    changed = dict(files)
    for _ in range(draw.choice((1, 1, 2, 4)) if files else 0):
        name = draw.choice([*changed, *(WEIGHTS for _ in range(3) if WEIGHTS in changed)])
        blob = changed[name]
        if draw.random() < 0.3:
            changed[name] = _bytes_changed(blob, draw)
        elif name == WEIGHTS and len(blob) >= 8:
            text, data = parted(blob)
            changed[name] = weights(_text_changed(text, draw), data, pad=draw.choice((b" ", b" ", b" ", b"")))
        else:
            changed[name] = _text_changed(blob, draw)
    return changed


def _bytes_changed(blob: bytes, draw: random.Random) -> bytes:
    at = draw.randrange(len(blob) + 1)
    kept = blob[at + draw.choice((0, 0, 1, 4)) :]
    return blob[:at] + draw.randbytes(draw.choice((0, 1, 1, 4))) + draw.choice((kept, kept, kept, b"", blob[at:]))


def _text_changed(text: bytes, draw: random.Random) -> bytes:
    number = list(re.finditer(rb"\d+", text))
    match draw.randrange(4):
        case 0 if number:
            found = draw.choice(number)
            other = max(int(found[0][:18]) + draw.choice((-8, -4, -1, 0, 1, 4, 8)), 0)
            return text[: found.start()] + b"%d" % draw.choice((other, other, 0, 2**63, 2**64)) + text[found.end() :]
        case 1:
            parts = re.split(rb"(?<=[,:{}\[\]])", text)
            one, other = draw.randrange(len(parts)), draw.randrange(len(parts))
            parts[one], parts[other] = parts[other], parts[one]
            return b"".join(parts)
        case 2:
            at = draw.randrange(len(text) + 1)
            return text[:at] + draw.choice(_TOKENS) + text[at:]
        case _:
            start = draw.randrange(len(text) + 1)
            end = start + draw.randrange(24)
            return text[:start] + text[start:end] * draw.choice((0, 2)) + text[end:]


def agrees(files: Files, tensors: Sequence[Tensor]) -> bool:
    """Whether what the gate returned for files that it accepted is what others read: the oracle of fuzzing.

    The safetensors library reads the same tensors, byte for byte; NumPy finds every value finite; and Python's lenient
    JSON reader finds the agreed rank, alpha and targets.
    """
    read = dict(deserialize(files[WEIGHTS]))
    ours = {each.name: (each.dtype, list(each.shape), files[WEIGHTS][each.start : each.end]) for each in tensors}
    theirs = {name: (each["dtype"], each["shape"], bytes(each["data"])) for name, each in read.items()}
    config = json.loads(files[CONFIG])
    return (
        ours == theirs
        and all(numpy.isfinite(_values(dtype, data)).all() for dtype, _, data in theirs.values())
        and (config["r"], config["lora_alpha"]) == (SPEC.lora_rank, SPEC.lora_alpha)
        and sorted(config["target_modules"]) == sorted(SPEC.target_modules)
    )


def _values(dtype: str, data: bytes) -> numpy.ndarray[Any, Any]:
    if dtype == "BF16":  # the upper half of a float32
        return (numpy.frombuffer(data, "<u2").astype("<u4") << 16).view("<f4")
    return numpy.frombuffer(data, {"F32": "<f4", "F16": "<f2"}[dtype])
