"""Settings of one of several cameras in a run."""

from __future__ import annotations

from streamdepth.config.sections import CameraSettings, MetricSettings, Section


class StreamSettings(Section):
    """One of several cameras: its address and name, and what differs from the settings of all."""

    source: str
    """Its camera number, file, folder, topic of a bag or URL."""
    name: str | None = None
    """Its name in outputs, topics and frames; by default made of its address."""
    mount: str | None = None
    """Its place on the robot, as robot.mount."""
    camera: CameraSettings = CameraSettings()
    """Its intrinsics; what is not given here is as in the section camera of all."""
    metric: MetricSettings = MetricSettings()
    """Its measurements; what is not given here is as in the section metric of all."""
