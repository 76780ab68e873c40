"""Convolutions that train fast on CPUs: with their frozen batch norms folded in, and with fast depthwise gradients.

A batch norm with frozen statistics is a scale and a shift of each channel. Scaling the few weights of the convolution
before it gives the same results and gradients as a pass over the whole feature map, and takes no time.

oneDNN has no fast bfloat16 path for two gradients of depthwise convolutions: of the input when the stride is 2, and of
a 5x5 kernel. Both are several times faster in float32; and the gradient of the input at stride 1 is itself a depthwise
convolution.
"""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class _Depthwise(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None, stride: int) -> Tensor:
        weight = weight.to(x.dtype)
        ctx.save_for_backward(x, weight)
        ctx.stride, ctx.has_bias = stride, bias is not None
        return F.conv2d(x, weight, None if bias is None else bias.to(x.dtype), stride, _padding(weight), 1, x.shape[1])

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, Tensor | None, None]:
        x, weight = ctx.saved_tensors
        grad_bias = grad.float().sum((0, 2, 3)) if ctx.has_bias else None
        if ctx.stride == 1:
            grad_x = F.conv2d(grad, weight.flip(2, 3), None, 1, _padding(weight), 1, x.shape[1])
        else:
            grad_x = _gradients(grad.float(), x.float(), weight.float(), ctx.stride, (True, False))[0].to(x.dtype)
        if weight.shape[-1] > 3:
            x, grad, weight = x.float(), grad.float(), weight.float()
        return grad_x, _gradients(grad, x, weight, ctx.stride, (False, True))[1].float(), grad_bias, None


def _padding(weight: Tensor) -> int:
    return weight.shape[-1] // 2


def _gradients(grad: Tensor, x: Tensor, weight: Tensor, stride: int, wanted: tuple[bool, bool]) -> tuple[Tensor, ...]:
    result: tuple[Tensor, ...] = torch.ops.aten.convolution_backward(
        grad, x, weight, None, [stride] * 2, [_padding(weight)] * 2, [1, 1], False, [0, 0], x.shape[1], [*wanted, False]
    )
    return result


def _depthwise(x: Tensor, weight: Tensor, bias: Tensor | None, stride: int) -> Tensor:
    if torch.is_autocast_enabled("cpu") and x.device.type == "cpu":
        x = x.to(torch.get_autocast_dtype("cpu"))
    out: Tensor = _Depthwise.apply(x, weight, bias, stride)  # type: ignore[no-untyped-call]
    return out


class _FastDepthwise(nn.Conv2d):
    def forward(self, x: Tensor) -> Tensor:
        return _depthwise(x, self.weight, self.bias, self.stride[0])


class _FoldedNorm(nn.Sequential):
    """A convolution, its batch norm with frozen statistics, and perhaps an activation."""

    def forward(self, x: Tensor) -> Tensor:
        conv, norm = cast(nn.Conv2d, self[0]), cast(nn.BatchNorm2d, self[1])
        mean, variance = cast(Tensor, norm.running_mean), cast(Tensor, norm.running_var)
        scale = norm.weight * torch.rsqrt(variance + norm.eps)
        weight, bias = conv.weight * scale[:, None, None, None], norm.bias - mean * scale
        if isinstance(conv, _FastDepthwise):
            x = _depthwise(x, weight, bias, conv.stride[0])
        else:
            x = F.conv2d(x, weight, bias, conv.stride, conv.padding, conv.dilation, conv.groups)
        return self[2](x) if len(self) > 2 else x


def use_fast_convolutions(network: nn.Module) -> nn.Module:
    """Makes `network` train faster on a CPU; its weights and results stay the same.

    Batch norms that are in evaluation mode now must stay in it.
    """
    for module in network.modules():
        if type(module) is nn.Conv2d and module.groups == module.in_channels > 1:
            module.__class__ = _FastDepthwise
        if type(module) is nn.Sequential and _starts_with_frozen_norm(module):
            module.__class__ = _FoldedNorm
    return network


def _starts_with_frozen_norm(layers: nn.Sequential) -> bool:
    if len(layers) not in (2, 3) or not isinstance(layers[0], nn.Conv2d) or not isinstance(layers[1], nn.BatchNorm2d):
        return False
    return layers[0].bias is None and not layers[1].training
