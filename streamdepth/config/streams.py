"""Settings of one of several cameras in a run."""

from __future__ import annotations

from streamdepth.config.sections import CameraSettings, MetricSettings, Section, ZoneSettings


class StreamSettings(Section):
    """One of several cameras: its address and name, and the settings in which it differs from the others."""

    source: str
    """Camera number, file, folder, topic of a bag or URL."""
    name: str | None = None
    """Name in outputs, topics and coordinate frames; by default made from the source's address."""
    mount: str | None = None
    """Place of the camera on the robot, written as robot.mount is."""
    camera: CameraSettings = CameraSettings()
    """Intrinsics of this camera; settings that are not given here are taken from the top-level section camera."""
    metric: MetricSettings = MetricSettings()
    """Measurements of this camera; settings that are not given here are taken from the top-level section metric."""
    zones: ZoneSettings = ZoneSettings()
    """Zones of this camera; settings that are not given here are taken from the top-level section zones."""
