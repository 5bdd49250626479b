"""What a provider hands in: two files, and the digest that it commits to before it uploads them.

And, while it trains, the weights as they stand after each epoch, which nobody commits to.
"""

from __future__ import annotations

from collections.abc import Mapping

from node.crypto.digest import Digest, canonical_bytes, digest, sha256_digest

WEIGHTS = "adapter_model.safetensors"
CONFIG = "adapter_config.json"
FILES = frozenset({WEIGHTS, CONFIG})


def epoch_file(epoch: int) -> str:
    """The name of the weights as they stood after an epoch, where they lie with other files of their job."""
    return f"epoch-{epoch}.safetensors"


def adapter_digest(files: Mapping[str, bytes]) -> Digest:
    """The identity of an adapter: names and SHA-256 of its files."""
    return adapter_identity({name: sha256_digest(data) for name, data in files.items()})


def adapter_identity(files: Mapping[str, Digest]) -> Digest:
    """`adapter_digest`, for whoever knows the files by their SHA-256 only."""
    return digest("adapter", canonical_bytes({name: str(each) for name, each in files.items()}))
