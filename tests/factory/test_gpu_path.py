"""The whole way of a frame whose picture and depth lie on a device: only what is written comes to the CPU."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest
from helpers.on_device import OnDeviceEstimator, OnDeviceSource
from helpers.paths import SAMPLES

from streamdepth import factory
from streamdepth.config import Settings
from streamdepth.core.device_map import DeviceMap
from streamdepth.core.interfaces import Estimator, Source
from streamdepth.sinks.depth_video import DepthVideo
from streamdepth.sources.device_image import DeviceImage
from streamdepth.sources.file import FileSource

CLIP = SAMPLES / "room.mp4"


def convert(output: Path, source: Source, wrap=lambda estimator: estimator, **changes) -> list[tuple[int, np.ndarray]]:
    """Returns the times and the luma of each picture that was written."""
    settings = Settings().replace(output=output, engine="torch", device="cpu", size=96, max_frames=6, **changes)
    estimator: Estimator = wrap(factory.make_estimator(settings))
    with factory.open_pipeline(settings, source=source, estimator=estimator) as pipeline:
        assert pipeline.run().written == 6
    with av.open(str(output)) as container:
        return [(f.pts, f.to_ndarray()[: f.height]) for f in container.decode(video=0)]


def psnr(a: np.ndarray, b: np.ndarray) -> float:
    return float(10 * np.log10(255**2 / max(((a.astype(float) - b) ** 2).mean(), 1e-9)))


@pytest.mark.parametrize("style", ["overlay", "depth", "side-by-side"])
def test_only_what_is_written_comes_to_the_cpu(style: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    exact = convert(tmp_path / "cpu.mp4", FileSource(CLIP), style=style)
    widths = set()
    at_size = DeviceImage.image_at_size

    def count(image: DeviceImage, width: int, height: int) -> np.ndarray:
        widths.add(width)
        return at_size(image, width, height)

    monkeypatch.setattr(DeviceImage, "image_at_size", count)
    monkeypatch.setattr(DeviceImage, "rgb", lambda _: pytest.fail("the whole picture was copied to the CPU"))
    monkeypatch.setattr(DeviceMap, "array", lambda _: pytest.fail("depth was copied to the CPU"))
    found = convert(tmp_path / "device.mp4", OnDeviceSource(FileSource(CLIP)), OnDeviceEstimator, style=style)
    assert widths == {160}  # the small picture on which motion is measured
    assert [pts for pts, _ in found] == [pts for pts, _ in exact]
    for (_, one), (_, other) in zip(exact, found, strict=True):
        assert psnr(one, other) > 38


@pytest.mark.parametrize("changes", [{"edges": "guided"}, {"style": "anaglyph"}, {"smooth": "offline"}])
def test_what_needs_the_cpu_gets_there(changes: dict, tmp_path: Path) -> None:
    exact = convert(tmp_path / "cpu.mp4", FileSource(CLIP), **changes)
    found = convert(tmp_path / "device.mp4", OnDeviceSource(FileSource(CLIP)), OnDeviceEstimator, **changes)
    for (_, one), (_, other) in zip(exact, found, strict=True):
        assert psnr(one, other) > 34


def test_depth_of_a_device_is_written_to_lossless_files(tmp_path: Path) -> None:
    def write(name: str, source: Source, wrap) -> list[np.ndarray]:
        convert(tmp_path / f"{name}.mp4", source, wrap, depth_out=tmp_path / f"{name}.mkv", smooth="off")
        return list(DepthVideo(tmp_path / f"{name}.mkv"))

    exact = write("cpu", FileSource(CLIP), lambda estimator: estimator)
    found = write("device", FileSource(CLIP), OnDeviceEstimator)
    for one, other in zip(exact, found, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.gpu
def test_a_gpu_decodes_estimates_and_draws(tmp_path: Path) -> None:
    convert(tmp_path / "cpu.mp4", FileSource(CLIP))
    settings = Settings().replace(source=(str(CLIP),), output=tmp_path / "gpu.mp4", device="cuda", max_frames=20)
    with factory.open_pipeline(settings) as pipeline:
        report = pipeline.run()
    assert report.written == 20
    assert not [notice for notice in report.notices if "on the CPU" in notice]
