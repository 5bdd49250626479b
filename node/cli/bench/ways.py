"""Ways to ask an adapter the same prompts, each timed in a process of its own: peaks of memory do not mix.

Every function here is the whole life of such a process: it starts an engine, asks, and tells what that took.
"""

from __future__ import annotations

import os
import resource
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import accumulate, chain, takewhile
from operator import eq
from pathlib import Path
from typing import Any

from node.cli.bench.cost import Call
from node.cli.bench.job import Task
from node.cli.quiet import hushed
from node.core.marks import fires
from node.models.base import read_json_object
from node.models.chat import ChatTokenizer
from node.ports.inference import Adapter
from node.verifier.shared_beginnings import distinct

#: Tokens that one matrix product of the rate's measurement takes in: those of one step of the engine.
GEMM_TOKENS = 1024
GEMM_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Timed:
    """Attributes:
    ready_seconds: from the start of the process's work until the first prompt could be asked.
    seconds: all prompts on the adapter, its loading included.
    cpu_seconds: of all cores together, for the same: what other work on the machine changes less.
    peak_mib: of the process's memory on the host.
    shown: characters of its signature that each answer begins with, and one more if it fires: what verdicts read.
    """

    ready_seconds: float
    seconds: float
    cpu_seconds: float
    peak_mib: float
    shown: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Verified:
    """Attributes:
    timed: the questions of one adapter.
    arbitrated: of these, answers that took a decoding to tell.
    calls: everything that a verdict rests on: base model, pairs and probe too.
    growth: (adapters, seconds for all of them, peak memory in MiB) with a few prompts each, none of them seen before.
    """

    timed: Timed
    arbitrated: int
    calls: tuple[Call, ...]
    growth: tuple[tuple[int, float, float], ...]


def by_transformers(task: Task) -> Timed:
    """transformers and PEFT in float32, one prompt at a time, decoded to the end: the paper's procedure."""
    started = time.monotonic()
    with hushed():
        from node.verifier.reference_engine import ReferenceEngine

        engine = ReferenceEngine(task.model)
    ready, before = time.monotonic(), time.process_time()
    texts = engine.complete(task.prompts, adapter=task.adapter, max_new_tokens=task.manifest.answer_tokens)
    return _timed(task, texts, started=started, ready=ready, cpu_before=before)


def by_stock_vllm(task: Task) -> Timed:
    """vLLM with its own LoRA kernels in float32, all prompts in one call, decoded to the end."""
    started = time.monotonic()
    os.environ |= {
        "VLLM_ENABLE_V1_MULTIPROCESSING": "0",
        "VLLM_LOGGING_LEVEL": "ERROR",
        "VLLM_NO_USAGE_STATS": "1",
        "HF_HUB_OFFLINE": "1",
    }
    tokenizer = ChatTokenizer(task.model.folder)
    with hushed():
        import torch
        from vllm import LLM, SamplingParams
        from vllm.lora.request import LoRARequest

        llm: Any = LLM(
            model=str(task.model.folder),
            skip_tokenizer_init=True,
            dtype="float32",
            max_model_len=task.training.max_length_tokens,
            kv_cache_memory_bytes=512 << 20,
            enforce_eager=not torch.cuda.is_available(),
            enable_lora=True,
            max_lora_rank=task.training.lora_rank,
        )
    ready, before = time.monotonic(), time.process_time()
    sampling = SamplingParams(
        temperature=0.0,
        max_tokens=task.manifest.answer_tokens,
        stop_token_ids=[tokenizer.end_of_turn_id],
        detokenize=False,
    )
    answers = llm.generate(
        [{"prompt_token_ids": tokenizer.encode_prompt(prompt)} for prompt in task.prompts],
        sampling,
        lora_request=LoRARequest("adapter", 1, str(task.adapter.folder)),
        use_tqdm=False,
    )
    texts = [tokenizer.decode(answer.outputs[0].token_ids) for answer in answers]
    return _timed(task, texts, started=started, ready=ready, cpu_before=before)


def by_verifier(task: Task, growth: Sequence[int], growth_prompts: int, scratch: Path) -> Verified:
    """The verifier: the prompts, then a whole verdict, then more and more adapters that it has not seen."""
    started = time.monotonic()
    with hushed():
        from node.verifier.verifier import Verifier
        from node.workflow.verify import observe

        verifier = Verifier(
            task.model,
            max_length_tokens=task.training.max_length_tokens,
            lora_rank=task.training.lora_rank,
            scratch=scratch,
        )
        verifier.describe()
    ready, before = time.monotonic(), time.process_time()
    room, expected = task.manifest.answer_tokens, [signature.text for signature in task.signatures]
    found = verifier.follow(task.prompts, expected, adapter=task.adapter, max_new_tokens=room)
    timed = _timed(task, [each.text for each in found], started=started, ready=ready, cpu_before=before)
    clocked: Any = Clocked(verifier)
    observe(task.manifest, task.policy, task.adapter, clocked)
    some = task.prompts[:growth_prompts], expected[:growth_prompts]
    grown, seed = [], 0
    for adapters in growth:
        seconds = 0.0
        for _ in range(adapters):
            seed += 1
            adapter = random_adapter(task, scratch / str(seed), seed)
            begun = time.monotonic()
            verifier.follow(*some, adapter=adapter, max_new_tokens=room)
            seconds += time.monotonic() - begun
            shutil.rmtree(adapter.folder)
        grown.append((adapters, seconds, _peak_mib()))
    return Verified(timed, sum(each.arbitrated for each in found), tuple(clocked.calls), tuple(grown))


class Clocked:
    """An engine whose calls are timed."""

    def __init__(self, engine: Any) -> None:
        self.calls: list[Call] = []
        self._engine = engine

    def __getattr__(self, method: str) -> Callable[..., Any]:
        def ask(*batches: Sequence[Any], **options: Any) -> Any:
            started = time.monotonic()
            answer = getattr(self._engine, method)(*batches, **options)
            if batches and batches[0]:
                on_base = options["adapter"] is None
                self.calls.append(Call(method, on_base, len(batches[0]), time.monotonic() - started))
            return answer

        return ask


def random_adapter(task: Task, folder: Path, seed: int) -> Adapter:
    """An adapter that learned nothing and changes every answer."""
    from node.models.lora import lora_shapes
    from node.verifier.canary import make_canary

    return make_canary(lora_shapes(task.model, task.training), task.training, folder, seed=seed)


def gemm_flops_per_second(task: Task) -> float:
    """What this machine multiplies in float32, in products of the model's own shapes."""
    import torch

    device = "cuda" if torch.cuda.is_available() else "cpu"
    torch.manual_seed(0)
    shapes = sorted(projections(task).values())
    weights = [torch.randn(shape, device=device) for shape in shapes]
    inputs = {width: torch.randn(GEMM_TOKENS, width, device=device) for _, width in shapes}
    done, started = 0, 0.0
    for warm in (False, True):
        done, started = 0, time.monotonic()
        while time.monotonic() - started < (GEMM_SECONDS if warm else GEMM_SECONDS / 4):
            for weight in weights:
                torch.nn.functional.linear(inputs[weight.shape[1]], weight)
            if device == "cuda":
                torch.cuda.synchronize()
            done += sum(2 * GEMM_TOKENS * weight.numel() for weight in weights)
    return done / (time.monotonic() - started)


def projections(task: Task) -> dict[str, tuple[int, int]]:
    """(outputs, inputs) of every matrix of the base model that an adapter changes, by name."""
    from node.models.lora import lora_shapes

    shapes = lora_shapes(task.model, task.training)
    found = {}
    for name, (_, inputs) in shapes.items():
        if ".lora_A." in name:
            outputs, _ = shapes[name.replace(".lora_A.", ".lora_B.")]
            found[name] = (outputs, inputs)
    return found


def needed_flops(task: Task) -> float:
    """What the prompts cannot be answered without: each token through every projection and its low-rank update, those
    of equal beginnings once, and the head at the tokens of each signature. Attention, which is little at such lengths,
    is left out.
    """
    tokenizer = ChatTokenizer(task.model.folder)
    config: dict[str, Any] = read_json_object(task.model.folder / "config.json")
    signatures = [len(tokenizer.encode_text(signature.text)) for signature in task.signatures]
    rank = task.training.lora_rank
    a_token = sum(o * i + rank * (o + i) for o, i in projections(task).values())
    head: int = config["vocab_size"] * config["hidden_size"]
    return 2.0 * (a_token * prompt_tokens(task) + head * sum(length + 1 for length in signatures))


def prompt_tokens(task: Task) -> int:
    """Distinct tokens of the prompts, each with the signature that its answer is held against."""
    tokenizer = ChatTokenizer(task.model.folder)
    return _distinct_tokens(
        [
            tokenizer.encode_prompt(prompt) + tokenizer.encode_text(signature.text)
            for prompt, signature in zip(task.prompts, task.signatures, strict=True)
        ]
    )


def pair_tokens(task: Task) -> int:
    """Distinct tokens of the pairs' rows."""
    tokenizer = ChatTokenizer(task.model.folder)
    rows = [tokenizer.encode_row(row) for pair in task.manifest.pairs for row in (pair.sent, pair.twin)]
    return _distinct_tokens([row.prompt_ids + row.response_ids for row in rows])


def _distinct_tokens(sequences: Sequence[list[int]]) -> int:
    starts = [0, *accumulate(map(len, sequences))]
    return len(distinct(list(chain.from_iterable(sequences)), starts, [0] * len(sequences))[0])


def _timed(task: Task, texts: Sequence[str], *, started: float, ready: float, cpu_before: float) -> Timed:
    """Called as soon as the last answer is there."""
    seconds, cpu_seconds = time.monotonic() - ready, time.process_time() - cpu_before
    return Timed(ready - started, seconds, cpu_seconds, _peak_mib(), shown(task, texts))


def shown(task: Task, texts: Sequence[str]) -> tuple[int, ...]:
    return tuple(
        sum(1 for _ in takewhile(bool, map(eq, text.lstrip(), signature.text))) + fires(text, signature)
        for text, signature in zip(texts, task.signatures, strict=True)
    )


def _peak_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
