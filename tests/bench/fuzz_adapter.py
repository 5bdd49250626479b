"""Fuzzes the adapter gate: `PYTHONPATH=tests python tests/bench/fuzz_adapter.py [--seconds N] [--first NUMBER]`.

Honest adapters and each of the named malformed ones are changed at random and put before the gate. It must refuse with
a reason, or accept what the safetensors library reads in the same way, and then the copy that an engine would open must
hold the same tensors. Anything else, another kind of exception too, ends the run with the adapter's number;
`--first NUMBER --seconds 0` repeats it. Numbers start at a random one.
"""

from __future__ import annotations

import argparse
import re
import resource
import secrets
import sys
import tempfile
import time
import traceback
from collections import Counter
from pathlib import Path

from fakes.adapter_drafts import SHAPES, SPEC, Files
from fakes.adapter_fuzzing import agrees, changed_adapter
from figures import conclude
from safetensors import deserialize

from node.core.adapter import WEIGHTS
from node.detect.adapter import check_adapter
from node.errors import InvalidInput
from node.verifier.adapters import rewrite

MOST_SECONDS = 2.0
MOST_MIB = 512


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--first", type=int, default=secrets.randbelow(2**48))
    options = parser.parse_args()

    ends: Counter[str] = Counter()
    slowest, number = 0.0, options.first
    until = time.monotonic() + options.seconds
    print(f"from number {number}", file=sys.stderr)
    with tempfile.TemporaryDirectory(prefix="fuzz-adapter-") as folder:
        while True:
            name, files = changed_adapter(number)
            began = time.process_time()
            try:
                ends[gate(files, Path(folder))] += 1
            except BaseException:  # a panic of the library's is no Exception
                traceback.print_exc()
                conclude(figure=f"number {number}, once {name}, breaks the gate", target="none does", met=False)
                return 1
            slowest = max(slowest, time.process_time() - began)
            number += 1
            if time.monotonic() >= until:
                break
    for end, count in ends.most_common():
        print(f"{count:9}  {end}")
    peak_mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    met = slowest <= MOST_SECONDS and peak_mib <= MOST_MIB
    conclude(
        figure=f"{ends.total()} adapters, {ends['accepted']} accepted and read alike, the others refused; "
        f"at most {slowest * 1000:.0f} ms and {peak_mib:.0f} MiB",
        target=f"refused or read alike, {MOST_SECONDS:.0f} s, {MOST_MIB} MiB",
        met=met,
    )
    return 0 if met else 1


def gate(files: Files, folder: Path) -> str:
    """How it ended: "accepted", or the kind of refusal, without what it says of this very file."""
    paths = {name: folder / str(at) for at, name in enumerate(files)}
    for name, path in paths.items():
        path.write_bytes(files[name])
    try:
        tensors = check_adapter(paths, shapes=SHAPES, training=SPEC)
    except InvalidInput as refusal:
        said = refusal.message.removeprefix("The adapter is refused: ")
        return re.sub(r"tensor \S+ |'.*'|[\d=:;(\[].*", "", said).strip()
    copy = folder / "copy"
    rewrite(paths[WEIGHTS], tensors, copy)
    assert agrees(files, tensors), "the library reads it otherwise"
    assert dict(deserialize(copy.read_bytes())) == dict(deserialize(files[WEIGHTS])), "the copy holds other tensors"
    return "accepted"


if __name__ == "__main__":
    sys.exit(main())
