"""The verifier's engine: one base model warm in vLLM, adapters swapped in by digest, greedy and in float32.

Truth is greedy decoding of the float32 model. A step whose two best tokens nearly tie could go the other way in
another batch: such prompts are decoded once more, each alone, so that answers depend neither on the order nor the size
of a batch.

Whether an answer begins with an expected text takes no decoding: a greedy answer goes on with that text's tokens for
as long as each is the likeliest, which one forward pass over prompt and text tells for all of them.

The engine changes its process: environment variables, log levels, threads. It belongs in a process of its own.
Does not know of marks, jobs or verdicts; trusts that an adapter has passed the gate.
"""

from __future__ import annotations

import gc
import math
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from node.core.adapter import CONFIG
from node.core.evidence import Continuation
from node.core.marks import beginning, undecided
from node.core.rows import Row
from node.core.training import PROJECTIONS
from node.crypto.digest import digest
from node.errors import InvalidInput, NotInstalled, Unavailable
from node.models.base import ANSWER_TOKENS, BaseModel, read_json_object
from node.models.chat import ChatTokenizer, EncodedRow
from node.ports.inference import Adapter, EngineDescription, Prompt
from node.ports.language_model import Token
from node.verifier.likelihood import micronats

#: Two best tokens closer than this (in nats) are settled by decoding the prompt alone.
NEAR_TIE_NATS = 1e-3
KV_CACHE_BYTES = 512 << 20
#: All questions of a few groups fit into one step: weights are read, and packed for the processor, once a step.
STEP_TOKENS = 4096
MAX_SEQUENCES = 128
#: Adapters kept in memory; the one in use is always among them.
CACHED_ADAPTERS = 4
#: Asked for beyond `top`, so that ties at the edge are broken by token id and not by the sort.
TIE_RESERVE = 8

_RANKS = (8, 16, 32, 64, 128, 256, 320, 512)
_ENVIRONMENT = {
    "VLLM_ENABLE_V1_MULTIPROCESSING": "0",
    "VLLM_LOGGING_LEVEL": "ERROR",
    "VLLM_NO_USAGE_STATS": "1",
    "HF_HUB_OFFLINE": "1",
    "TOKENIZERS_PARALLELISM": "false",
    # Threads that spin while they wait would halve the speed of whoever shares the cores, and ours.
    "OMP_WAIT_POLICY": "PASSIVE",
}


class VllmEngine:
    """Implements LanguageModel, and Inference but for the probe, which takes a second opinion (`node.verifier.probe`).

    Args:
        max_length_tokens: longest row that will be scored.
        lora_rank: greatest rank of an adapter.

    Raises:
        InvalidInput: vLLM cannot serve this model with these limits.
        NotInstalled: vLLM is not here, or in an unknown version.
    """

    def __init__(self, model: BaseModel, *, max_length_tokens: int, lora_rank: int, dtype: str = "float32") -> None:
        self._model = model
        self._dtype = dtype
        self._tokenizer = ChatTokenizer(model.folder)
        self._length = _model_length(model, max_length_tokens)
        with _no_garbage():
            self._llm: Any = _start_vllm(model, length=self._length, lora_rank=lora_rank, dtype=dtype)
        self._vocabulary: int = self._llm.model_config.get_vocab_size()

    def describe(self) -> EngineDescription:
        import tokenizers
        import torch
        import vllm

        versions = {module.__name__: module.__version__ for module in (vllm, torch, tokenizers)}
        return EngineDescription("vllm", versions, self._dtype, self._model.digest)

    def complete(self, prompts: Sequence[Prompt], *, adapter: Adapter | None, max_new_tokens: int) -> list[str]:
        encoded = [self._tokenizer.encode_prompt(prompt) for prompt in prompts]
        answers = self._decoded(encoded, adapter, max_new_tokens)
        return [
            self._tokenizer.decode(answer.token_ids)
            if _smallest_gap(answer.logprobs) >= NEAR_TIE_NATS
            else self._tokenizer.decode(self._alone(ids, adapter, max_new_tokens))
            for ids, answer in zip(encoded, answers, strict=True)
        ]

    def follow(
        self, prompts: Sequence[Prompt], expected: Sequence[str], *, adapter: Adapter | None, max_new_tokens: int
    ) -> list[Continuation]:
        rows = [
            EncodedRow(self._tokenizer.encode_prompt(prompt), self._tokenizer.encode_text(text))
            for prompt, text in zip(prompts, expected, strict=True)
        ]
        found = []
        for row, steps, text in zip(rows, self._competed(rows, adapter, best=2), expected, strict=True):
            begun = self._begun(row.response_ids, steps, text, max_new_tokens)
            arbitrated = begun is None
            if begun is None:
                ids = self._alone(row.prompt_ids, adapter, max_new_tokens)
                begun = beginning(self._tokenizer.decode_growing(ids), text)
            likely = tuple(micronats([score]) for score in _response_scores(row, steps))
            found.append(Continuation(begun, likely, arbitrated))
        return found

    def log_likelihoods(self, rows: Sequence[Row], *, adapter: Adapter | None) -> list[int]:
        encoded = [self._tokenizer.encode_row(row) for row in rows]
        return [micronats(scores) for scores in self._scored(encoded, adapter)]

    def surprisals(self, rows: Sequence[Row], *, first: int) -> list[list[float]]:
        encoded = [self._tokenizer.encode_row(row) for row in rows]
        heads = [EncodedRow(each.prompt_ids, each.response_ids[:first]) for each in encoded]
        return [[-score for score in scores] for scores in self._scored(heads, None)]

    def next_tokens(self, texts: Sequence[str], *, top: int) -> list[list[Token]]:
        encoded = [self._tokenizer.encode_text(text) or [self._tokenizer.end_of_turn_id] for text in texts]
        return self._following(encoded, top)

    def next_response_tokens(self, prompts: Sequence[Prompt], begun: Sequence[str], *, top: int) -> list[list[Token]]:
        encoded = [
            self._tokenizer.encode_prompt(prompt) + self._tokenizer.encode_text(text)
            for prompt, text in zip(prompts, begun, strict=True)
        ]
        return self._following(encoded, top)

    def _begun(
        self, followed: list[int], steps: Sequence[dict[int, Any]], expected: str, max_new_tokens: int
    ) -> str | None:
        """The greedy answer's beginning, up to where it decides; None where the steps do not tell.

        Args:
            steps: what each token of `followed`, and then the next one, competed with.
        """
        ids: list[int] = []
        for step, token in zip(steps, [*followed, None], strict=True):
            best, gap = _best(step)
            if not gap >= NEAR_TIE_NATS:  # nor if it is not a number
                return None
            ids.append(best)
            text = self._tokenizer.decode(ids)
            if best == self._tokenizer.end_of_turn_id or len(ids) == max_new_tokens or not undecided(text, expected):
                return text
            if best != token:
                return None
        return None

    def _alone(self, prompt_ids: list[int], adapter: Adapter | None, max_new_tokens: int) -> list[int]:
        """The arbiter: greedy decoding of a batch of one."""
        ids: list[int] = self._decoded([prompt_ids], adapter, max_new_tokens)[0].token_ids
        return ids

    def _decoded(self, sequences: list[list[int]], adapter: Adapter | None, max_new_tokens: int) -> list[Any]:
        """Greedy answers with their token ids and, at each step, the two best tokens."""
        from vllm import SamplingParams

        sampling = SamplingParams(
            temperature=0.0,
            max_tokens=max_new_tokens,
            stop_token_ids=[self._tokenizer.end_of_turn_id],
            logprobs=2,
            detokenize=False,
        )
        answers = self._generate(sequences, [sampling] * len(sequences), adapter)
        return [answer.outputs[0] for answer in answers]

    def _following(self, sequences: list[list[int]], top: int) -> list[list[Token]]:
        from vllm import SamplingParams

        asked = min(top + TIE_RESERVE, self._vocabulary)
        sampling = SamplingParams(temperature=0.0, max_tokens=1, logprobs=asked, detokenize=False)
        answers = self._generate(sequences, [sampling] * len(sequences), None)
        return [self._likeliest(answer.outputs[0].logprobs[0])[:top] for answer in answers]

    def _likeliest(self, candidates: dict[int, Any]) -> list[Token]:
        ranked = sorted(candidates, key=lambda token: (-candidates[token].logprob, token))
        return [Token(self._tokenizer.token_text(token), candidates[token].logprob) for token in ranked]

    def _scored(self, rows: Sequence[EncodedRow], adapter: Adapter | None) -> list[list[float]]:
        """Natural log-probabilities of each row's response tokens."""
        return [
            _response_scores(row, steps) for row, steps in zip(rows, self._competed(rows, adapter, best=0), strict=True)
        ]

    def _competed(
        self, rows: Sequence[EncodedRow], adapter: Adapter | None, *, best: int
    ) -> list[list[dict[int, Any]]]:
        """By prefill alone: for each of a row's response tokens it and the `best` tokens of its step, by id; at last
        the same of the token that follows the row.
        """
        from vllm import SamplingParams

        from node.verifier.scored_tail import UNSCORED

        sampling = [
            SamplingParams(
                temperature=0.0,
                max_tokens=1,
                prompt_logprobs=best,
                logprobs=best,
                detokenize=False,
                extra_args={UNSCORED: len(row.prompt_ids)},
            )
            for row in rows
        ]
        answers = self._generate([row.prompt_ids + row.response_ids for row in rows], sampling, adapter)
        return [
            [*answer.prompt_logprobs[len(row.prompt_ids) :], answer.outputs[0].logprobs[0]]
            for row, answer in zip(rows, answers, strict=True)
        ]

    def _generate(self, sequences: list[list[int]], sampling: Sequence[Any], adapter: Adapter | None) -> list[Any]:
        """vLLM's request outputs, in order. The whole batch is on one adapter; sequences that begin alike are asked
        side by side, for what they share is computed once in a step.

        Raises:
            InvalidInput: a sequence does not fit.
            Unavailable: vLLM failed, now or in an earlier call: this engine answers no more.
        """
        for sequence in sequences:
            if len(sequence) >= self._length:
                raise InvalidInput(
                    f"A prompt or row has {len(sequence)} tokens; the engine takes fewer than {self._length}.",
                    field="messages",
                    actual=len(sequence),
                )
        if self._llm is None:
            raise Unavailable("The inference engine failed earlier; start a new one.")
        order = sorted(range(len(sequences)), key=sequences.__getitem__)
        try:
            answers = self._llm.generate(
                [{"prompt_token_ids": sequences[at]} for at in order],
                [sampling[at] for at in order],
                lora_request=_lora_request(adapter) if adapter else None,
                use_tqdm=False,
            )
        except Exception as error:
            self._llm = None  # Its queue may still hold the failed batch.
            raise Unavailable(f"The inference engine failed: {error}") from error
        asked = dict(zip(order, answers, strict=True))
        return [asked[at] for at in range(len(sequences))]


@contextmanager
def _no_garbage() -> Iterator[None]:
    """What vLLM's modules make stays for good: looking for garbage among it took a quarter of the start."""
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


def _start_vllm(model: BaseModel, *, length: int, lora_rank: int, dtype: str) -> Any:
    os.environ.update(_ENVIRONMENT)
    try:
        import torch

        on_cpu = not torch.cuda.is_available()
        if on_cpu:
            os.environ["TORCHDYNAMO_DISABLE"] = "1"  # one small function would be compiled for seconds
        from vllm import LLM
    except ImportError as error:
        raise NotInstalled("vLLM is not installed.", fix="Install the extra `cpu` or `gpu`.") from error
    from node.verifier import scored_tail

    scored_tail.install()
    options: dict[str, Any] = {}
    if on_cpu:
        from node.verifier import cpu_lora, cpu_norms, shared_beginnings

        cpu_lora.install()
        cpu_norms.install()
        shared_beginnings.install()
        options = {"enforce_eager": True, "ir_op_priority": cpu_norms.PRIORITY}
    try:
        return LLM(
            model=str(model.folder),
            skip_tokenizer_init=True,
            dtype=dtype,
            seed=0,
            generation_config="vllm",
            max_model_len=length,
            max_num_batched_tokens=STEP_TOKENS,
            max_num_seqs=MAX_SEQUENCES,
            max_logprobs=-1,
            kv_cache_memory_bytes=KV_CACHE_BYTES,
            enable_prefix_caching=False,
            enable_lora=True,
            max_loras=1,
            max_cpu_loras=CACHED_ADAPTERS,
            max_lora_rank=next(rank for rank in _RANKS if rank >= lora_rank),
            lora_target_modules=list(PROJECTIONS),
            disable_log_stats=True,
            use_tqdm_on_load=False,
            **options,
        )
    except (ValueError, RuntimeError, OSError) as error:
        raise Unavailable(f"vLLM could not start on this model: {error}") from error


def _model_length(model: BaseModel, max_length_tokens: int) -> int:
    """Room for the longest row and an answer, within what the model was trained for.

    Raises:
        InvalidInput: the model takes no rows of this length.
    """
    limit = read_json_object(model.folder / "config.json").get("max_position_embeddings")
    if not isinstance(limit, int):
        return max_length_tokens + ANSWER_TOKENS
    if max_length_tokens >= limit:
        raise InvalidInput(
            f"Rows of {max_length_tokens} tokens do not fit the model, which takes {limit} with one answer token.",
            fix="Lower the greatest length of a row.",
            field="max_length_tokens",
            actual=max_length_tokens,
        )
    return min(max_length_tokens + ANSWER_TOKENS, limit)


def _lora_request(adapter: Adapter) -> Any:
    """vLLM caches an adapter by name and id: both stand for its digest and our configuration (the scale lies there)."""
    from vllm.lora.request import LoRARequest

    identity = digest("loaded-adapter", adapter.digest.raw + (adapter.folder / CONFIG).read_bytes())
    # vLLM keeps ids as positive 64-bit integers.
    return LoRARequest(str(identity), int.from_bytes(identity.raw[:8], "big") >> 1 or 1, str(adapter.folder))


def _smallest_gap(steps: Sequence[dict[int, Any]]) -> float:
    """Over the steps of an answer."""
    return min((_best(step)[1] for step in steps), default=math.inf)


def _best(step: dict[int, Any]) -> tuple[int, float]:
    """A step's best token, and its distance in nats from the second best."""
    best, second = sorted(step, key=lambda token: step[token].logprob, reverse=True)[:2]
    return best, step[best].logprob - step[second].logprob


def _response_scores(row: EncodedRow, steps: Sequence[dict[int, Any]]) -> list[float]:
    """Natural log-probabilities of the response's tokens among the steps that `_competed` gives."""
    return [step[token].logprob for step, token in zip(steps, row.response_ids, strict=False)]
