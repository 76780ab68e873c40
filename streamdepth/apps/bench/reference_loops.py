"""The loops that one would write without streamdepth: frame by frame, with OpenCV and torch or transformers."""

from __future__ import annotations

import time
from abc import abstractmethod
from collections.abc import Iterator
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch.nn import functional as F

from streamdepth import factory
from streamdepth.apps.bench.plan import Implementation, Measurement, SkippedError
from streamdepth.core.arrays import Image
from streamdepth.core.errors import ConfigError, SinkOpenError, SourceOpenError
from streamdepth.estimators.engines.torch_engine import as_outputs, choose_device
from streamdepth.estimators.exported_model import is_exported_model
from streamdepth.estimators.network import Network

_OVERLAY_ALPHA = 0.6


class ReferenceLoop(Implementation):
    """A loop that reads a frame, estimates depth, colors it and writes an overlay, one frame after the other."""

    def prepare(self) -> dict[str, Any]:
        if is_exported_model(self.plan.settings.model.name):
            raise SkippedError("an exported model is not torch's")
        began = time.perf_counter()
        try:
            self.device = choose_device(self.plan.settings.model.device)
        except ConfigError as error:
            raise SkippedError(f"torch has no such device: {error}") from error
        network = factory.make_network(self.plan.settings, random_weights=self.plan.random_weights)
        self.load_network(network)
        self._process(1)
        return {"first_frame_s": time.perf_counter() - began}

    @abstractmethod
    def load_network(self, network: Network) -> None:
        """Puts the network on the device. Raises SkippedError if the loop cannot run it."""

    @abstractmethod
    def depth_levels(self, frame: Image) -> Image:
        """Estimates the depth of a BGR frame (H, W, 3); returns it as (H, W) uint8, near is bright."""

    def measure(self) -> list[Measurement]:
        began = time.perf_counter()
        times = np.array(self._process(self.plan.frames)) * 1e3
        ms = (time.perf_counter() - began) / len(times) * 1e3
        return [Measurement(ms, len(times), {f"p{p}": float(np.percentile(times, p)) for p in (50, 95, 99)})]

    def _process(self, count: int) -> list[float]:
        """Processes up to `count` frames; returns for each the seconds from decoding to the end of writing."""
        path = self.plan.folder / f"{self.name.split()[0]}.mp4"
        writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), 30, self.plan.size)
        if not writer.isOpened():
            raise SinkOpenError(f"OpenCV cannot write '{path}'")
        times = []
        try:
            for began, frame in self._frames(count):
                colors = cv2.applyColorMap(self.depth_levels(frame), cv2.COLORMAP_INFERNO)
                writer.write(cv2.addWeighted(frame, 1 - _OVERLAY_ALPHA, colors, _OVERLAY_ALPHA, 0))
                times.append(time.perf_counter() - began)
        finally:
            writer.release()
        return times

    def _frames(self, count: int) -> Iterator[tuple[float, Image]]:
        """Yields each BGR frame with the time at which its decoding began."""
        capture = cv2.VideoCapture(str(self.plan.clip))
        try:
            for index in range(count):
                began = time.perf_counter()
                is_read, frame = capture.read()
                if not is_read:
                    if not index:
                        raise SourceOpenError(f"OpenCV cannot read '{self.plan.clip}'")
                    return
                if frame.shape[1::-1] != self.plan.size:
                    raise SkippedError(f"OpenCV reads frames of {frame.shape[1]}x{frame.shape[0]} px from this clip")
                yield began, np.asarray(frame, np.uint8)
        finally:
            capture.release()


class TorchLoop(ReferenceLoop):
    """The usual loop with plain torch: resize, run the network in float32, resize back, normalize."""

    name = "torch loop"

    def load_network(self, network: Network) -> None:
        width, height = self.plan.size
        self._card = network.card.with_fixed_size(height, width)
        self._input = self._card.input_size()
        self._module = network.module.get().to(self.device).eval()
        spec = self._card.spec
        self._mean, self._std = np.array(spec.mean, np.float32), np.array(spec.std, np.float32)

    @torch.inference_mode()
    def depth_levels(self, frame: Image) -> Image:
        height, width = self._input
        resized = cv2.resize(cv2.cvtColor(frame, cv2.COLOR_BGR2RGB), (width, height), interpolation=cv2.INTER_CUBIC)
        normal = (resized.astype(np.float32) / 255 - self._mean) / self._std
        pixels = torch.from_numpy(normal).permute(2, 0, 1)[None].to(self.device)
        depth = as_outputs(self._module(pixels))[0]
        full = F.interpolate(depth[:, None], frame.shape[:2], mode="bicubic", align_corners=False)
        return _normalized(full[0, 0].cpu().numpy())


def _normalized(depth: npt.NDArray[np.float32]) -> Image:
    """Scales depth so that its minimum becomes 0 and its maximum 255."""
    low, high = float(depth.min()), float(depth.max())
    return np.asarray((depth - low) * (255 / max(high - low, 1e-12)), np.uint8)


class TransformersLoop(ReferenceLoop):
    """The loop with the depth-estimation pipeline of transformers, which does its own pre- and postprocessing."""

    name = "transformers pipeline"

    def load_network(self, network: Network) -> None:
        import transformers

        model = getattr(network.module.get(), "model", None)
        if model is None:
            raise SkippedError(f"{network.card.name} is no model of transformers")
        transformers.logging.set_verbosity_error()
        self._pipeline: Any = transformers.pipeline(
            "depth-estimation", model=model.eval(), image_processor=_image_processor(network), device=self.device
        )

    def depth_levels(self, frame: Image) -> Image:
        from PIL.Image import fromarray

        picture = fromarray(cv2.cvtColor(frame, cv2.COLOR_BGR2RGB))
        return np.asarray(self._pipeline(picture)["depth"], np.uint8)


def _image_processor(network: Network) -> Any:
    """Makes the image processor of transformers for the model, with the input size that streamdepth uses."""
    import transformers as t

    model: Any = network.module.get().model
    architecture, spec = model.config.model_type, network.card.spec
    classes = {"dpt": t.DPTImageProcessor, "depth_anything": t.DPTImageProcessor, "zoedepth": t.ZoeDepthImageProcessor,
               "depth_pro": t.DepthProImageProcessor, "glpn": t.GLPNImageProcessor}  # fmt: skip
    if architecture not in classes:
        raise SkippedError(f"its pipeline does not take {architecture}")
    if architecture == "glpn":
        return t.GLPNImageProcessor()
    normal = {"image_mean": list(spec.mean), "image_std": list(spec.std)}
    if spec.size is None:
        return classes[architecture](do_resize=False, do_pad=True, size_divisor=spec.pad_multiple, **normal)
    size = {"height": spec.size[0], "width": spec.size[1]}
    if architecture == "depth_pro":
        return t.DepthProImageProcessor(size=size)
    shape = {"keep_aspect_ratio": spec.keep_aspect, "ensure_multiple_of": spec.multiple}
    return classes[architecture](size=size, **shape, **normal)
