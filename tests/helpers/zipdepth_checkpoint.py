"""A checkpoint of ZipDepth as its authors publish it, with random weights, and its network as they describe it."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as F

_CHANNELS, _BLOCKS = (48, 96, 192, 384), (2, 2, 6, 2)
State = dict[str, Tensor]


def published_state(seed: int = 0) -> State:
    """Returns random weights by the names and shapes of the published file (zipdepth_base.pth)."""
    torch.manual_seed(seed)
    state: State = {"mean": torch.zeros(1, 3, 1, 1), "std": torch.ones(1, 3, 1, 1)}
    e, d = "encoder", "decoder"
    _conv_norm(state, f"{e}.stem_half", 24, 3, 3)
    _conv_norm(state, f"{e}.stem_quarter", 48, 24, 3)
    for stage, (channels, blocks) in enumerate(zip(_CHANNELS, _BLOCKS, strict=True), 1):
        if stage > 1:
            _block(state, f"{e}.down{stage}", channels, channels // 2)
        for i in range(blocks):
            _block(state, f"{e}.stage{stage}.{i}", channels, channels)
    for branch in ("branch1", "branch2"):
        _conv(state, f"{e}.stage2.2.{branch}", 96, 1, 3)
    _norm(state, f"{e}.stage2.2.bn", 96)
    _conv(state, f"{e}.stage2.3.gate_conv.0", 96, 1, 1)
    _norm(state, f"{e}.stage2.3.gate_conv.1", 96)
    _conv(state, f"{e}.stage3.6.fc.0", 24, 192, 1)
    _conv(state, f"{e}.stage3.6.fc.2", 192, 24, 1)
    _conv(state, f"{e}.stage3.7.context_weight", 1, 192, 1, bias=True)
    _conv(state, f"{e}.stage3.7.transform.0", 48, 192, 1, bias=True)
    _norm(state, f"{e}.stage3.7.transform.1", 48)
    _conv(state, f"{e}.stage3.7.transform.3", 192, 48, 1, bias=True)
    _conv_norm(state, f"{e}.spp.cv1", 96, 384, 1)
    _conv_norm(state, f"{e}.spp.cv2", 384, 384, 1)
    _conv(state, f"{e}.cross_scale.low_to_high", 192, 96, 1)
    _conv(state, f"{e}.cross_scale.high_to_low", 384, 48, 1)
    _conv_norm(state, f"{d}.proj4", 288, 384, 1)
    for name, high, low, out in (("3", 192, 288, 192), ("2", 96, 192, 144), ("1", 48, 144, 96), ("_half", 24, 96, 32)):
        _conv(state, f"{d}.fuse{name}.proj_high", out, high // 4, 1)
        _conv(state, f"{d}.fuse{name}.proj_low", out, low // 4, 1)
        _norm(state, f"{d}.fuse{name}.bn", out)
    _conv(state, f"{d}.head_half", 1, 32, 3, bias=True)
    state[f"{d}.head_half.bias"] += 0.5
    _conv(state, f"{d}.convex_up.mask_pred.0", 8, 32, 3)
    _norm(state, f"{d}.convex_up.mask_pred.1", 8)
    _conv(state, f"{d}.convex_up.mask_pred.3", 36, 8, 1, bias=True)
    return state


def write_checkpoint(path: Path, state: State | None = None) -> Path:
    """Writes weights as training leaves them: below `model_state_dict`, with a name's prefix."""
    path.parent.mkdir(parents=True, exist_ok=True)
    weights = published_state() if state is None else state
    torch.save({"epoch": 5, "model_state_dict": {f"_orig_mod.{name}": t for name, t in weights.items()}}, path)
    return path


def _conv(state: State, name: str, outputs: int, inputs: int, size: int, *, bias: bool = False) -> None:
    state[f"{name}.weight"] = torch.randn(outputs, inputs, size, size) * (2 / (inputs * size**2)) ** 0.5
    if bias:
        state[f"{name}.bias"] = torch.randn(outputs) / 10


def _norm(state: State, name: str, channels: int) -> None:
    state |= {
        f"{name}.weight": 1 + torch.randn(channels) / 10, f"{name}.bias": torch.randn(channels) / 10,
        f"{name}.running_mean": torch.randn(channels) / 10, f"{name}.running_var": 0.8 + torch.rand(channels),
        f"{name}.num_batches_tracked": torch.tensor(7),
    }  # fmt: skip


def _conv_norm(state: State, name: str, outputs: int, inputs: int, size: int) -> None:
    _conv(state, f"{name}.conv", outputs, inputs, size)
    _norm(state, f"{name}.bn", outputs)


def _block(state: State, name: str, outputs: int, inputs: int) -> None:
    for branch, size in (("branch_3x3", 3), ("branch_1x1", 1)):
        _conv(state, f"{name}.{branch}.0", outputs, inputs, size)
        _norm(state, f"{name}.{branch}.1", outputs)


class Reference:
    """The network block by block as it is described for training, in evaluation mode: nothing is folded."""

    def __init__(self, state: State) -> None:
        self.s = state

    def __call__(self, x: Tensor) -> Tensor:
        half = F.relu(self._conv_norm("encoder.stem_half", x, 2))
        features = F.relu(self._conv_norm("encoder.stem_quarter", half, 2))
        levels = []
        for stage, blocks in enumerate(_BLOCKS, 1):
            if stage > 1:
                features = self._block(f"encoder.down{stage}", features, 2)
            for i in range(blocks):
                features = self._block(f"encoder.stage{stage}.{i}", features, 1)
            features = {2: self._stage2, 3: self._stage3, 4: self._pooling}.get(stage, lambda f: f)(features)
            levels.append(features)
        first, second, third, fourth = levels
        low = F.interpolate(self._conv("encoder.cross_scale.low_to_high", fourth, groups=4), scale_factor=2)
        high = F.adaptive_avg_pool2d(self._conv("encoder.cross_scale.high_to_low", third, groups=4), fourth.shape[2:])
        third, fourth = third + 0.3 * low, fourth + 0.3 * high
        features = F.relu(self._conv_norm("decoder.proj4", fourth))
        for name, fine in (("3", third), ("2", second), ("1", first), ("_half", half)):
            features = self._fuse(f"decoder.fuse{name}", fine, features)
        return self._enlarged(features, self._conv("decoder.head_half", features, padding=1))[:, 0]

    def _conv(
        self, name: str, x: Tensor, stride: int = 1, padding: int = 0, groups: int = 1, dilation: int = 1
    ) -> Tensor:
        return F.conv2d(x, self.s[f"{name}.weight"], self.s.get(f"{name}.bias"), stride, padding, dilation, groups)

    def _norm(self, name: str, x: Tensor) -> Tensor:
        mean, variance, weight, bias = (
            self.s[f"{name}.{part}"] for part in ("running_mean", "running_var", "weight", "bias")
        )
        return F.batch_norm(x, mean, variance, weight, bias)

    def _conv_norm(self, name: str, x: Tensor, stride: int = 1) -> Tensor:
        padding = self.s[f"{name}.conv.weight"].shape[-1] // 2
        return self._norm(f"{name}.bn", self._conv(f"{name}.conv", x, stride, padding))

    def _block(self, name: str, x: Tensor, stride: int) -> Tensor:
        wide = self._norm(f"{name}.branch_3x3.1", self._conv(f"{name}.branch_3x3.0", x, stride, 1))
        narrow = self._norm(f"{name}.branch_1x1.1", self._conv(f"{name}.branch_1x1.0", x, stride))
        return F.relu(wide + narrow + (x if stride == 1 else 0))

    def _stage2(self, x: Tensor) -> Tensor:
        near = self._conv("encoder.stage2.2.branch1", x, padding=1, groups=96)
        wide = self._conv("encoder.stage2.2.branch2", x, padding=2, groups=96, dilation=2)
        x = x + self._norm("encoder.stage2.2.bn", near + wide)
        strips = x.mean(3, keepdim=True) + x.mean(2, keepdim=True)
        gate = self._norm("encoder.stage2.3.gate_conv.1", self._conv("encoder.stage2.3.gate_conv.0", strips, groups=96))
        return x * torch.sigmoid(gate)

    def _stage3(self, x: Tensor) -> Tensor:
        squeezed = F.relu(self._conv("encoder.stage3.6.fc.0", F.adaptive_avg_pool2d(x, 1)))
        x = x * torch.sigmoid(self._conv("encoder.stage3.6.fc.2", squeezed))
        name = "encoder.stage3.7"
        weights = torch.softmax(self._conv(f"{name}.context_weight", x).flatten(1), 1).view(len(x), 1, *x.shape[2:])
        context = (x * weights).sum((2, 3), keepdim=True)
        inner = F.relu(self._norm(f"{name}.transform.1", self._conv(f"{name}.transform.0", context)))
        return x + self._conv(f"{name}.transform.3", inner)

    def _pooling(self, x: Tensor) -> Tensor:
        pooled = [F.relu(self._conv_norm("encoder.spp.cv1", x))]
        for _ in range(3):
            pooled.append(F.max_pool2d(pooled[-1], 5, 1, 2))
        return F.relu(self._conv_norm("encoder.spp.cv2", torch.cat(pooled, 1)))

    def _fuse(self, name: str, fine: Tensor, coarse: Tensor) -> Tensor:
        coarse = F.interpolate(coarse, fine.shape[2:], mode="bilinear", align_corners=False)
        joined = self._conv(f"{name}.proj_high", fine, groups=4) + self._conv(f"{name}.proj_low", coarse, groups=4)
        return F.relu(self._norm(f"{name}.bn", joined))

    def _enlarged(self, features: Tensor, depth: Tensor) -> Tensor:
        name, (batch, _, height, width) = "decoder.convex_up.mask_pred", depth.shape
        inner = F.relu(self._norm(f"{name}.1", self._conv(f"{name}.0", features, padding=1)))
        weights = torch.softmax(self._conv(f"{name}.3", inner).view(batch, 9, 4, height, width), 1)
        neighbors = F.unfold(F.pad(depth, (1, 1, 1, 1), mode="replicate"), 3).view(batch, 9, 1, height, width)
        return F.relu(F.pixel_shuffle((weights * neighbors).sum(1), 2))
