"""A network with all that is needed to run it: how pictures become its input, and what its output means."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import cv2
import numpy as np

from streamdepth.core.arrays import DepthMap
from streamdepth.core.device_map import DeviceMap, for_depth_field
from streamdepth.core.device_picture import DevicePicture
from streamdepth.core.errors import ModelLoadError
from streamdepth.core.types import DepthKind, Estimate, Frame, ModelInfo
from streamdepth.estimators.engines import Engine, Outputs, Pixels
from streamdepth.estimators.engines.lazy_module import LazyModule
from streamdepth.estimators.margins import Margins, crop_margins, repeat_edges, repeat_edges_of_tensor
from streamdepth.estimators.postprocess import focal_px, metric_from_canonical
from streamdepth.estimators.preprocess import InputSpec


@dataclass(frozen=True, slots=True)
class ModelCard:
    """The facts about a network besides its weights; exported models carry them as JSON."""

    name: str
    kind: DepthKind
    license: str
    parameters: int
    """Number of learned parameters; 0 where it is not known."""
    spec: InputSpec
    resizes_before_upload: bool = False
    """True if pictures are resized before they go to the network's device, as the built-in model wants."""
    takes_prompt: bool = False
    """True if the network takes a sensor's depth beside the picture, as its second input."""

    def to_json(self) -> dict[str, Any]:
        """Returns plain types, ready for `json.dumps`."""
        return asdict(self)

    @classmethod
    def from_json(cls, facts: dict[str, Any]) -> ModelCard:
        """Builds the card that `to_json` described. Raises ModelLoadError for anything else."""
        try:
            spec: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in facts["spec"].items()}
            fields: dict[str, Any] = facts | {"spec": InputSpec(**spec), "kind": DepthKind(facts["kind"])}
            return cls(**fields)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise ModelLoadError(
                f"the description inside this model is not understood ({error}); export it anew", code="damaged"
            ) from error

    def with_fixed_size(self, height: int, width: int) -> ModelCard:
        """Returns a card by which every picture is brought to the size that one of `height` x `width` px gets."""
        size = self.spec.output_size(height, width)
        return replace(
            self, spec=replace(self.spec, size=size, keep_aspect=False, multiple=1, floor=False, max_long_side=None)
        )

    def input_size(self) -> tuple[int, int]:
        """Returns (height, width) in px of the network's input, for a card that `with_fixed_size` has made."""
        assert self.spec.size is not None
        height, width = self.spec.size
        multiple = self.spec.pad_multiple or 1
        return height + -height % multiple, width + -width % multiple

    def prepare(self, frames: Sequence[Frame], engine: Engine) -> tuple[Pixels, Margins | None]:
        """Returns the network's input for frames of one size, and the margins that were added.

        The input is (N, 3, h, w) float32 on the engine's device; for pictures that lie on a GPU, on theirs. Cards that
        resize before the upload need no torch on a CPU.
        """
        pictures = [frame.device_picture for frame in frames]
        if all(pictures):
            return self._prepare_on_device([picture for picture in pictures if picture is not None])
        if not self.resizes_before_upload:
            return self.spec.prepare(engine.upload([frame.image for frame in frames]))
        height, width = self.spec.output_size(*frames[0].size[::-1])
        margins = self.spec.letterbox_margins(*frames[0].size[::-1])
        small = [repeat_edges(frame.image_at_size(width, height), margins) for frame in frames]
        if engine.device == "cpu" and len({*self.spec.std}) == 1:
            # In one pass of OpenCV: for so small a network, torch's passes would cost as much as the network.
            mean, scale = [m / self.spec.rescale for m in self.spec.mean], self.spec.rescale / self.spec.std[0]
            return np.asarray(cv2.dnn.blobFromImages(small, scale, mean=mean), np.float32), margins
        return self.spec.normalize(engine.upload(small)), margins

    def _prepare_on_device(self, pictures: Sequence[DevicePicture]) -> tuple[Pixels, Margins | None]:
        import torch

        if not self.resizes_before_upload:
            return self.spec.prepare(torch.stack([picture.rgb() for picture in pictures]))
        height, width = self.spec.output_size(*pictures[0].size[::-1])
        margins = self.spec.letterbox_margins(*pictures[0].size[::-1])
        small = torch.stack([picture.rgb_at_size(width, height) for picture in pictures])
        padded = repeat_edges_of_tensor(small.permute(0, 3, 1, 2), margins)
        return self.spec.normalize(padded.permute(0, 2, 3, 1)), margins


@dataclass(frozen=True, slots=True)
class Network:
    """A torch module, loaded when it is needed, and its card."""

    module: LazyModule
    """Maps (N, 3, H, W) float32 to depth (N, h, w), and to degrees (N,) if it sees the field of view; in evaluation
    mode."""
    card: ModelCard


def model_info(card: ModelCard, engine: Engine) -> ModelInfo:
    """Returns the facts about a network and the engine that runs it."""
    return ModelInfo(
        card.name,
        card.kind,
        card.license,
        engine.name,
        engine.runs_on,
        engine.precision,
        card.parameters or None,
        engine.reason,
    )


def make_estimates(outputs: Outputs, margins: Margins | None, width: int, engine: Engine) -> list[Estimate]:
    """Converts a network's outputs on the engine's device to one estimate for each picture of `width` px."""
    depth = crop_margins(outputs[0], margins)
    focals: list[float | None] = [None] * len(depth)
    if len(outputs) > 1:
        depth = metric_from_canonical(depth, outputs[1])
        focals = [focal_px(angle, width) for angle in outputs[1].tolist()]
    if (kept := engine.keep(depth)) is not None:
        return [Estimate(for_depth_field(DeviceMap(d)), focal) for d, focal in zip(kept, focals, strict=True)]
    maps = engine.download(depth)
    return [Estimate(_nan_where_infinite(d), focal) for d, focal in zip(maps, focals, strict=True)]


def _nan_where_infinite(depth: DepthMap) -> DepthMap:
    finite = np.isfinite(depth)
    return np.ascontiguousarray(depth if finite.all() else np.where(finite, depth, np.float32(np.nan)))
