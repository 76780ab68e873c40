"""Makes the weights of ZipDepthNetwork of those that its authors publish, which are laid out for training.

There a block has a 3x3 and a 1x1 convolution and an identity beside each other, each convolution is followed by a batch
norm, and some come in groups. All of that is linear, so that it folds into one convolution (Ding et al., "RepVGG",
CVPR 2021).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import torch
from torch import Tensor
from torch.nn import functional as F

from streamdepth.estimators.zipdepth_network import BLOCKS

_EPSILON = 1e-5
"""Added to the variance by torch's batch norm."""
_PREFIXES = ("module.", "_orig_mod.")
"""The words that training on several GPUs, and compiling, put before each name."""

Published = Mapping[str, Tensor]


def fold_weights(published: Published) -> dict[str, Tensor]:
    """Returns the state of a ZipDepthNetwork, float32. Raises KeyError and RuntimeError for other tensors."""
    p = {_plain_name(name): tensor.float() for name, tensor in published.items()}
    pairs = dict([*_encoder(p), *_decoder(p)])
    return {f"{name}.{part}": t for name, both in pairs.items() for part, t in _parts(both)}


def _parts(both: tuple[Tensor, Tensor | None]) -> Iterator[tuple[str, Tensor]]:
    yield "weight", both[0]
    if both[1] is not None:
        yield "bias", both[1]


def _plain_name(name: str) -> str:
    while prefix := next((prefix for prefix in _PREFIXES if name.startswith(prefix)), None):
        name = name.removeprefix(prefix)
    return name


Pair = tuple[str, tuple[Tensor, Tensor | None]]
"""The name of a convolution in ZipDepthNetwork, its weight and its bias."""


def _encoder(p: Published) -> Iterator[Pair]:
    yield "stem", _with_norm(p, "encoder.stem_half.conv", "encoder.stem_half.bn")
    yield "stage1.0", _with_norm(p, "encoder.stem_quarter.conv", "encoder.stem_quarter.bn")
    for stage, blocks in enumerate(BLOCKS, 1):
        if stage > 1:
            yield f"stage{stage}.0", _block(p, f"encoder.down{stage}")
        for i in range(blocks):
            yield f"stage{stage}.{i + 1}", _block(p, f"encoder.stage{stage}.{i}")
    yield "spread", _spread(p, "encoder.stage2.2")
    yield "strips.gate", _with_norm(p, "encoder.stage2.3.gate_conv.0", "encoder.stage2.3.gate_conv.1")
    yield "channels.squeeze", _plain(p, "encoder.stage3.6.fc.0")
    yield "channels.excite", _plain(p, "encoder.stage3.6.fc.2")
    yield "context.weight", _plain(p, "encoder.stage3.7.context_weight")
    yield "context.inner", _with_norm(p, "encoder.stage3.7.transform.0", "encoder.stage3.7.transform.1")
    yield "context.outer", _plain(p, "encoder.stage3.7.transform.3")
    yield "pooling.inner", _with_norm(p, "encoder.spp.cv1.conv", "encoder.spp.cv1.bn")
    yield "pooling.outer", _with_norm(p, "encoder.spp.cv2.conv", "encoder.spp.cv2.bn")
    yield "up", _plain(p, "encoder.cross_scale.low_to_high")
    yield "down", _plain(p, "encoder.cross_scale.high_to_low")


def _decoder(p: Published) -> Iterator[Pair]:
    yield "top", _with_norm(p, "decoder.proj4.conv", "decoder.proj4.bn")
    for level in ("fuse3", "fuse2", "fuse1", "fuse_half"):
        norm = f"decoder.{level}.bn"
        yield f"{level}.fine", _with_norm(p, f"decoder.{level}.proj_high", norm)
        yield f"{level}.coarse", (_with_norm(p, f"decoder.{level}.proj_low", norm)[0], None)
    yield "head", _plain(p, "decoder.head_half")
    up = "decoder.convex_up.mask_pred"
    yield "upsampling.inner", _with_norm(p, f"{up}.0", f"{up}.1")
    yield "upsampling.outer", _plain(p, f"{up}.3")


def _plain(p: Published, name: str) -> tuple[Tensor, Tensor | None]:
    return p[f"{name}.weight"], p.get(f"{name}.bias")


def _with_norm(p: Published, name: str, norm: str) -> tuple[Tensor, Tensor]:
    """Folds a batch norm into the convolution before it."""
    weight, bias = _plain(p, name)
    gain, offset = _norm(p, norm)
    return weight * gain.view(-1, 1, 1, 1), offset if bias is None else offset + bias * gain


def _norm(p: Published, name: str) -> tuple[Tensor, Tensor]:
    """Returns the factor and the offset of each channel."""
    gain = p[f"{name}.weight"] / (p[f"{name}.running_var"] + _EPSILON).sqrt()
    return gain, p[f"{name}.bias"] - p[f"{name}.running_mean"] * gain


def _block(p: Published, name: str) -> tuple[Tensor, Tensor]:
    """Folds the branches of a block; one that keeps size and channels has an identity beside them."""
    wide, wide_bias = _with_norm(p, f"{name}.branch_3x3.0", f"{name}.branch_3x3.1")
    narrow, narrow_bias = _with_norm(p, f"{name}.branch_1x1.0", f"{name}.branch_1x1.1")
    weight = wide + F.pad(narrow, (1, 1, 1, 1))
    if ".down" not in name:
        weight = weight + F.pad(torch.eye(len(weight))[:, :, None, None], (1, 1, 1, 1))
    return weight, wide_bias + narrow_bias


def _spread(p: Published, name: str) -> tuple[Tensor, Tensor]:
    """Folds two 3x3 convolutions of each channel, one of them over every second pixel, and an identity into a 5x5."""
    weight = F.pad(p[f"{name}.branch1.weight"], (1, 1, 1, 1))
    weight[:, :, ::2, ::2] += p[f"{name}.branch2.weight"]
    gain, offset = _norm(p, f"{name}.bn")
    weight = weight * gain.view(-1, 1, 1, 1)
    weight[:, :, 2, 2] += 1
    return weight, offset
