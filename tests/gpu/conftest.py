"""What the tests on a real GPU share; `make test-gpu` runs them."""

from __future__ import annotations

import pytest
from fakes.tiny_llama import write_tiny_llama

from node.models.base import BaseModel, local_model


@pytest.fixture(scope="session")
def tiny_llama(tmp_path_factory: pytest.TempPathFactory) -> BaseModel:
    folder = tmp_path_factory.mktemp("models") / "tiny-llama"
    write_tiny_llama(folder)
    return local_model(folder)
