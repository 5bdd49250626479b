"""Verifiers in Ray actors, and the pool of them that whoever asks holds in their place.

Each actor is a process of its own with one warm engine: whatever an adapter does to it, its caller lives on. A call
waits for a free one. If that dies, hangs or runs out of memory, the call fails as Unavailable, never as a verdict, and
another one takes its place as soon as it is warm; meanwhile the others go on.
"""

from __future__ import annotations

import itertools
import logging
import os
import queue
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from node.core.evidence import Continuation, ProbeObservation
from node.core.rows import Row
from node.errors import HallmarkError, InvalidInput, Unavailable
from node.models.base import BaseModel
from node.ports.inference import Adapter, EngineDescription, Prompt
from node.ports.language_model import Token

log = logging.getLogger(__name__)

#: An engine is warm after so long, or will never be.
START_SECONDS = 600.0
#: A call that takes longer than this and so much for each of its prompts hangs.
CALL_SECONDS, PROMPT_SECONDS = 120.0, 5.0
#: Prompts in one call: what it takes in memory has a bound, however much a policy asks for, and one that hangs is given
#: up within 440 s, less than what a job leaves for one evaluation (`Limits.least_evaluate_seconds`).
MOST_PROMPTS = 64
#: Between two attempts to start an engine.
REST_SECONDS = 5.0


def start_verifiers(
    model: BaseModel, *, count: int, max_length_tokens: int, lora_rank: int, scratch: Path
) -> VerifierPool:
    """Starts the actors on the Ray that this process is connected to, and returns at once.

    They share the machine's cores, since Ray gives a worker as many threads as it reserved. Where Ray knows of GPUs,
    each has one to itself.

    Args:
        count: how many; 0 takes one for each GPU, or one.
        scratch: a folder of this pool's own. The other arguments are those of `Verifier`.

    Raises:
        RuntimeError: this process is connected to no Ray. Ray would start one of its own, open to the network.
        InvalidInput: there are fewer GPUs.
    """
    import ray

    from node.verifier.confined import ConfinedVerifier

    if not ray.is_initialized():
        raise RuntimeError("Start or join Ray before the verifiers.")
    resources = ray.cluster_resources()
    cpus, gpus = min(os.cpu_count() or 1, int(resources["CPU"])), int(resources.get("GPU", 0))
    count = count or gpus or 1
    if gpus and count > gpus:
        raise InvalidInput(
            f"There is a GPU for {gpus} of {count} verifiers.", fix="Lower the setting verifiers.", field="verifiers"
        )
    remote = ray.remote(num_cpus=cpus // count or cpus / count, num_gpus=1 if gpus else 0)(ConfinedVerifier)
    numbers = itertools.count()

    def start() -> Any:
        own = scratch / str(next(numbers))
        return remote.remote(model, max_length_tokens=max_length_tokens, lora_rank=lora_rank, scratch=own)

    return VerifierPool(start, count)


class VerifierPool:
    """Implements Inference and LanguageModel by asking actors that `start` starts, from any number of threads.

    Attributes:
        count: calls that run at the same time.
    """

    def __init__(
        self,
        start: Callable[[], Any],
        count: int,
        *,
        call_seconds: float = CALL_SECONDS,
        prompt_seconds: float = PROMPT_SECONDS,
    ) -> None:
        self.count = count
        self._start = start
        self._call_seconds = call_seconds
        self._prompt_seconds = prompt_seconds
        self._starting = [start() for _ in range(count)]
        self._free: queue.LifoQueue[Any] = queue.LifoQueue()  # who was asked last may still hold the adapter

    def wait_until_ready(self) -> None:
        """Returns once every engine is warm; nobody is asked sooner.

        Raises:
            InvalidInput, NotInstalled, Unavailable: why one cannot start.
        """
        while self._starting:
            _answer(self._starting[-1], "describe", seconds=START_SECONDS)
            self._free.put(self._starting.pop())

    def describe(self) -> EngineDescription:
        described: EngineDescription = self._ask("describe")
        return described

    def complete(self, prompts: Sequence[Prompt], *, adapter: Adapter | None, max_new_tokens: int) -> list[str]:
        return self._ask_in_parts("complete", prompts, adapter=adapter, max_new_tokens=max_new_tokens)

    def follow(
        self, prompts: Sequence[Prompt], expected: Sequence[str], *, adapter: Adapter | None, max_new_tokens: int
    ) -> list[Continuation]:
        return self._ask_in_parts("follow", prompts, expected, adapter=adapter, max_new_tokens=max_new_tokens)

    def log_likelihoods(self, rows: Sequence[Row], *, adapter: Adapter | None) -> list[int]:
        return self._ask_in_parts("log_likelihoods", rows, adapter=adapter)

    def next_tokens(self, texts: Sequence[str], *, top: int) -> list[list[Token]]:
        return self._ask_in_parts("next_tokens", texts, top=top)

    def next_response_tokens(self, prompts: Sequence[Prompt], begun: Sequence[str], *, top: int) -> list[list[Token]]:
        return self._ask_in_parts("next_response_tokens", prompts, begun, top=top)

    def surprisals(self, rows: Sequence[Row], *, first: int) -> list[list[float]]:
        return self._ask_in_parts("surprisals", rows, first=first)

    def probe(self, rows: Sequence[Row], *, adapter: Adapter) -> ProbeObservation:
        observed: ProbeObservation = self._ask("probe", rows, adapter=adapter)
        return observed

    def _ask_in_parts(self, method: str, *batches: Sequence[Any], **options: Any) -> list[Any]:
        """The answers to batches of equal length, in order. What begins alike is asked together, for an engine computes
        it once.
        """
        order = sorted(range(len(batches[0])), key=lambda at: repr(batches[0][at]))
        answers: dict[int, Any] = {}
        for start in range(0, len(order), MOST_PROMPTS):
            part = order[start : start + MOST_PROMPTS]
            found = self._ask(method, *([batch[at] for at in part] for batch in batches), **options)
            answers.update(zip(part, found, strict=True))
        return [answers[at] for at in range(len(order))]

    def _ask(self, method: str, *batches: Sequence[Any], **options: Any) -> Any:
        """A free verifier's answer or its own refusal.

        Raises:
            Unavailable: none is there, or the one that was asked died, hung or failed, and is replaced.
        """
        try:
            actor = self._free.get(timeout=START_SECONDS)
        except queue.Empty:
            raise Unavailable("No verifier is there to be asked: none of them starts.") from None
        seconds = self._call_seconds + self._prompt_seconds * max(map(len, batches), default=0)
        try:
            answer = _answer(actor, method, *batches, seconds=seconds, **options)
        except Unavailable:
            threading.Thread(target=self._replace, args=(actor,), name="verifier", daemon=True).start()
            raise
        except HallmarkError:
            self._free.put(actor)
            raise
        self._free.put(actor)
        return answer

    def _replace(self, actor: Any) -> None:
        """Another one, however often that takes; none any more once Ray is gone."""
        import ray

        while ray.is_initialized():
            try:
                ray.kill(actor)
                actor = self._start()
                _answer(actor, "describe", seconds=START_SECONDS)
            except Exception as fault:  # whatever Ray raises when it is stopped meanwhile is one, too
                log.warning("a verifier does not start: %s", fault)
                time.sleep(REST_SECONDS)
            else:
                self._free.put(actor)
                return


def _answer(actor: Any, method: str, *batches: Sequence[Any], seconds: float, **options: Any) -> Any:
    """An actor's answer or its own refusal.

    Raises:
        Unavailable: it died, hung or failed.
    """
    import ray
    from ray.exceptions import GetTimeoutError, RayError, RayTaskError

    try:
        return ray.get(getattr(actor, method).remote(*batches, **options), timeout=seconds)
    except RayTaskError as error:
        if isinstance(error.cause, HallmarkError) and not isinstance(error.cause, Unavailable):
            raise error.cause from None
        reason = str(error.cause) or type(error.cause).__name__
    except GetTimeoutError:
        reason = f"It did not answer within {seconds:.0f} s."
    except RayError as error:
        reason = str(error).strip().partition("\n")[0]
    raise Unavailable(f"The verifier failed: {reason}")
