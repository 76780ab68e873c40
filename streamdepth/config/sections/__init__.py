"""The sections of a configuration, each with the settings of one subject.

The docstring of a field is its meaning everywhere: in --help, in the settings reference and in the typed keywords.
"""

from streamdepth.config.sections.base import Section, Strings
from streamdepth.config.sections.model import InferenceSettings, ModelSettings
from streamdepth.config.sections.network import NetworkSettings, WebSettings
from streamdepth.config.sections.outputs import OutputSettings, RenderSettings, RobotSettings, VideoSettings
from streamdepth.config.sections.scene import CameraSettings, MetricSettings, ZoneSettings

__all__ = [
    "CameraSettings",
    "InferenceSettings",
    "MetricSettings",
    "ModelSettings",
    "NetworkSettings",
    "OutputSettings",
    "RenderSettings",
    "RobotSettings",
    "Section",
    "Strings",
    "VideoSettings",
    "WebSettings",
    "ZoneSettings",
]
