"""Video Depth Anything in streaming mode: a model that remembers earlier frames of each stream."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Unpack

import numpy as np
import torch
from torch import Tensor

from streamdepth.core.errors import ConfigError, ModelLoadError
from streamdepth.core.interfaces import Estimator
from streamdepth.core.types import DepthKind, Estimate, Frame, ModelInfo
from streamdepth.estimators.engines import EngineOptions, inference_error
from streamdepth.estimators.engines.eager_engine import EagerEngine
from streamdepth.estimators.hub import find_checkpoint
from streamdepth.estimators.network import ModelCard, make_estimates, model_info
from streamdepth.estimators.preprocess import InputSpec
from streamdepth.estimators.video_depth_memory import StreamMemory
from streamdepth.estimators.video_depth_network import Layout, VideoDepthNetwork

DEFAULT_SIZE = 518
"""Short side of the input in px, as the authors use it."""
_MAX_ASPECT = 1.78
"""Wider pictures get a smaller short side, as the authors advise: the long side is at most this many short sides."""
_IMAGENET_MEAN, _IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class VideoDepthEstimator(Estimator):
    """Computes relative depth of streams with a network that looks at earlier frames, too.

    Each stream has a memory of its own and of fixed size, which `reset` clears; so does a change of the picture's size.
    A frame without a stream's name is a single picture, and nothing is remembered of it. The engine is torch, because
    the others run networks without memory.

    Args:
        model: a short name or hub id of the catalog, or a file as the authors publish it (.pth).
        size: short side of the input in px, rounded to multiples of 14; the aspect is kept.
        accept_license: load weights with a restricted license.
        allow_pickle: load the authors' file, with torch's restricted loader.
        options: as `make_engine` takes them.

    Raises:
        ModelLoadError: with the codes of `find_checkpoint`, "damaged" or "foreign".
        ConfigError: as from `EagerEngine`, or for a size that is too small ("bad-size").
    """

    def __init__(
        self,
        model: str,
        *,
        size: int | None = None,
        accept_license: bool = False,
        allow_pickle: bool = False,
        **options: Unpack[EngineOptions],
    ) -> None:
        checkpoint = find_checkpoint(model, accept_license=accept_license, allow_pickle=allow_pickle)
        network = load_video_depth_network(checkpoint.path)
        parameters = sum(p.numel() for p in network.parameters())
        spec = _input_spec(size or DEFAULT_SIZE, network.layout.patch)
        self.card = ModelCard(model, DepthKind.RELATIVE, checkpoint.license, parameters, spec)
        self.engine = EagerEngine(network, "a model with memory runs on torch", **options)
        self._memories: dict[str, tuple[tuple[int, ...], StreamMemory]] = {}
        """The size of the input and the memory of each stream."""

    @property
    def has_memory(self) -> bool:
        return True

    @property
    def info(self) -> ModelInfo:
        return model_info(self.card, self.engine)

    def memory_bytes(self, stream: str) -> int:
        """Returns the room that the memory of a stream takes; it is the same from the first frame on."""
        return self._memories[stream][1].size_bytes if stream in self._memories else 0

    def estimate(self, frames: Sequence[Frame]) -> list[Estimate]:
        return [self._estimate(frame) for frame in frames]

    def warm_up(self, width: int, height: int) -> None:
        self._estimate(Frame(np.zeros((height, width, 3), np.uint8), 0, 0, Fraction(1), 0.0))

    def _estimate(self, frame: Frame) -> Estimate:
        try:
            pixels, _ = self.card.prepare([frame], self.engine)
            depth = self.engine.call(pixels, self._memory_of(frame.stream, tuple(pixels.shape)))
            return make_estimates((depth,), None, frame.size[0], self.engine)[0]
        except (RuntimeError, MemoryError) as error:
            self.reset(frame.stream)  # some of its rings may have got the frame, and others not
            raise inference_error(error, self.engine.device, (1, *frame.size[::-1], 3)) from error

    def _memory_of(self, stream: str, size: tuple[int, ...]) -> StreamMemory:
        """Returns the memory of a stream whose input has this size, a new one where there is none."""
        if not stream:
            return StreamMemory()
        known = self._memories.get(stream)
        if known is None or known[0] != size:
            known = self._memories[stream] = size, StreamMemory()
        return known[1]

    def reset(self, stream: str) -> None:
        self._memories.pop(stream, None)

    def close(self) -> None:
        self._memories.clear()
        self.engine.close()


def load_video_depth_network(path: Path) -> VideoDepthNetwork:
    """Loads a network of any size from a file of tensors under the published names, float32 on the CPU.

    Raises ModelLoadError: the file cannot be read ("damaged"), or its tensors are not this architecture's ("foreign").
    """
    tensors = _read_tensors(path)
    try:
        layout = Layout.of_tensors({name: tuple(tensor.shape) for name, tensor in tensors.items()})
        with torch.device("meta"):  # no time is lost on random weights
            network = VideoDepthNetwork(layout)
        network.load_state_dict(tensors, assign=True)
    except (KeyError, IndexError, AttributeError, RuntimeError) as error:
        raise ModelLoadError(
            f"'{path}' holds the weights neither of Video Depth Anything nor of ZipDepth, which are read from files as "
            "their authors publish them; other models are taken from the hub by name, see `streamdepth models`",
            code="foreign",
        ) from error
    return network.eval()


def _read_tensors(path: Path) -> dict[str, Tensor]:
    try:
        tensors: dict[str, Tensor] = torch.load(path, map_location="cpu", weights_only=True)
        return {name: tensor.float() for name, tensor in tensors.items()}
    except Exception as error:  # zip files and pickles raise whatever they like
        raise ModelLoadError(
            f"cannot read the weights in '{path}': the file is damaged, or holds more than tensors; download it again",
            code="damaged",
        ) from error


def _input_spec(short: int, patch: int) -> InputSpec:
    if short < patch:
        raise ConfigError(f"an input of {short} px is too small for this model; the least is {patch}", code="bad-size")
    return InputSpec(
        (short, short),
        multiple=patch,
        resampling="bicubic",
        antialias=False,  # as it was trained
        mean=_IMAGENET_MEAN,
        std=_IMAGENET_STD,
        max_long_side=round(_MAX_ASPECT * short),
    )
