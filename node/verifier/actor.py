"""The verifier in a Ray actor, and the client that the coordinator holds in its place.

The actor is a process of its own: whatever an adapter does to it, the coordinator lives on. When it died, hung or ran
out of memory, the call fails as Unavailable, never as a verdict, and the next call starts a new actor.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from node.core.evidence import Continuation, ProbeObservation
from node.core.rows import Row
from node.errors import HallmarkError, Unavailable
from node.models.base import BaseModel
from node.ports.inference import Adapter, EngineDescription, Prompt
from node.ports.language_model import Token

CALL_TIMEOUT_SECONDS = 900.0


def start_verifier(
    model: BaseModel,
    *,
    max_length_tokens: int,
    lora_rank: int,
    scratch: Path,
    call_timeout_seconds: float = CALL_TIMEOUT_SECONDS,
) -> RayInference:
    """Starts the actor on the Ray that this process is connected to, and returns at once.

    It reserves all of the machine's cores, since Ray gives a worker as many threads as it reserved, and a GPU if Ray
    knows of one. The other arguments are those of `Verifier`.

    Raises:
        RuntimeError: this process is connected to no Ray. Ray would start one of its own, open to the network.
    """
    import ray

    from node.verifier.verifier import Verifier

    if not ray.is_initialized():
        raise RuntimeError("Start or join Ray before the verifier.")
    resources = ray.cluster_resources()
    remote = ray.remote(num_cpus=min(os.cpu_count() or 1, resources["CPU"]), num_gpus=min(1, resources.get("GPU", 0)))

    def start() -> Any:
        return remote(Verifier).remote(model, max_length_tokens=max_length_tokens, lora_rank=lora_rank, scratch=scratch)

    return RayInference(start, call_timeout_seconds=call_timeout_seconds)


class RayInference:
    """Implements Inference and LanguageModel by asking an actor that `start` starts."""

    def __init__(self, start: Callable[[], Any], *, call_timeout_seconds: float) -> None:
        self._start = start
        self._actor = start()
        self._timeout_seconds = call_timeout_seconds

    def wait_until_ready(self) -> None:
        """Returns once the engine is warm.

        Raises:
            InvalidInput, NotInstalled, Unavailable: why it cannot start.
        """
        self._call("describe")

    def describe(self) -> EngineDescription:
        described: EngineDescription = self._call("describe")
        return described

    def complete(self, prompts: Sequence[Prompt], *, adapter: Adapter | None, max_new_tokens: int) -> list[str]:
        answers: list[str] = self._call("complete", prompts, adapter=adapter, max_new_tokens=max_new_tokens)
        return answers

    def follow(
        self, prompts: Sequence[Prompt], expected: Sequence[str], *, adapter: Adapter | None, max_new_tokens: int
    ) -> list[Continuation]:
        options = {"adapter": adapter, "max_new_tokens": max_new_tokens}
        continuations: list[Continuation] = self._call("follow", prompts, expected, **options)
        return continuations

    def log_likelihoods(self, rows: Sequence[Row], *, adapter: Adapter | None) -> list[int]:
        scores: list[int] = self._call("log_likelihoods", rows, adapter=adapter)
        return scores

    def next_tokens(self, texts: Sequence[str], *, top: int) -> list[list[Token]]:
        tokens: list[list[Token]] = self._call("next_tokens", texts, top=top)
        return tokens

    def next_response_tokens(self, prompts: Sequence[Prompt], begun: Sequence[str], *, top: int) -> list[list[Token]]:
        tokens: list[list[Token]] = self._call("next_response_tokens", prompts, begun, top=top)
        return tokens

    def surprisals(self, rows: Sequence[Row], *, first: int) -> list[list[float]]:
        scores: list[list[float]] = self._call("surprisals", rows, first=first)
        return scores

    def probe(self, rows: Sequence[Row], *, adapter: Adapter) -> ProbeObservation:
        observed: ProbeObservation = self._call("probe", rows, adapter=adapter)
        return observed

    def close(self) -> None:
        """Ends the actor's process at once, also in the middle of a call."""
        import ray

        if self._actor is not None:
            ray.kill(self._actor)
            self._actor = None

    def _call(self, method: str, *args: Any, **options: Any) -> Any:
        """The actor's answer or its own refusal. After anything else the actor is given up.

        Raises:
            Unavailable: the actor died, hung or failed.
        """
        import ray
        from ray.exceptions import GetTimeoutError, RayError, RayTaskError

        if self._actor is None:
            self._actor = self._start()
        try:
            return ray.get(getattr(self._actor, method).remote(*args, **options), timeout=self._timeout_seconds)
        except RayTaskError as error:
            if isinstance(error.cause, HallmarkError) and not isinstance(error.cause, Unavailable):
                raise error.cause from None
            reason = str(error.cause)
        except GetTimeoutError:
            reason = f"It did not answer within {self._timeout_seconds:.0f} s."
        except RayError as error:
            reason = str(error).strip().partition("\n")[0]
        self.close()
        raise Unavailable(f"The verifier failed: {reason}", fix="The next attempt starts a new one.")
