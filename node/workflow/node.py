"""What the verbs of this package work with: the node's ports and keys. Built once, in `bootstrap`."""

from __future__ import annotations

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
from node.ports.unit_of_work import Units


@dataclass(frozen=True, slots=True)
class Limits:
    """The largest training specification and policy that this node can verify, and the least time for its part.

    An offer that asked for more, or left less time, would be an offer for its bond: silence after the upload pays the
    provider from there.

    Attributes:
        max_rows: of one data set; opening it at the reveal has to take far less than `least_reveal_seconds`.
        max_asked_rows: prompts and scored rows of one verification, each for base and adapter.
        max_drawing_prompts: texts that the generator may be asked to continue until the marks of one job are drawn,
            should every phrase be as long and every attempt fail.
        longest_deadline_seconds: so long at most a bond may be locked in one state.
        least_evaluate_seconds: for one evaluation; a job waits for those before it.
        most_bond_prices: the bond that an offer may ask of this node, in multiples of its price.
        most_upload_bytes: of one party, in uploads of which nothing was made yet.
        most_data_set_bytes: of one party.
    """

    max_length_tokens: int
    max_lora_rank: int
    max_rows: int = 200_000
    max_asked_rows: int = 2000
    max_drawing_prompts: int = 50_000
    longest_deadline_seconds: int = 7 * 86_400
    least_reveal_seconds: int = 60
    least_evaluate_seconds: int = 600
    most_bond_prices: int = 2
    largest_upload_bytes: int = 2 << 30
    most_upload_bytes: int = 4 << 30
    most_data_set_bytes: int = 16 << 30


@dataclass(frozen=True, slots=True)
class Tariff:
    """What this node proposes where an offer is still to be made. Nobody has to follow it.

    Attributes:
        price_minor: for 1,000 trained tokens.
        arbiter: key id; None leaves jobs without a way to challenge their verdict.
    """

    token: str = "CREDIT"
    price_minor: int = 100
    arbiter: str | None = None


@dataclass(frozen=True, slots=True)
class Node:
    """`key` signs messages, `log_key` the log's checkpoints. `base_model` is what this node verifies on.

    `prompt_model` lets that model write what triggers continue, instead of a template.
    """

    units: Units
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
    prompt_model: bool = False
    tariff: Tariff = Tariff()

    @property
    def trusted(self) -> dict[str, PublicKey]:
        """Coordinators whose signatures this node takes: itself."""
        public = self.key.public
        return {public.key_id: public}
