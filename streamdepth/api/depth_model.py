"""A loaded model that is called with pictures, and what it returns."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, TypeAlias, overload

import numpy as np

from streamdepth.config import Settings
from streamdepth.core.arrays import DepthMap
from streamdepth.core.interfaces import Estimator
from streamdepth.core.intrinsics import Intrinsics
from streamdepth.core.resize import resize_depth
from streamdepth.core.types import DepthKind, ModelInfo
from streamdepth.factory.pictures import estimate_depth_frame, read_photo
from streamdepth.sources.arrays import ColorOrder

if TYPE_CHECKING:
    import numpy.typing as npt
    from PIL.Image import Image as PillowImage

    Picture: TypeAlias = str | Path | PillowImage | npt.NDArray[np.uint8]
    """A path, an http(s) address, a PIL image, or an array (H, W, 3) or gray (H, W), uint8."""


@dataclass(frozen=True, slots=True, eq=False)
class Depth:
    """The depth of one picture.

    >>> depth = sd.estimate("samples/room.jpg")
    >>> depth.predicted_depth.shape, depth.kind.value, depth.unit
    ((360, 640), 'relative', None)
    """

    predicted_depth: DepthMap
    """(H, W) float32 at the picture's size, NaN = unknown; meaning as `kind` says."""
    kind: DepthKind
    intrinsics: Intrinsics | None = None
    """The camera, if it is known from the settings, the picture's EXIF or the model."""
    confidence: DepthMap | None = None
    """(H, W) float32 of 0 to 1 at the picture's size, as `DepthFrame.confidence`; None if it is unknown."""

    @property
    def unit(self) -> str | None:
        """`"m"` for metric depth, None for relative depth."""
        return self.kind.unit

    @property
    def depth(self) -> PillowImage:
        """A gray PIL picture for display: 0 at the smallest depth, 255 at the largest, 0 where depth is unknown.

        This is what the depth-estimation pipeline of transformers returns; a flat map gives a black picture.
        """
        from PIL.Image import fromarray

        known = np.isfinite(self.predicted_depth)
        values = np.where(known, self.predicted_depth, 0.0)
        low, high = (values[known].min(), values[known].max()) if known.any() else (0.0, 0.0)
        scale = 255.0 / (high - low) if high > low else 0.0
        return fromarray(np.where(known, (values - low) * scale, 0.0).round().astype(np.uint8))


class DepthModel:
    """A loaded model, which `load_model` returns: call it with pictures, or give it to `stream` and `convert`.

    >>> model = sd.load_model("nano", size=96)
    >>> first, second = model([np.zeros((48, 64, 3), np.uint8)] * 2)
    >>> first.predicted_depth.shape, model.info.name
    ((48, 64), 'nano')
    """

    def __init__(self, estimator: Estimator, settings: Settings) -> None:
        self.estimator, self._settings = estimator, settings

    @property
    def info(self) -> ModelInfo:
        """Name, kind, license, engine, device and precision."""
        return self.estimator.info

    @overload
    def __call__(self, image: Picture, *, color: ColorOrder = "rgb") -> Depth: ...
    @overload
    def __call__(self, image: list[Any] | tuple[Any, ...], *, color: ColorOrder = "rgb") -> list[Depth]: ...
    def __call__(
        self, image: Picture | list[Any] | tuple[Any, ...], *, color: ColorOrder = "rgb"
    ) -> Depth | list[Depth]:
        """Returns the depth of a picture, or of each picture of a list.

        Args:
            image: a path, an http(s) address, a PIL image or an array (H, W, 3) or (H, W), uint8; or a list of these.
            color: order of the channels of arrays; "bgr" for those of OpenCV.

        Raises:
            SourceError: a picture cannot be read.
            InferenceError: the model failed.
            ConfigError: the argument is no picture, or the metric reference cannot be seen in it.
        """
        if isinstance(image, (list, tuple)):
            return [self._estimate(one, color) for one in image]
        return self._estimate(image, color)

    def _estimate(self, image: Any, color: ColorOrder) -> Depth:
        item = estimate_depth_frame(read_photo(image, self._settings, color), self.estimator, self._settings)
        confidence = item.confidence
        if confidence is not None:
            confidence = resize_depth(confidence, *item.frame.size)
        return Depth(item.at_frame_size(), item.kind, item.intrinsics, confidence)

    def close(self) -> None:
        """Frees the model. Idempotent."""
        self.estimator.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
