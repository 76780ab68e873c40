"""A camera of LeRobot whose pictures come with depth; importing it registers the type `streamdepth`.

It needs the package lerobot, which imports it itself: `--robot.discover_packages_path=streamdepth.apps.lerobot.camera`.
"""

from streamdepth.apps.lerobot.camera.camera import StreamDepthCamera
from streamdepth.apps.lerobot.camera.configuration import StreamDepthCameraConfig

__all__ = ["StreamDepthCamera", "StreamDepthCameraConfig"]
