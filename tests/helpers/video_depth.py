"""Checkpoints of Video Depth Anything with random weights, with the names and shapes of the published ones."""

from __future__ import annotations

from pathlib import Path

import torch

SMALL = {"width": 384, "depth": 12, "channels": (48, 96, 192, 384), "features": 64, "grid": 37}
"""The sizes of the published small model."""
TINY = {"width": 64, "depth": 4, "channels": (32, 32, 32, 64), "features": 32, "grid": 4}

Shapes = dict[str, tuple[int, ...]]


def published_shapes(width: int, depth: int, channels: tuple[int, ...], features: int, grid: int) -> Shapes:
    """Returns name -> shape of all tensors of a published file, whose sizes are these."""
    shapes: Shapes = {
        "pretrained.cls_token": (1, 1, width),
        "pretrained.pos_embed": (1, grid * grid + 1, width),
        "pretrained.mask_token": (1, width),
    }
    shapes |= _affine("pretrained.patch_embed.proj", width, 3, 14, 14)
    for i in range(depth):
        shapes |= _encoder_block(f"pretrained.blocks.{i}", width)
    shapes |= _affine("pretrained.norm", width)
    for i, c in enumerate(channels):
        shapes |= _affine(f"head.projects.{i}", c, width, 1, 1)
        shapes |= {f"head.scratch.layer{i + 1}_rn.weight": (features, c, 3, 3)}
        shapes |= _affine(f"head.scratch.refinenet{i + 1}.out_conv", features, features, 1, 1)
        for unit in (1, 2):
            for conv in (1, 2):
                name = f"head.scratch.refinenet{i + 1}.resConfUnit{unit}.conv{conv}"
                shapes |= _affine(name, features, features, 3, 3)
    for i, side in ((0, 4), (1, 2), (3, 3)):
        shapes |= _affine(f"head.resize_layers.{i}", channels[i], channels[i], side, side)
    for i, c in enumerate((channels[2], channels[3], features, features)):
        shapes |= _motion_module(f"head.motion_modules.{i}.temporal_transformer", c)
    shapes |= _affine("head.scratch.output_conv1", features // 2, features, 3, 3)
    shapes |= _affine("head.scratch.output_conv2.0", 32, features // 2, 3, 3)
    return shapes | _affine("head.scratch.output_conv2.2", 1, 32, 1, 1)


def _affine(name: str, *shape: int) -> Shapes:
    return {f"{name}.weight": shape, f"{name}.bias": shape[:1]}


def _encoder_block(name: str, width: int) -> Shapes:
    return {
        **_affine(f"{name}.norm1", width),
        **_affine(f"{name}.attn.qkv", 3 * width, width),
        **_affine(f"{name}.attn.proj", width, width),
        f"{name}.ls1.gamma": (width,),
        **_affine(f"{name}.norm2", width),
        **_affine(f"{name}.mlp.fc1", 4 * width, width),
        **_affine(f"{name}.mlp.fc2", width, 4 * width),
        f"{name}.ls2.gamma": (width,),
    }


def _motion_module(name: str, c: int) -> Shapes:
    block = f"{name}.transformer_blocks.0"
    shapes = {**_affine(f"{name}.norm", c), **_affine(f"{name}.proj_in", c, c), **_affine(f"{name}.proj_out", c, c)}
    for i in (0, 1):
        attention = f"{block}.attention_blocks.{i}"
        shapes |= {f"{attention}.to_{what}.weight": (c, c) for what in "qkv"}
        shapes |= _affine(f"{attention}.to_out.0", c, c) | {f"{attention}.pos_encoder.pe": (1, 32, c)}
        shapes |= _affine(f"{block}.norms.{i}", c)
    shapes |= _affine(f"{block}.ff.net.0.proj", 8 * c, c) | _affine(f"{block}.ff.net.2", c, 4 * c)
    return shapes | _affine(f"{block}.ff_norm", c)


def random_tensors(shapes: Shapes) -> dict[str, torch.Tensor]:
    """Returns tensors of these shapes whose network lets through what it sees: the same at each call."""
    random = torch.Generator().manual_seed(0)
    tensors = {}
    for name, shape in shapes.items():
        fan_in = max(1, torch.Size(shape[1:]).numel())
        tensors[name] = torch.randn(shape, generator=random) * fan_in**-0.5
        if len(shape) == 1:
            tensors[name] = torch.ones(shape) if name.endswith(("weight", "gamma")) else torch.zeros(shape)
    tensors["head.scratch.output_conv2.2.weight"].abs_()
    return tensors


def write_checkpoint(path: Path) -> Path:
    """Saves a tiny checkpoint as the authors save theirs."""
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save(random_tensors(published_shapes(**TINY)), path)
    return path


def write_cached_checkpoint(cache: Path) -> None:
    """Saves a tiny checkpoint the way the hub's client leaves the small model after a download."""
    root = cache / "models--depth-anything--Video-Depth-Anything-Small"
    write_checkpoint(root / "snapshots" / "abc" / "video_depth_anything_vits.pth")
    (root / "refs").mkdir()
    (root / "refs" / "main").write_text("abc")
