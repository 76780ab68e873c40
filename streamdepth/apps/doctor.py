"""What works on this machine, as `streamdepth doctor` prints it."""

from __future__ import annotations

import os
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

from streamdepth.core.errors import StreamDepthError


@dataclass(frozen=True, slots=True)
class Check:
    """One line: what was looked at, what was found, whether that is fine, and whether one can do without."""

    name: str
    found: str
    is_fine: bool = True
    is_optional: bool = False


def examine() -> Iterator[Check]:
    """All checks, one after the other; a check that fails is a line and not an error."""
    yield Check("python", f"{sys.version.split()[0]} on {platform.platform()}, {os.cpu_count()} cores")
    for package in ("streamdepth", "numpy", "torch", "transformers", "opencv-python", "av", "pillow"):
        yield _guard(package, partial(metadata.version, package))
    for package in ("openvino", "onnxruntime", "nncf", "OpenEXR", "trimesh", "plyfile", "open3d"):
        yield _guard(package, partial(metadata.version, package), optional=True)
    yield _guard("ffmpeg libraries", _ffmpeg)
    yield _guard("H.264 encoder", lambda: _codec("libx264"))
    yield _guard("lossless depth encoder", lambda: _codec("ffv1"))
    yield _guard("HEVC, AV1 encoders", lambda: f"{_codec('libx265')}, {_codec('libsvtav1')}", optional=True)
    yield _guard("GPU", _gpu, optional=True)
    yield _guard("window", _window, optional=True)
    yield _guard("cameras", _cameras, optional=True)
    yield _guard("model hub folder", _hub, optional=True)
    yield _guard("built-in model", _nano)


def _guard(name: str, look: Callable[[], str], *, optional: bool = False) -> Check:
    try:
        return Check(name, look(), is_optional=optional)
    except metadata.PackageNotFoundError:
        return Check(name, "not installed", is_fine=False, is_optional=optional)
    except Exception as error:
        is_for_people = isinstance(error, (StreamDepthError, LookupError))
        found = str(error) if is_for_people else f"{type(error).__name__}: {error}"
        return Check(name, found, is_fine=False, is_optional=optional)


def _ffmpeg() -> str:
    import av

    return ", ".join(f"{name} {'.'.join(map(str, v))}" for name, v in sorted(av.library_versions.items()))


def _codec(name: str) -> str:
    import av

    return av.Codec(name, "w").name


def _gpu() -> str:
    import torch

    if torch.cuda.is_available():
        return torch.cuda.get_device_name()
    if torch.backends.mps.is_available():
        return "Apple GPU"
    raise LookupError("none; the CPU does the work")


def _window() -> str:
    from streamdepth.sinks.window import check_display

    check_display()
    return "OpenCV can open one"


def _cameras() -> str:
    from streamdepth.sources.camera_discovery import list_cameras

    found = list_cameras()
    if not found:
        raise LookupError("none found")
    return ", ".join(str(camera) for camera in found)


def _hub() -> str:
    from huggingface_hub.constants import HF_HUB_CACHE

    return str(HF_HUB_CACHE)


def _nano() -> str:
    from streamdepth.estimators.nano import NanoEstimator
    from streamdepth.testing import SyntheticSource

    moments = [time.perf_counter()]
    with closing(NanoEstimator()) as estimator, closing(SyntheticSource(count=6, width=640, height=360)) as source:
        source.open()
        while frame := source.read():
            estimator.estimate([frame])
            moments.append(time.perf_counter())
        info = estimator.info
    first, *others = (after - before for before, after in pairwise(moments))
    return (
        f"{statistics.median(others) * 1e3:.1f} ms a frame of 640x360 on {info.engine} {info.device} "
        f"{info.precision} ({info.reason}), first result after {first:.1f} s"
    )
