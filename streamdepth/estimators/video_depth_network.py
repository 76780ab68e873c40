"""The network of Video Depth Anything: a DINOv2 encoder, a DPT head, and attention over time within the head.

After Chen et al., "Video Depth Anything: Consistent Depth Estimation for Super-Long Videos" (CVPR 2025), Oquab et al.,
"DINOv2" (2023), and Ranftl et al., "Vision Transformers for Dense Prediction" (ICCV 2021). Modules bear the names of
the published checkpoints, so that their tensors load as they are.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from streamdepth.estimators.video_depth_memory import CLIP_LENGTH, StreamMemory

_CHANNELS_PER_HEAD = 64
_TEMPORAL_HEADS = 8
_HEAD_CHANNELS = 32
_LEVELS_OF_24 = (4, 11, 17, 23)
"""Blocks of an encoder of 24 whose outputs the head takes, counted from 0; of others it takes every fourth part."""


@dataclass(frozen=True, slots=True)
class Layout:
    """The sizes in which networks of this architecture differ."""

    width: int
    """Channels of the encoder, a multiple of 64."""
    depth: int
    """Blocks of the encoder."""
    patch: int
    """Side of the encoder's patches in px; sides of pictures are multiples of it."""
    grid: int
    """Rows and columns of the learned positions of patches."""
    channels: tuple[int, ...]
    """Channels of the head's four levels."""
    features: int
    """Channels in which the head fuses its levels."""

    @classmethod
    def of_tensors(cls, shapes: Mapping[str, Sequence[int]]) -> Layout:
        """Returns the sizes of the network whose tensors have these names and shapes. Raises KeyError for others."""
        patch = shapes["pretrained.patch_embed.proj.weight"]
        blocks = [name for name in shapes if name.startswith("pretrained.blocks.") and name.endswith(".norm1.weight")]
        return cls(
            width=patch[0],
            depth=len(blocks),
            patch=patch[-1],
            grid=math.isqrt(shapes["pretrained.pos_embed"][1] - 1),
            channels=tuple(shapes[f"head.projects.{level}.weight"][0] for level in range(4)),
            features=shapes["head.scratch.layer1_rn.weight"][0],
        )

    @property
    def levels(self) -> tuple[int, ...]:
        """Blocks of the encoder whose outputs the head takes, counted from 0."""
        return _LEVELS_OF_24 if self.depth == 24 else tuple((i + 1) * self.depth // 4 - 1 for i in range(4))


class VideoDepthNetwork(nn.Module):
    """Maps a picture, and what is remembered of its stream, to inverse depth; near is large."""

    def __init__(self, layout: Layout) -> None:
        super().__init__()
        self.layout = layout
        self.pretrained = Encoder(layout)
        self.head = TemporalHead(layout)

    def forward(self, pixels: Tensor, memory: StreamMemory) -> Tensor:
        """Returns depth (1, H, W), 0 or more, of a normalized picture (1, 3, H, W); `memory` goes on by a frame."""
        memory.begin_frame()
        return self.head(self.pretrained(pixels), pixels.shape[-2:], memory)  # type: ignore[no-any-return]  # not typed


class Encoder(nn.Module):
    """DINOv2's vision transformer, which returns the outputs of four of its blocks."""

    def __init__(self, layout: Layout) -> None:
        super().__init__()
        self.layout, width = layout, layout.width
        self.cls_token = nn.Parameter(torch.zeros(1, 1, width))
        self.pos_embed = nn.Parameter(torch.zeros(1, layout.grid**2 + 1, width))
        self.mask_token = nn.Parameter(torch.zeros(1, width))  # for training only, and in every checkpoint
        self.patch_embed = nn.ModuleDict({"proj": nn.Conv2d(3, width, layout.patch, layout.patch)})
        self.blocks = nn.ModuleList(EncoderBlock(width) for _ in range(layout.depth))
        self.norm = nn.LayerNorm(width, eps=1e-6)

    def forward(self, pixels: Tensor) -> list[Tensor]:
        """Returns four maps (N, width, H / patch, W / patch) of pictures (N, 3, H, W)."""
        patches = self.patch_embed["proj"](pixels)
        rows, columns = patches.shape[-2:]
        tokens = torch.cat([self.cls_token.expand(len(pixels), -1, -1), patches.flatten(2).transpose(1, 2)], 1)
        tokens = tokens + self._positions(rows, columns)
        maps = []
        for i, block in enumerate(self.blocks):
            tokens = block(tokens)
            if i in self.layout.levels:
                maps.append(self.norm(tokens)[:, 1:].transpose(1, 2).unflatten(2, (rows, columns)))
        return maps

    def _positions(self, rows: int, columns: int) -> Tensor:
        """Returns the learned positions, (1, 1 + rows * columns, width), resampled to this number of patches.

        DINOv2 was trained with factors of (n + 0.1) / grid, and so they are here.
        """
        grid = self.layout.grid
        if rows == columns == grid:
            return self.pos_embed
        square = self.pos_embed[:, 1:].float().transpose(1, 2).reshape(1, -1, grid, grid)
        factors = [(n + 0.1) / grid for n in (rows, columns)]
        resampled = F.interpolate(square, scale_factor=factors, mode="bicubic").flatten(2).transpose(1, 2)
        return torch.cat([self.pos_embed[:, :1], resampled.to(self.pos_embed.dtype)], 1)


class EncoderBlock(nn.Module):
    """Attention over all patches of a picture and a perceptron, each added with a learned factor per channel."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(width, eps=1e-6), nn.LayerNorm(width, eps=1e-6)
        self.attn = nn.ModuleDict({"qkv": nn.Linear(width, 3 * width), "proj": nn.Linear(width, width)})
        self.mlp = nn.ModuleDict({"fc1": nn.Linear(width, 4 * width), "fc2": nn.Linear(4 * width, width)})
        self.ls1 = nn.ParameterDict({"gamma": torch.ones(width)})
        self.ls2 = nn.ParameterDict({"gamma": torch.ones(width)})

    def forward(self, tokens: Tensor) -> Tensor:
        tokens = tokens + self.ls1["gamma"] * self._attend(self.norm1(tokens))
        hidden = F.gelu(self.mlp["fc1"](self.norm2(tokens)))
        return tokens + self.ls2["gamma"] * self.mlp["fc2"](hidden)  # type: ignore[no-any-return]  # not typed

    def _attend(self, tokens: Tensor) -> Tensor:
        heads = self.attn["qkv"](tokens).unflatten(2, (3, -1, _CHANNELS_PER_HEAD)).permute(2, 0, 3, 1, 4)
        attended = F.scaled_dot_product_attention(*heads.unbind())
        return self.attn["proj"](attended.transpose(1, 2).flatten(2))  # type: ignore[no-any-return]  # not typed


class TemporalHead(nn.Module):
    """DPT's head, with attention over time at its two coarsest levels and after its first two fusions."""

    def __init__(self, layout: Layout) -> None:
        super().__init__()
        c, features = layout.channels, layout.features
        self.projects = nn.ModuleList(nn.Conv2d(layout.width, channels, 1) for channels in c)
        self.resize_layers = nn.ModuleList(
            [
                nn.ConvTranspose2d(c[0], c[0], 4, 4),
                nn.ConvTranspose2d(c[1], c[1], 2, 2),
                nn.Identity(),
                nn.Conv2d(c[3], c[3], 3, 2, 1),
            ]
        )
        self.scratch = nn.ModuleDict(
            {f"layer{i + 1}_rn": nn.Conv2d(c[i], features, 3, padding=1, bias=False) for i in range(4)}
        )
        self.scratch.update({f"refinenet{i + 1}": Fusion(features) for i in range(4)})
        self.scratch["output_conv1"] = nn.Conv2d(features, features // 2, 3, padding=1)
        self.scratch["output_conv2"] = nn.Sequential(
            nn.Conv2d(features // 2, _HEAD_CHANNELS, 3, padding=1), nn.ReLU(), nn.Conv2d(_HEAD_CHANNELS, 1, 1)
        )
        self.motion_modules = nn.ModuleList(MotionModule(n) for n in (c[2], c[3], features, features))

    def forward(self, maps: Sequence[Tensor], size: Sequence[int], memory: StreamMemory) -> Tensor:
        """Returns depth (1, H, W) of `size`, (H, W) px, from the encoder's four maps, finest level first."""
        scratch, motion = self.scratch, self.motion_modules
        levels = [
            resize(project(m)) for project, resize, m in zip(self.projects, self.resize_layers, maps, strict=True)
        ]
        levels[2], levels[3] = motion[0](levels[2], memory), motion[1](levels[3], memory)
        levels = [scratch[f"layer{i + 1}_rn"](level) for i, level in enumerate(levels)]
        path = motion[2](scratch["refinenet4"](levels[3], None, levels[2].shape[-2:]), memory)
        path = motion[3](scratch["refinenet3"](path, levels[2], levels[1].shape[-2:]), memory)
        path = scratch["refinenet2"](path, levels[1], levels[0].shape[-2:])
        path = scratch["refinenet1"](path, levels[0], [2 * side for side in levels[0].shape[-2:]])
        path = _resize(scratch["output_conv1"](path), size)
        return F.relu(scratch["output_conv2"](path))[:, 0]


class Fusion(nn.Module):
    """Adds a finer level to what came from the coarser ones, and resizes the sum."""

    def __init__(self, features: int) -> None:
        super().__init__()
        # Names of the published tensors. The coarsest fusion has no level to add; its first unit is not used.
        self.resConfUnit1, self.resConfUnit2 = ResidualUnit(features), ResidualUnit(features)
        self.out_conv = nn.Conv2d(features, features, 1)

    def forward(self, path: Tensor, level: Tensor | None, size: Sequence[int]) -> Tensor:
        if level is not None:
            path = path + self.resConfUnit1(level)
        return self.out_conv(_resize(self.resConfUnit2(path), size))  # type: ignore[no-any-return]  # not typed


class ResidualUnit(nn.Module):
    """Two convolutions, each after a rectifier, added to their input."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(features, features, 3, padding=1)
        self.conv2 = nn.Conv2d(features, features, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.conv2(F.relu(self.conv1(F.relu(x))))  # type: ignore[no-any-return]  # a module is not typed


class MotionModule(nn.Module):
    """Attention over time at each pixel of a feature map, added to the map."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.temporal_transformer = TemporalTransformer(channels)

    def forward(self, features: Tensor, memory: StreamMemory) -> Tensor:
        """Returns the map (1, channels, h, w) of a frame with what the remembered frames add to it."""
        tokens = self.temporal_transformer(features, memory)
        return features + tokens.T.unflatten(1, features.shape[-2:])  # type: ignore[no-any-return]  # not typed


class TemporalTransformer(nn.Module):
    """One transformer block over the frames that are remembered at each pixel."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(32, channels, eps=1e-6)
        self.proj_in, self.proj_out = nn.Linear(channels, channels), nn.Linear(channels, channels)
        self.transformer_blocks = nn.ModuleList([TemporalBlock(channels)])

    def forward(self, features: Tensor, memory: StreamMemory) -> Tensor:
        """Returns (pixels, channels)."""
        tokens = self.proj_in(self.norm(features)[0].flatten(1).T)
        for block in self.transformer_blocks:
            tokens = block(tokens, memory)
        return self.proj_out(tokens)  # type: ignore[no-any-return]  # a module is not typed


class TemporalBlock(nn.Module):
    """Two attentions over time, and a perceptron gated by GELU (Shazeer, "GLU Variants Improve Transformer", 2020)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.attention_blocks = nn.ModuleList(TemporalAttention(channels) for _ in range(2))
        self.norms = nn.ModuleList(nn.LayerNorm(channels) for _ in range(2))
        self.ff_norm = nn.LayerNorm(channels)
        gate = nn.ModuleDict({"proj": nn.Linear(channels, 8 * channels)})
        # Position 1 of the published list has no tensors.
        layers = nn.ModuleList([gate, nn.Identity(), nn.Linear(4 * channels, channels)])
        self.ff = nn.ModuleDict({"net": layers})

    def forward(self, tokens: Tensor, memory: StreamMemory) -> Tensor:
        for attention, norm in zip(self.attention_blocks, self.norms, strict=True):
            tokens = tokens + attention(norm(tokens), memory)
        layers: Any = self.ff["net"]
        hidden, gates = layers[0]["proj"](self.ff_norm(tokens)).chunk(2, -1)
        return tokens + layers[2](hidden * F.gelu(gates))  # type: ignore[no-any-return]  # a module is not typed


class TemporalAttention(nn.Module):
    """Attention from the newest frame to the remembered ones, at each pixel by itself.

    Keys and values of the remembered frames are never computed: since there is one query at each pixel, the matrix of
    the keys is applied to the query, and that of the values to the weighted mean of what is remembered. Both give the
    same numbers with about a thirtieth of the work.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.to_q, self.to_k, self.to_v = (nn.Linear(channels, channels, bias=False) for _ in range(3))
        self.to_out = nn.ModuleList([nn.Linear(channels, channels)])
        self.pos_encoder = nn.Module()
        self.pos_encoder.register_buffer("pe", torch.zeros(1, CLIP_LENGTH, channels))

    def forward(self, tokens: Tensor, memory: StreamMemory) -> Tensor:
        """Returns (pixels, channels) for the newest frame's tokens of that shape, which are remembered."""
        past = memory.remember(self, tokens)
        positions = torch.tensor(memory.positions, device=tokens.device)
        encodings: Tensor = self.pos_encoder.pe[0]  # type: ignore[index]  # a module's buffers are not typed
        places = encodings[positions.clamp(min=0)]
        by_head = (_TEMPORAL_HEADS, -1, tokens.shape[1])
        key, value = self.to_k.weight.view(by_head), self.to_v.weight.view(by_head)
        query = self.to_q(tokens + encodings[memory.newest_position]) * key.shape[1] ** -0.5
        query = torch.einsum("phd,hdc->phc", query.unflatten(1, (_TEMPORAL_HEADS, -1)), key)
        scores = query @ past.transpose(1, 2) + query @ places.T
        weights = scores.masked_fill(positions < 0, -math.inf).softmax(-1)
        mean = weights @ past + weights @ places
        return self.to_out[0](torch.einsum("phc,hdc->phd", mean, value).flatten(1))  # type: ignore[no-any-return]


def _resize(features: Tensor, size: Sequence[int]) -> Tensor:
    return F.interpolate(features, size=list(size), mode="bilinear", align_corners=True)
