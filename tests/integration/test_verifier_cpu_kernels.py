"""What the engine puts in place of parts of vLLM's CPU backend, against those parts, on random tensors."""

from __future__ import annotations

from typing import Any

import pytest

from node.errors import NotInstalled

pytestmark = [pytest.mark.stack, pytest.mark.filterwarnings("ignore")]  # vLLM warns of torch while it is imported

TOKENS, INPUTS, RANK, SLICES = 13, 24, 8, (16, 8)
SLOTS: list[int | None] = [5, 7]  # adapter ids by slot


def wrapper(kind: type[Any], *adapter_ids: int) -> Any:
    from vllm.lora.layers import LoRAMapping

    made = kind(max_num_batched_tokens=64, max_batches=8, device="cpu")
    made.update_metadata(LoRAMapping(adapter_ids, (), is_prefill=True), SLOTS, len(SLOTS), vocab_size=100)
    return made


def stacked(seed: int) -> tuple[Any, Any, tuple[Any, ...], tuple[Any, ...]]:
    """y (tokens, out), x (tokens, in), one A and one B a slice, each (slots, 1, ...)."""
    import torch

    torch.manual_seed(seed)
    a = tuple(torch.randn(len(SLOTS), 1, RANK, INPUTS) for _ in SLICES)
    b = tuple(torch.randn(len(SLOTS), 1, width, RANK) for width in SLICES)
    return torch.randn(TOKENS, sum(SLICES)), torch.randn(TOKENS, INPUTS), a, b


@pytest.mark.parametrize("adapter_id", [5, 7])
@pytest.mark.parametrize("scale", [1.0, 0.5])
def test_the_update_equals_that_of_vllms_own_kernels(adapter_id: int, scale: float) -> None:
    import torch
    from vllm.lora.punica_wrapper.punica_cpu import PunicaWrapperCPU

    from node.verifier.cpu_lora import OneAdapterLora

    y, x, a, b = stacked(adapter_id)
    ours, stock = y.clone(), y.clone()
    wrapper(OneAdapterLora, *[adapter_id] * TOKENS).add_lora_linear(ours, x, a, b, scale, SLICES)
    wrapper(PunicaWrapperCPU, *[adapter_id] * TOKENS).add_lora_linear(stock, x, a, b, scale, SLICES)
    torch.testing.assert_close(ours, stock)
    assert not torch.equal(ours, y)


def test_a_batch_on_the_base_model_is_left_alone_to_the_last_bit() -> None:
    import torch

    from node.verifier.cpu_lora import OneAdapterLora

    y, x, a, b = stacked(0)
    before = y.clone()
    wrapper(OneAdapterLora, *[0] * TOKENS).add_lora_linear(y, x, a, b, 1.0, SLICES)
    assert torch.equal(y, before)


@pytest.mark.parametrize("adapter_ids", [(5, 7), (0, 5), (7, 7, 0)])
def test_a_mixed_batch_is_refused(adapter_ids: tuple[int, ...]) -> None:
    from node.verifier.cpu_lora import OneAdapterLora

    with pytest.raises(RuntimeError, match="one adapter"):
        wrapper(OneAdapterLora, *adapter_ids)


def test_norms_equal_those_that_vllm_takes_on_cpus_and_are_taken_in_their_place() -> None:
    import torch
    from vllm import ir

    from node.verifier import cpu_norms

    cpu_norms.install()
    cpu_norms.install()  # by the process's next engine
    torch.manual_seed(0)
    x, residual, weight = torch.randn(TOKENS, INPUTS), torch.randn(TOKENS, INPUTS), torch.randn(INPUTS)
    wide = torch.randn(TOKENS, 2 * INPUTS)[:, :INPUTS]
    for op, states in ((ir.ops.rms_norm, [x]), (ir.ops.fused_add_rms_norm, [x, residual])):
        stock = op(*states, weight, 1e-5)
        with op.set_priority(cpu_norms.PRIORITY[op.name]):
            assert op.dispatch(*states, weight, 1e-5).provider == cpu_norms.PROVIDER
            assert op.dispatch(*states, None, 1e-5).provider == "native"
            assert op.dispatch(*[wide for _ in states], weight, 1e-5).provider == "native"
            ours = op(*states, weight, 1e-5)
        torch.testing.assert_close(ours, stock)


def test_functions_that_were_never_tested_are_not_replaced() -> None:
    from node.verifier.cpu_lora import check_known

    with pytest.raises(NotInstalled, match="does not know"):
        check_known("def add_lora_linear(): ...")


def test_the_pinned_vllm_scores_tails_alone_and_computes_beginnings_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """With another one answers would be right, and slow."""
    from vllm.model_executor.layers.attention import Attention
    from vllm.v1.worker.gpu_model_runner import GPUModelRunner

    from node.verifier import scored_tail, shared_beginnings

    stock = {
        (GPUModelRunner, "_get_prompt_logprobs_dict"): GPUModelRunner._get_prompt_logprobs_dict,
        (GPUModelRunner, "_model_forward"): GPUModelRunner._model_forward,
        (Attention, "forward"): Attention.forward,
    }
    for (owner, name), function in stock.items():
        monkeypatch.setattr(owner, name, function)  # put back afterwards
    scored_tail.install()
    shared_beginnings.install()
    assert all(getattr(owner, name) is not function for (owner, name), function in stock.items())
