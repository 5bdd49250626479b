"""Turns a GGUF file into an ordinary model directory: bfloat16 safetensors, config, tokenizer and chat template.

Quantised weights are de-quantised once; the result is an ordinary model whose bytes repeat from run to run.
`python -m node.models.gguf GGUF FOLDER` does it in a process of its own. Knows nothing of caches or digests.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any


def convert(gguf: Path, folder: Path) -> None:
    """Writes the model of `gguf` into the existing empty `folder`: about 20 s and 1.5 GB for SmolLM2-135M."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    # The tokenizer's configuration keeps the option: were it left to HF_HUB_OFFLINE, digests would differ with that.
    source = {"gguf_file": gguf.name, "local_files_only": True}
    tokenizer = AutoTokenizer.from_pretrained(gguf.parent, **source)
    model: Any = AutoModelForCausalLM.from_pretrained(gguf.parent, **source, dtype=torch.float32)
    # The weights are plain numbers by now; what is left of the quantiser would only forbid saving.
    model.hf_quantizer = None
    model.is_quantized = False
    if hasattr(model.config, "quantization_config"):
        del model.config.quantization_config
    model.to(torch.bfloat16).save_pretrained(folder)
    tokenizer.save_pretrained(folder)


if __name__ == "__main__":
    convert(Path(sys.argv[1]), Path(sys.argv[2]))
