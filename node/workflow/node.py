"""What the verbs of this package work with: the node's ports and keys. Built once, in `bootstrap`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from node.crypto.digest import Digest
from node.crypto.signing import PrivateKey, PublicKey
from node.ports.adapters import Adapters
from node.ports.blobs import Blobs
from node.ports.clock import Clock
from node.ports.entropy import Entropy
from node.ports.inference import Inference
from node.ports.language_model import LanguageModel
from node.ports.tokenizer import Tokenizer
from node.ports.unit_of_work import UnitOfWork


@dataclass(frozen=True, slots=True)
class Limits:
    """The largest training specification that this node can verify, and the least time that it needs for its part.

    An offer that left it less would be an offer for its bond: silence after the upload pays the provider from there.
    """

    max_length_tokens: int
    max_lora_rank: int
    least_reveal_seconds: int = 60
    least_evaluate_seconds: int = 600


@dataclass(frozen=True, slots=True)
class Node:
    """`key` signs messages, `log_key` the log's checkpoints. `base_model` is what this node verifies on."""

    units: Callable[[], UnitOfWork]
    blobs: Blobs
    clock: Clock
    entropy: Entropy
    key: PrivateKey
    log_key: PrivateKey
    base_model: Digest
    limits: Limits
    tokenizer: Tokenizer
    language_model: LanguageModel
    inference: Inference
    adapters: Adapters

    @property
    def trusted(self) -> dict[str, PublicKey]:
        """Coordinators whose signatures this node takes: itself."""
        public = self.key.public
        return {public.key_id: public}
