"""A network with all that is needed to run it: how pictures become its input, and what its output means."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import cv2
import numpy as np
import torch
from torch import Tensor, nn

from streamdepth.core.arrays import DepthMap
from streamdepth.core.errors import ModelLoadError
from streamdepth.core.types import DepthKind, Estimate, Frame
from streamdepth.estimators.engines import Engine, Outputs
from streamdepth.estimators.postprocess import focal_px, metric_from_canonical, without_margins
from streamdepth.estimators.preprocess import InputSpec, Margins


@dataclass(frozen=True, slots=True)
class Card:
    """What is known of a network besides its weights; as JSON it goes into exported models."""

    name: str
    kind: DepthKind
    license: str
    parameters: int
    spec: InputSpec
    shrinks_first: bool = False
    """Pictures are resized before they go to the network's device, as the built-in model wants."""

    def as_json(self) -> dict[str, Any]:
        """Plain types, ready for `json.dumps`."""
        return asdict(self)

    @classmethod
    def from_json(cls, facts: dict[str, Any]) -> Card:
        """Raises ModelLoadError when it was written by something else."""
        try:
            spec: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in facts["spec"].items()}
            known: dict[str, Any] = facts | {"spec": InputSpec(**spec), "kind": DepthKind(facts["kind"])}
            return cls(**known)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise ModelLoadError(
                f"the description inside this model is not understood ({error}); export it anew"
            ) from error

    def fixed(self, height: int, width: int) -> Card:
        """The same, with every picture brought to the size that one of `height` x `width` px gets."""
        size = self.spec.output_size(height, width)
        return replace(
            self, spec=replace(self.spec, size=size, keep_aspect=False, multiple=1, floor=False, longest=None)
        )

    def input_size(self) -> tuple[int, int]:
        """(height, width) in px of the network's input, of a card that `fixed` has made."""
        assert self.spec.size is not None
        height, width = self.spec.size
        multiple = self.spec.pad_multiple or 1
        return height + -height % multiple, width + -width % multiple

    def prepare(self, frames: Sequence[Frame], engine: Engine) -> tuple[Tensor, Margins | None]:
        """Frames of one size -> (N, 3, h, w) float32 on the engine's device, and the margins that were added."""
        if not self.shrinks_first:
            return self.spec.prepare(engine.upload([frame.image for frame in frames]))
        height, width = self.spec.output_size(*frames[0].size[::-1])
        small = [frame.image_at_size(width, height) for frame in frames]
        if engine.device.type == "cpu" and len({*self.spec.std}) == 1:
            # In one pass of OpenCV: for so small a network, torch's passes would cost as much as the network.
            mean, scale = [m / self.spec.rescale for m in self.spec.mean], self.spec.rescale / self.spec.std[0]
            return torch.from_numpy(cv2.dnn.blobFromImages(small, scale, mean=mean)), None
        return self.spec.normalize(engine.upload(small).permute(0, 3, 1, 2)), None


@dataclass(frozen=True, slots=True)
class Network:
    """A network and its card."""

    module: nn.Module
    """(N, 3, H, W) float32 -> depth (N, h, w), and degrees (N,) where it sees the field of view; evaluation mode."""
    card: Card
    cache_name: str
    """Goes into file names of what is made from it."""


def finish(outputs: Outputs, margins: Margins | None, width: int) -> tuple[Tensor, list[float | None]]:
    """A network's outputs -> depth (N, h, w), not finite where unknown, and focal lengths in px at `width`."""
    depth = without_margins(outputs[0], margins)
    focals: list[float | None] = [None] * len(depth)
    if len(outputs) > 1:
        depth = metric_from_canonical(depth, outputs[1])
        focals = [focal_px(angle, width) for angle in outputs[1].tolist()]
    return depth, focals


def as_estimates(depth: Tensor, focals: Sequence[float | None]) -> list[Estimate]:
    """depth: (N, h, w) on the CPU."""
    return [Estimate(_known(d), focal) for d, focal in zip(depth.numpy(), focals, strict=True)]


def _known(depth: DepthMap) -> DepthMap:
    """NaN where it is not finite."""
    finite = np.isfinite(depth)
    return np.ascontiguousarray(depth if finite.all() else np.where(finite, depth, np.float32(np.nan)))
