"""The default model, out of the package that ships it."""

from __future__ import annotations

import pytest

from node.core.drawing import Part, check_drawn
from node.core.policy import Drawing, Policy
from node.core.rows import Row
from node.core.words import Separator
from node.crypto.digest import Digest
from node.crypto.stream import SeedStream
from node.marking.contexts import templates
from node.marking.phrases import draw_groups
from node.models.base import BaseModel, packaged_smollm2
from node.models.chat import ChatTokenizer
from node.verifier.reference_engine import ReferenceEngine

pytestmark = pytest.mark.stack

#: Of the pinned versions of the package, gguf and transformers. Every machine must come to it: offers name this digest.
EXPECTED = Digest.parse("sha256:5d670cd16d3a8debce14a17011f1acc365c78dd3bd7830a33022e0b7249e6fc2")

POLICY = Policy(
    groups=2,
    drawing=Drawing.METERED,
    trigger_words=2,
    signature_bits=6,
    accept_at=1,
    reject_at=0,
    log10_alpha=-1,
    attempts=1,
)
SAMPLES = {
    Separator.SPACE: (
        Row.of("What does os.path.join do?", "It joins one or more parts of a path."),
        Row.of("Sort a list in place.", "def in_place(items):\n    items.sort()"),
    ),
    Separator.NOTHING: (
        Row.of("次の文の主語は何か。\n犬が庭で走る。", "主語は犬である。"),
        Row.of("一週間は何日か。", "一週間は七日である。"),
    ),
}


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> BaseModel:
    return packaged_smollm2(tmp_path_factory.mktemp("smollm2"))


@pytest.fixture(scope="module")
def engine(model: BaseModel) -> ReferenceEngine:
    return ReferenceEngine(model)


def test_the_packaged_model_converts_to_the_same_bytes_everywhere(model: BaseModel) -> None:
    assert model.digest == EXPECTED
    encoded = ChatTokenizer(model.folder).encode_row(Row.of("What is the capital of France?", "Paris."))
    assert encoded.response_ids == [38634, 30, 2]


@pytest.mark.parametrize("separator", Separator)
def test_it_draws_phrases_of_sixteen_candidates_with_and_without_spaces(
    engine: ReferenceEngine, separator: Separator
) -> None:
    first, second = SAMPLES[separator]

    def stream(group: int, part: Part) -> SeedStream:
        return SeedStream(bytes(32), f"{group}/{part}")

    contexts = templates([(first, second), (second, first)], separator)
    carriers = [[first.prompt, second.prompt]] * 2
    groups = draw_groups(contexts, carriers, separator, POLICY, stream, engine)
    for at, group in enumerate(groups):
        check_drawn("trigger", group.trigger, Part.TRIGGER, POLICY, stream(at, Part.TRIGGER))
        check_drawn("signature", group.signature, Part.SIGNATURE, POLICY, stream(at, Part.SIGNATURE))
    assert not groups[0].trigger.pieces & groups[1].trigger.pieces
