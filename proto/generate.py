"""Generates node/wire/hallmark from the .proto files: `python proto/generate.py [OUTPUT_FOLDER]`.

Generated imports are made relative, so that no package named `hallmark` or `proto` has to be importable.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

from grpc_tools import protoc

HERE = Path(__file__).parent
WELL_KNOWN = Path(protoc.__file__).parent / "_proto"
#: Named by its path: this environment's programs need not be on the PATH.
STUBS = Path(sys.executable).with_name("protoc-gen-mypy_grpc")


def generate(out: Path) -> None:
    sources = sorted(str(path) for path in HERE.glob("hallmark/**/*.proto"))
    flags = [f"--{kind}_out={out}" for kind in ("python", "pyi", "grpc_python", "mypy_grpc")]
    flags.append(f"--plugin=protoc-gen-mypy_grpc={STUBS}")
    if protoc.main(["protoc", f"--proto_path={HERE}", f"--proto_path={WELL_KNOWN}", *flags, *sources]) != 0:
        raise SystemExit("protoc refused; its reason stands above.")
    for folder in (out / "hallmark", out / "hallmark" / "v1"):
        (folder / "__init__.py").write_text('"""Generated from proto/; do not edit."""\n', encoding="utf-8")
    for file in (out / "hallmark" / "v1").glob("*_pb2*.py*"):
        text = file.read_text(encoding="utf-8")
        text = re.sub(r"^from hallmark\.v1 import (\w+) as", r"from . import \1 as", text, flags=re.MULTILINE)
        text = re.sub(r"^import hallmark\.v1\.(\w+)$", r"from . import \1", text, flags=re.MULTILINE)
        text = re.sub(r"^from hallmark\.v1 import", "from . import", text, flags=re.MULTILINE)
        text = text.replace("hallmark.v1.", "") if file.name.endswith("_grpc.pyi") else text
        file.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    generate(Path(sys.argv[1]) if len(sys.argv) > 1 else HERE.parent / "node" / "wire")
