"""The checks of `streamdepth doctor`: what works on this machine."""

from __future__ import annotations

import platform
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from importlib import metadata
from itertools import pairwise

from streamdepth.core.errors import MissingDependencyError, StreamDepthError
from streamdepth.core.system_libraries import missing_system_library
from streamdepth.utils.cpu import usable_cores

_REQUIRED_PACKAGES = ("streamdepth", "numpy", "torch", "transformers", "av", "pillow")
_OPTIONAL_PACKAGES = ("openvino", "onnxruntime", "nncf", "OpenEXR", "trimesh", "plyfile", "open3d")
_OPENCV_PACKAGES = (
    "opencv-python",
    "opencv-python-headless",
    "opencv-contrib-python",
    "opencv-contrib-python-headless",
)


@dataclass(frozen=True, slots=True)
class CheckResult:
    """One line of the doctor's table."""

    name: str
    """The part of the machine that was checked."""
    found: str
    """A version or another finding, or why the check failed."""
    is_ok: bool = True
    is_optional: bool = False
    """True if streamdepth works without it."""


def run_checks() -> Iterator[CheckResult]:
    """Runs all checks and yields their results one by one; a check that fails is a result and never an error."""
    python = f"{sys.version.split()[0]} on {platform.platform()}, {usable_cores()} cores"
    yield CheckResult("python", python)
    for package in _REQUIRED_PACKAGES:
        yield _check(package, partial(metadata.version, package))
    yield _check("opencv", _opencv)
    for package in _OPTIONAL_PACKAGES:
        yield _check(package, partial(metadata.version, package), optional=True)
    yield _check("ffmpeg libraries", _ffmpeg)
    yield _check("H.264 encoder", partial(_encoder, "libx264"))
    yield _check("lossless depth encoder", partial(_encoder, "ffv1"))
    yield _check("HEVC, AV1 encoders", lambda: f"{_encoder('libx265')}, {_encoder('libsvtav1')}", optional=True)
    yield _check("hardware encoders", _hardware_encoders, optional=True)
    yield _check("GPU", _gpu, optional=True)
    yield _check("OpenVINO devices", _openvino_devices, optional=True)
    yield _check("ONNX Runtime devices", _onnx_devices, optional=True)
    yield _check("GPU engines", _gpu_engines, optional=True)
    yield _check("GPU decoders", _gpu_decoders, optional=True)
    yield _check("window", _window, optional=True)
    yield _check("cameras", _cameras, optional=True)
    yield _check("model hub folder", _hub_folder, optional=True)
    yield _check("built-in model", _built_in_model)


def _check(name: str, find: Callable[[], str], *, optional: bool = False) -> CheckResult:
    """Calls `find`, which returns a finding or raises; LookupError means that the part is missing."""
    try:
        return CheckResult(name, find(), is_optional=optional)
    except metadata.PackageNotFoundError:
        return CheckResult(name, "not installed", is_ok=False, is_optional=optional)
    except Exception as error:
        reason = missing_system_library(error) or error
        has_plain_message = isinstance(reason, (StreamDepthError, LookupError))
        text = str(reason) if has_plain_message else f"{type(reason).__name__}: {reason}"
        return CheckResult(name, text, is_ok=False, is_optional=optional)


def _opencv() -> str:
    import cv2

    installed = {distribution.metadata["Name"] for distribution in metadata.distributions()}
    return " ".join([str(cv2.__version__), *(package for package in _OPENCV_PACKAGES if package in installed)])


def _ffmpeg() -> str:
    import av

    return ", ".join(f"{name} {'.'.join(map(str, v))}" for name, v in sorted(av.library_versions.items()))


def _encoder(name: str) -> str:
    import av

    return av.Codec(name, "w").name


def _hardware_encoders() -> str:
    from streamdepth.sinks.encoders import hardware_encoders

    if names := hardware_encoders():
        return ", ".join(names)
    raise LookupError("none works; videos are encoded by x264")


def _gpu() -> str:
    import torch

    if torch.cuda.is_available():
        return torch.cuda.get_device_name()
    if torch.backends.mps.is_available():
        return "Apple GPU"
    raise LookupError("none; the CPU does the work")


def _openvino_devices() -> str:
    from streamdepth.estimators.engines.openvino_devices import describe_devices

    return ", ".join(f"{word} ({hardware})" for word, hardware in describe_devices().items())


def _onnx_devices() -> str:
    from streamdepth.estimators.engines.onnx_providers import available_devices

    return ", ".join(available_devices())


def _gpu_engines() -> str:
    """Names the runtimes that use an NVIDIA GPU; a session on TensorRT is tried."""
    import torch

    from streamdepth.estimators.engines.gpu_presence import may_have_gpu

    found = [f"torch {torch.__version__}"] if torch.cuda.is_available() else []
    if may_have_gpu():
        found += _onnx_gpu_engines()
    if not found:
        raise LookupError("none for NVIDIA")
    return ", ".join(found)


def _onnx_gpu_engines() -> list[str]:
    from streamdepth.estimators.engines.onnx_providers import CUDA, import_onnx
    from streamdepth.estimators.engines.tensorrt import TENSORRT, tensorrt_refusal

    try:
        providers = import_onnx().get_available_providers()
    except MissingDependencyError:
        return []
    found = ["ONNX Runtime's CUDA"] if CUDA in providers else []
    if TENSORRT in providers:
        refusal = tensorrt_refusal("0")
        found.append("ONNX Runtime's TensorRT" if refusal is None else f"no TensorRT: {refusal}")
    return found


def _gpu_decoders() -> str:
    """Decodes a short video of each codec on the first GPU."""
    import torch

    from streamdepth.sources.device_decoding import DEVICE_CODECS, refusal

    if not torch.cuda.is_available():
        raise LookupError("no NVIDIA GPU; the CPU decodes")
    refusals = {codec: refusal(codec, "cuda") for codec in DEVICE_CODECS}
    if all(refusals.values()):
        raise LookupError(f"none: {refusals['h264']}")
    return ", ".join(codec for codec, reason in refusals.items() if reason is None)


def _window() -> str:
    from streamdepth.sinks.window import check_display

    check_display()
    return "OpenCV can open one"


def _cameras() -> str:
    from streamdepth.sources.camera_discovery import list_cameras

    cameras = list_cameras()
    if not cameras:
        raise LookupError("none found")
    return ", ".join(str(camera) for camera in cameras)


def _hub_folder() -> str:
    from huggingface_hub.constants import HF_HUB_CACHE

    return str(HF_HUB_CACHE)


def _built_in_model() -> str:
    """Measures the built-in model on generated frames."""
    from streamdepth.estimators.nano import NanoEstimator
    from streamdepth.testing import SyntheticSource

    times = [time.perf_counter()]
    with closing(NanoEstimator()) as estimator, closing(SyntheticSource(count=6, width=640, height=360)) as source:
        source.open()
        while frame := source.read():
            estimator.estimate([frame])
            times.append(time.perf_counter())
        info = estimator.info
    first, *others = (after - before for before, after in pairwise(times))
    return (
        f"{statistics.median(others) * 1e3:.1f} ms a frame of 640x360 on {info.engine} {info.device} "
        f"{info.precision} ({info.reason}), first result after {first:.1f} s"
    )
