"""The default model, out of the package that ships it."""

from __future__ import annotations

from pathlib import Path

import pytest

from node.core.rows import Row
from node.crypto.digest import Digest
from node.models.base import packaged_smollm2
from node.models.chat import ChatTokenizer

pytestmark = pytest.mark.stack

#: Of the pinned versions of the package, gguf and transformers. Every machine must come to it: offers name this digest.
EXPECTED = Digest.parse("sha256:7e620886e3bc31d64252a201e68c7f37d864940f08ea82632a44ae244bda3069")


def test_the_packaged_model_converts_to_the_same_bytes_everywhere(tmp_path: Path) -> None:
    model = packaged_smollm2(tmp_path)
    assert model.digest == EXPECTED
    encoded = ChatTokenizer(model.folder).encode_row(Row.of("What is the capital of France?", "Paris."))
    assert encoded.response_ids == [38634, 30, 2]
