"""The entry of a robot's cameras in LeRobot's configuration."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lerobot.cameras.configs import CameraConfig

from streamdepth import config
from streamdepth.config import Settings


@CameraConfig.register_subclass("streamdepth")
@dataclass(kw_only=True)
class StreamDepthCameraConfig(CameraConfig):  # type: ignore[misc]  # lerobot is not there for the type checker
    """A camera, its model, and what makes its depth metric.

    LeRobot's own `width`, `height` and `fps` are asked of a webcam; robots need width and height to describe their
    observations.
    """

    source: str
    """A webcam's number or the address of a stream, as `streamdepth live` takes it."""
    model: str | None = None
    """A model of `streamdepth models`; None: that of `config_path`, else nano."""
    config_path: Path | None = None
    """A configuration file of `streamdepth run` with everything else, such as anchors, camera height, intrinsics."""
    use_depth: bool = True
    """True to give depth beside the picture, as CAMERA_depth; it has to be metric."""
    intrinsics_path: Path | None = None
    """A JSON file to write with the camera's intrinsics when it is connected."""
    connect_timeout_s: float = 60.0
    """Longest time until the first frame with depth, including the loading of the model."""

    def settings(self) -> Settings:
        """Returns the settings of the stream. Raises ConfigError as `config.load` does."""
        keywords: dict[str, Any] = {"source": self.source, "model": self.model, "camera_fps": self.fps}
        if self.width and self.height:
            keywords["camera_size"] = (self.width, self.height)
        return config.load(self.config_path, (), {name: value for name, value in keywords.items() if value is not None})
