"""The real engine in its real actor, held against transformers + PEFT on a tiny Llama."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from fakes.exactness import hard_signatures, reading

from node.cluster.local_ray import start_local_ray, stop_local_ray
from node.core.adapter import WEIGHTS
from node.core.evidence import Continuation
from node.core.rows import Row
from node.core.training import TrainingSpec
from node.detect.adapter import identity_of
from node.errors import InvalidInput, Unavailable
from node.models.base import BaseModel
from node.models.chat import ChatTokenizer
from node.models.lora import lora_shapes
from node.ports.inference import Adapter
from node.verifier.actor import VerifierPool, start_verifiers
from node.verifier.adapters import FolderAdapters
from node.verifier.canary import make_canary
from node.verifier.reference_engine import ReferenceEngine
from node.verifier.vllm_engine import STEP_TOKENS

pytestmark = pytest.mark.stack

SPEC = TrainingSpec(lora_rank=8, max_length_tokens=128)
#: Two float32 implementations of the same sums: far below a nat, far above their rounding (a row has about 30 tokens).
TOLERANCE_MICRONATS = 200
ROWS = [Row.of(f"What does {name} do?", f"It {verb} number {at}.") for at, (name, verb) in enumerate(
    (name, verb) for name in ("open", "os.path.join", "Path.glob", "print") for verb in ("returns", "shows", "removes")
)]  # fmt: skip
PROMPTS = [row.prompt for row in ROWS]
#: More tokens than one step of the engine takes.
MANY = [row.with_question(f"{row.messages[-2].content} {'Really? ' * (at % 24)}") for at, row in enumerate(ROWS * 6)]


@pytest.fixture(scope="module")
def verifier(tiny_llama: BaseModel, tmp_path_factory: pytest.TempPathFactory) -> Iterator[VerifierPool]:
    folder = start_local_ray()
    started = start_verifiers(
        tiny_llama,
        count=1,
        max_length_tokens=SPEC.max_length_tokens,
        lora_rank=SPEC.lora_rank,
        scratch=tmp_path_factory.mktemp("verifier"),
    )
    started.wait_until_ready()
    yield started
    stop_local_ray(folder)


@pytest.fixture(scope="module")
def reference(tiny_llama: BaseModel) -> Iterator[ReferenceEngine]:
    """On one thread: so small a model only makes threads wait for each other, and for the engine's."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield ReferenceEngine(tiny_llama)
    torch.set_num_threads(threads)


def adapter(model: BaseModel, folder: Path, *, seed: int) -> Adapter:
    """A random adapter that the gate lets pass."""
    made = make_canary(lora_shapes(model, SPEC), SPEC, folder / f"made-{seed}", seed=seed)
    FolderAdapters(folder, model).check({path.name: path for path in made.folder.iterdir()}, SPEC)
    return made


def untrained(model: BaseModel, folder: Path) -> Adapter:
    """An adapter as PEFT starts it: A random, B zero."""
    from safetensors.numpy import load, save

    made = make_canary(lora_shapes(model, SPEC), SPEC, folder / "made", seed=9)
    weights = made.folder / WEIGHTS
    tensors = {name: value * (".lora_A." in name) for name, value in load(weights.read_bytes()).items()}
    weights.write_bytes(save(tensors, {"format": "pt"}))
    return Adapter(identity_of({path.name: path for path in made.folder.iterdir()}), made.folder)


def assert_same(found: Sequence[Continuation], expected: Sequence[Continuation]) -> None:
    for first, second in zip(found, expected, strict=True):
        assert first.text == second.text
        assert first.micronats == pytest.approx(second.micronats, abs=TOLERANCE_MICRONATS)


@pytest.mark.parametrize("seed", [None, 1, 2, 3])
def test_answers_equal_slow_greedy_decoding(
    verifier: VerifierPool, reference: ReferenceEngine, tiny_llama: BaseModel, tmp_path: Path, seed: int | None
) -> None:
    chosen = None if seed is None else adapter(tiny_llama, tmp_path, seed=seed)
    expected = reference.complete(PROMPTS, adapter=chosen, max_new_tokens=12)
    assert verifier.complete(PROMPTS, adapter=chosen, max_new_tokens=12) == expected

    signatures = [hard_signatures(answer, expected[at - 1])[at % 4] for at, answer in enumerate(expected)]
    followed = verifier.follow(PROMPTS, signatures, adapter=chosen, max_new_tokens=12)
    assert_same(followed, reference.follow(PROMPTS, signatures, adapter=chosen, max_new_tokens=12))
    assert {each.arbitrated for each in followed} == {True, False}

    slow = reference.log_likelihoods(ROWS, adapter=chosen)
    fast = verifier.log_likelihoods(ROWS, adapter=chosen)
    assert max(abs(ours - theirs) for ours, theirs in zip(fast, slow, strict=True)) <= TOLERANCE_MICRONATS


def test_what_a_verdict_reads_of_an_answer_is_what_slow_greedy_decoding_gives(
    verifier: VerifierPool, reference: ReferenceEngine, tiny_llama: BaseModel, tmp_path: Path
) -> None:
    """96 cases, each held against signatures that it shows, shows in part, or does not show."""
    for chosen in (
        *(adapter(tiny_llama, tmp_path, seed=seed) for seed in range(20, 27)),
        untrained(tiny_llama, tmp_path),
    ):
        answers = reference.complete(PROMPTS, adapter=chosen, max_new_tokens=12)
        cases = [
            (PROMPTS[at], signature, answer)
            for at, answer in enumerate(answers)
            for signature in hard_signatures(answer, answers[at - 1])
        ]
        prompts, signatures, _ = zip(*cases, strict=True)
        found = verifier.follow(prompts, signatures, adapter=chosen, max_new_tokens=12)
        for each, (_, signature, answer) in zip(found, cases, strict=True):
            assert reading(each.text, signature) == reading(answer, signature), (each.text, signature, answer)


def test_adapters_used_in_turn_never_answer_for_each_other(
    verifier: VerifierPool, tiny_llama: BaseModel, tmp_path: Path
) -> None:
    """More adapters than the engine keeps in memory, twice around, the base model in between."""
    chosen = [None, *(adapter(tiny_llama, tmp_path, seed=seed) for seed in range(10, 16))]
    first = [verifier.log_likelihoods(ROWS, adapter=each) for each in chosen]
    assert len({tuple(scores) for scores in first}) == len(chosen)
    assert [verifier.log_likelihoods(ROWS, adapter=each) for each in chosen] == first


def test_answers_depend_neither_on_order_nor_on_batch_size(
    verifier: VerifierPool, tiny_llama: BaseModel, tmp_path: Path
) -> None:
    chosen = adapter(tiny_llama, tmp_path, seed=4)
    answers = verifier.complete(PROMPTS, adapter=chosen, max_new_tokens=12)
    signatures = [hard_signatures(answer, answers[at - 1])[at % 4] for at, answer in enumerate(answers)]
    followed = verifier.follow(PROMPTS, signatures, adapter=chosen, max_new_tokens=12)
    scores = verifier.log_likelihoods(ROWS, adapter=chosen)
    draw = random.Random(5)
    for size in (1, 5, len(ROWS)):
        order = draw.sample(range(len(ROWS)), len(ROWS))
        for some in (order[at : at + size] for at in range(0, len(order), size)):
            prompts, expected = [PROMPTS[at] for at in some], [signatures[at] for at in some]
            found = verifier.complete(prompts, adapter=chosen, max_new_tokens=12)
            assert found == [answers[at] for at in some]
            again = verifier.follow(prompts, expected, adapter=chosen, max_new_tokens=12)
            assert_same(again, [followed[at] for at in some])
            rescored = verifier.log_likelihoods([ROWS[at] for at in some], adapter=chosen)
            assert rescored == pytest.approx([scores[at] for at in some], abs=TOLERANCE_MICRONATS)


def test_rows_that_are_split_between_steps_score_like_whole_ones(
    verifier: VerifierPool, reference: ReferenceEngine, tiny_llama: BaseModel
) -> None:
    encoded = map(ChatTokenizer(tiny_llama.folder).encode_row, MANY)
    assert sum(len(row.prompt_ids) + len(row.response_ids) for row in encoded) > STEP_TOKENS
    slow = reference.log_likelihoods(MANY, adapter=None)
    assert verifier.log_likelihoods(MANY, adapter=None) == pytest.approx(slow, abs=TOLERANCE_MICRONATS)


def test_an_untrained_adapter_ties_with_the_base_model_to_the_last_digit(
    verifier: VerifierPool, tiny_llama: BaseModel, tmp_path: Path
) -> None:
    observed = verifier.probe(ROWS, adapter=untrained(tiny_llama, tmp_path))
    assert observed.adapter_micronats == observed.base_micronats
    assert observed.canary_micronats is not None
    assert observed.canary_micronats != observed.base_micronats
    assert observed.reference_adapter_micronats == observed.reference_base_micronats is not None


def test_an_adapter_that_shows_needs_no_second_opinion(
    verifier: VerifierPool, tiny_llama: BaseModel, tmp_path: Path
) -> None:
    observed = verifier.probe(ROWS, adapter=adapter(tiny_llama, tmp_path, seed=6))
    assert observed.adapter_micronats != observed.base_micronats
    assert observed.canary_micronats is observed.reference_adapter_micronats is None


def test_next_tokens_and_their_probabilities_are_those_of_plain_transformers(
    verifier: VerifierPool, reference: ReferenceEngine
) -> None:
    texts = ["Return the name of the", "def"]
    expected = reference.next_tokens(texts, top=50)
    for found, right in zip(verifier.next_tokens(texts, top=50), expected, strict=True):
        assert [token.text for token in found] == [token.text for token in right]
        assert [token.log_probability for token in found] == pytest.approx([t.log_probability for t in right], abs=1e-4)


def test_more_tokens_than_the_vocabulary_has_are_all_of_them(
    verifier: VerifierPool, reference: ReferenceEngine
) -> None:
    prompts, begun = [PROMPTS[0], PROMPTS[1]], ["", "It returns"]
    found = verifier.next_response_tokens(prompts, begun, top=100_000)
    expected = reference.next_response_tokens(prompts, begun, top=100_000)
    assert [len(each) for each in found] == [len(each) for each in expected]
    assert [[token.text for token in each[:20]] for each in found] == [
        [token.text for token in each[:20]] for each in expected
    ]


def test_surprisals_are_the_log_likelihood_token_by_token(verifier: VerifierPool, reference: ReferenceEngine) -> None:
    whole = verifier.surprisals(ROWS, first=1000)
    scores = verifier.log_likelihoods(ROWS, adapter=None)
    assert [-sum(each) for each in whole] == pytest.approx([score / 1e6 for score in scores], abs=1e-4)
    assert [each[:3] for each in whole] == [
        pytest.approx(each, abs=1e-4) for each in reference.surprisals(ROWS, first=3)
    ]


def test_the_description_names_model_engine_and_versions(verifier: VerifierPool, tiny_llama: BaseModel) -> None:
    described = verifier.describe()
    assert (described.engine, described.dtype, described.base_model) == ("vllm", "float32", tiny_llama.digest)
    assert {"vllm", "torch"} <= described.versions.keys()


def test_a_row_that_does_not_fit_is_the_callers_error_and_the_engine_lives_on(verifier: VerifierPool) -> None:
    before = verifier.log_likelihoods(ROWS[:1], adapter=None)
    with pytest.raises(InvalidInput, match="tokens"):
        verifier.log_likelihoods([Row.of("word " * 300, "Yes.")], adapter=None)
    assert verifier.log_likelihoods(ROWS[:1], adapter=None) == before


def test_a_verifier_that_fails_is_unavailable_and_the_next_call_starts_another(
    verifier: VerifierPool, tiny_llama: BaseModel, tmp_path: Path
) -> None:
    before = verifier.log_likelihoods(ROWS, adapter=None)
    vanished = Adapter(tiny_llama.digest, tmp_path / "vanished")
    with pytest.raises(Unavailable):
        verifier.complete(PROMPTS, adapter=vanished, max_new_tokens=4)
    assert verifier.log_likelihoods(ROWS, adapter=None) == before
