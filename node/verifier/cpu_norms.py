"""vLLM's own kernels of RMSNorm on its CPU backend, which takes four of PyTorch's operations for each instead: together
6 to 8 % of the processor's time that a prompt takes.

Import only where vLLM's environment variables are set already. A layer that asks for more than these kernels do, or
norms a part of a wider tensor, whose gaps they do not see, is computed as it always was.
"""

from __future__ import annotations

import torch
from torch import Tensor
from vllm import ir

#: What vLLM knows these implementations by.
PROVIDER = "vllm_c_on_cpu"
#: `ir_op_priority` of an engine that prefers them.
PRIORITY = {"rms_norm": [PROVIDER], "fused_add_rms_norm": [PROVIDER]}


def _plain(x: Tensor, weight: Tensor | None, epsilon: float, variance_size: int | None = None) -> bool:
    return variance_size is None and weight is not None and weight.dtype == x.dtype and x.is_contiguous()


def _plain_sum(
    x: Tensor, x_residual: Tensor, weight: Tensor | None, epsilon: float, variance_size: int | None = None
) -> bool:
    return _plain(x, weight, epsilon, variance_size) and x_residual.is_contiguous()


def _rms_norm(x: Tensor, weight: Tensor | None, epsilon: float, variance_size: int | None = None) -> Tensor:
    normed = torch.empty_like(x)
    torch.ops._C.rms_norm(normed, x, weight, epsilon)
    return normed


def _fused_add_rms_norm(
    x: Tensor, x_residual: Tensor, weight: Tensor | None, epsilon: float, variance_size: int | None = None
) -> tuple[Tensor, Tensor]:
    torch.ops._C.fused_add_rms_norm(x, x_residual, weight, epsilon)
    return x, x_residual


def install() -> None:
    """For every engine of this process that is started with PRIORITY."""
    if PROVIDER in ir.ops.rms_norm.impls:
        return
    ir.ops.rms_norm.register_impl(PROVIDER, supports_args=_plain)(_rms_norm)
    ir.ops.fused_add_rms_norm.register_impl(PROVIDER, supports_args=_plain_sum, inplace=True)(_fused_add_rms_norm)
