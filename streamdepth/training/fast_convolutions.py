"""Convolutions that train fast on CPUs: with their frozen batch norms folded in, and with fast depthwise gradients.

A batch norm with frozen statistics is a scale and a shift of each channel. Scaling the few weights of the convolution
before it gives the same results and gradients as a pass over the whole feature map, and takes no time.

oneDNN is slow at some gradients of depthwise convolutions, all of which can be had from others that it is fast at: that
of the input is a convolution with the mirrored kernel, of a gradient spread with zeros where the stride is 2; and that
of a 5x5 kernel in bfloat16 is put together from those of four 3x3 kernels.
"""

from __future__ import annotations

import itertools
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
        grad_x = _input_gradient(grad, x, weight, ctx.stride)
        return grad_x, _weight_gradient(grad, x, weight, ctx.stride).float(), grad_bias, None


def _padding(weight: Tensor) -> int:
    return weight.shape[-1] // 2


def _input_gradient(grad: Tensor, x: Tensor, weight: Tensor, stride: int) -> Tensor:
    if stride > 1 and x.dtype == torch.float32:
        return _gradients(grad, x, weight, stride, _padding(weight), (True, False))[0]
    if stride > 1:
        spread = torch.zeros_like(x)
        spread[:, :, ::stride, ::stride] = grad
        grad = spread
    return F.conv2d(grad, weight.flip(2, 3), None, 1, _padding(weight), 1, x.shape[1])


def _weight_gradient(grad: Tensor, x: Tensor, weight: Tensor, stride: int) -> Tensor:
    if weight.shape[-1] != 5 or x.dtype == torch.float32:
        return _gradients(grad, x, weight, stride, _padding(weight), (False, True))[1]
    rows, columns = ((side - 1) * stride + 3 for side in grad.shape[2:])
    padded, total = F.pad(x, [_padding(weight)] * 4), torch.empty_like(weight)
    for top, left in itertools.product((0, 2), (0, 2)):  # the middle row and column are computed twice
        seen = padded[:, :, top : top + rows, left : left + columns].contiguous(memory_format=torch.channels_last)
        part = _gradients(grad, seen, weight[:, :, :3, :3], stride, 0, (False, True))[1]
        total[:, :, top : top + 3, left : left + 3] = part
    return total


def _gradients(
    grad: Tensor, x: Tensor, weight: Tensor, stride: int, padding: int, wanted: tuple[bool, bool]
) -> tuple[Tensor, ...]:
    result: tuple[Tensor, ...] = torch.ops.aten.convolution_backward(
        grad, x, weight, None, [stride] * 2, [padding] * 2, [1, 1], False, [0, 0], x.shape[1], [*wanted, False]
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
