"""What the adapter gate costs: `PYTHONPATH=tests python tests/bench/bench_adapter_gate.py`. A few minutes.

Each malformed adapter by name, then honest ones, at the size of an adapter of rank 31 over a model like SmolLM2-135M
(38 MB in float32; odd dimensions, so that data can be misaligned), and an honest one of rank 64 over a model of 8B
parameters (370 MB in bfloat16). Each in a process of its own, whose time on the processor, Python's start included, and
whose greatest memory are told. QUICK=1: every tenth.
"""

from __future__ import annotations

import json
import pickle
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from fakes.adapter_drafts import Draft, Files, shapes_of
from fakes.hostile_adapters import MALFORMED
from figures import QUICK, conclude

from node.core.training import TrainingSpec
from node.detect.adapter import check_adapter
from node.detect.adapter_header import Shapes
from node.errors import InvalidInput

MOST_SECONDS = 2.0
MOST_MIB = 512

SMALL = TrainingSpec(lora_rank=31)
SMALL_SHAPES = shapes_of(SMALL, layers=30, width=575, inner=1535)
LARGE = TrainingSpec(lora_rank=64)
LARGE_SHAPES = shapes_of(LARGE, layers=32, width=4096, inner=14336)


@dataclass(frozen=True, slots=True)
class Case:
    """`reason` is a part of what must be said; empty for an honest adapter."""

    name: str
    files: Files
    reason: str
    spec: TrainingSpec
    shapes: Shapes


@dataclass(frozen=True, slots=True)
class Cost:
    """`said`: the refusal, or nothing."""

    said: str
    seconds: float
    peak_mib: float


def cases() -> Iterator[Case]:
    for name, malformed in [*MALFORMED.items()][:: 10 if QUICK else 1]:
        yield Case(name, malformed.spoil(Draft(SMALL_SHAPES, SMALL)), malformed.reason, SMALL, SMALL_SHAPES)
    for dtype in ("F32", "BF16", "F16"):
        yield Case(f"honest, {dtype}", Draft(SMALL_SHAPES, SMALL, dtype=dtype).files(), "", SMALL, SMALL_SHAPES)
    yield Case("honest, rank 64, 8B", Draft(LARGE_SHAPES, LARGE, dtype="BF16").files(), "", LARGE, LARGE_SHAPES)


def measured(case: Case, folder: Path) -> Cost:
    paths = {name: folder / str(at) for at, name in enumerate(case.files)}
    for name, path in paths.items():
        path.write_bytes(case.files[name])
    arguments = pickle.dumps({"files": paths, "shapes": case.shapes, "training": case.spec})
    done = subprocess.run([sys.executable, __file__, "gate"], input=arguments, capture_output=True, check=True)
    return Cost(**json.loads(done.stdout))


def gate() -> None:
    """In a process of its own: arguments on standard input, a Cost as JSON on output."""
    try:
        check_adapter(**pickle.load(sys.stdin.buffer))  # noqa: S301 - our own
        said = ""
    except InvalidInput as refusal:
        said = refusal.message
    peak_kib = re.findall(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())[0]
    print(json.dumps({"said": said, "seconds": time.process_time(), "peak_mib": int(peak_kib) / 1024}))


def main() -> int:
    costs: dict[str, Cost] = {}
    wrong = []
    with tempfile.TemporaryDirectory(prefix="bench-adapter-") as folder:
        for case in cases():
            cost = costs[case.name] = measured(case, Path(folder))
            if bool(cost.said) != bool(case.reason) or case.reason not in cost.said:
                wrong.append(case.name)
                print(f"{case.name}: {cost.said or 'accepted'}")
    print("| adapter | seconds | MiB |\n|---|---|---|")
    slowest = sorted(costs, key=lambda name: costs[name].seconds, reverse=True)[:5]
    for name in dict.fromkeys([*slowest, *(name for name in costs if name.startswith("honest"))]):
        print(f"| {name} | {costs[name].seconds:.2f} | {costs[name].peak_mib:.0f} |")
    seconds, peak_mib = (max(getattr(cost, what) for cost in costs.values()) for what in ("seconds", "peak_mib"))
    met = not wrong and seconds <= MOST_SECONDS and peak_mib <= MOST_MIB
    conclude(
        figure=f"{len(costs) - len(wrong)} of {len(costs)} right; at most {seconds:.2f} s and {peak_mib:.0f} MiB",
        target=f"all, each refusal with its reason, within {MOST_SECONDS:.0f} s and {MOST_MIB} MiB",
        met=met,
    )
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(gate() if sys.argv[1:] == ["gate"] else main())
