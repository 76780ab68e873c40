"""Depthwise convolutions whose backward pass is fast on CPUs in bfloat16.

oneDNN has no fast bfloat16 path for two gradients: of the input when the stride is 2, and of a 5x5 kernel. Both are
several times faster in float32; and the gradient of the input at stride 1 is itself a depthwise convolution.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class _Depthwise(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, stride: int) -> Tensor:
        weight = weight.to(x.dtype)
        ctx.save_for_backward(x, weight)
        ctx.stride = stride
        return F.conv2d(x, weight, None, stride, weight.shape[-1] // 2, 1, x.shape[1])

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, None]:
        x, weight = ctx.saved_tensors
        kernel, stride = weight.shape[-1], ctx.stride
        if stride == 1:
            grad_x = F.conv2d(grad, weight.flip(2, 3), None, 1, kernel // 2, 1, x.shape[1])
        else:
            grad_x = _gradients(grad.float(), x.float(), weight.float(), stride, (True, False))[0].to(x.dtype)
        if kernel > 3:
            x, grad, weight = x.float(), grad.float(), weight.float()
        return grad_x, _gradients(grad, x, weight, stride, (False, True))[1].float(), None


def _gradients(grad: Tensor, x: Tensor, weight: Tensor, stride: int, wanted: tuple[bool, bool]) -> tuple[Tensor, ...]:
    padding = weight.shape[-1] // 2
    result: tuple[Tensor, ...] = torch.ops.aten.convolution_backward(
        grad, x, weight, None, [stride] * 2, [padding] * 2, [1, 1], False, [0, 0], x.shape[1], [*wanted, False]
    )
    return result


class _FastDepthwise(nn.Conv2d):
    def forward(self, x: Tensor) -> Tensor:
        if torch.is_autocast_enabled("cpu") and x.device.type == "cpu":
            x = x.to(torch.get_autocast_dtype("cpu"))
        out: Tensor = _Depthwise.apply(x, self.weight, self.stride[0])  # type: ignore[no-untyped-call]
        return out


def use_fast_depthwise(network: nn.Module) -> nn.Module:
    """Makes every depthwise convolution of `network` train fast on a CPU; its weights and results stay the same."""
    for module in network.modules():
        if type(module) is nn.Conv2d and module.groups == module.in_channels > 1:
            module.__class__ = _FastDepthwise
    return network
