"""Settings of the camera, of known distances in its view, and of zones that are watched."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from streamdepth.config.metadata import Flag, NoEffectOnResult
from streamdepth.config.sections.base import Section, Strings
from streamdepth.config.values import check_zones, parse_field_of_view, parse_share, parse_size


class CameraSettings(Section):
    """Intrinsics of the camera, and modes to ask a webcam for."""

    title = "Camera"
    keyword_prefix = "camera_"

    info: Annotated[Path | None, Flag("--camera-info")] = None
    """The camera's file (ROS, OpenCV, Kalibr, ORB-SLAM, KITTI, NeRF, Open3D...); wins over source and model."""
    info_topic: Annotated[str | None, Flag("--camera-info-topic")] = None
    """Topic of a bag with the camera's intrinsics; by default the one that belongs to the pictures is looked for."""
    fov: Annotated[
        Literal["auto"] | float | None, BeforeValidator(parse_field_of_view), Flag("--fov", metavar="DEGREES|auto")
    ] = None
    """Instead of --camera-info: horizontal field of view of the pictures in degrees; auto guesses it from the pictures
    of a file where nothing is known of its camera."""
    fx: Annotated[float | None, Flag("--fx")] = Field(None, gt=0)
    """Instead of --camera-info: focal length in px of the pictures."""
    fy: Annotated[float | None, Flag("--fy")] = Field(None, gt=0)
    """Vertical focal length in px; by default as fx."""
    cx: Annotated[float | None, Flag("--cx")] = None
    """Principal point in px; by default the middle."""
    cy: Annotated[float | None, Flag("--cy")] = None
    """Principal point in px; by default the middle."""
    undistort: Annotated[bool, Flag("--undistort")] = False
    """Undo the lens distortion of the camera, where it is known."""
    size: Annotated[tuple[int, int] | None, BeforeValidator(parse_size), NoEffectOnResult()] = None
    """Picture size to ask a webcam for, such as 640x480; one that grants another is an error."""
    fps: Annotated[float | None, NoEffectOnResult()] = Field(None, gt=0)
    """Frames per second to ask a webcam for; one that grants another rate is an error."""
    fourcc: Annotated[str | None, NoEffectOnResult()] = Field(None, min_length=4, max_length=4)
    """Pixel format to ask a webcam for, such as MJPG or YUYV."""
    audio: Annotated[str | None, Flag("--audio", metavar="DEVICE"), NoEffectOnResult()] = None
    """Microphone whose sound is recorded beside a webcam, as FFmpeg names it: alsa:default, dshow:audio=NAME or
    avfoundation::0."""
    reconnect_seconds: Annotated[float, NoEffectOnResult()] = Field(300.0, ge=0)
    """Time to wait for a webcam that was unplugged or stalled; 0 gives up at once, .inf never."""


class MetricSettings(Section):
    """Measurements that turn relative depth into meters; one of them is enough, and several are fused."""

    title = "Meters"

    anchor: Annotated[Strings, Flag("--anchor")] = ()
    """A measured point, x,y=1.35m in px of the first picture: relative depth becomes metric. Repeatable."""
    known_size: Annotated[Strings, Flag("--known-size")] = ()
    """Box of an object in px of the first picture, and the length of its longer side: x,y,WIDTHxHEIGHT=1.8m; the camera
    must be known. Repeatable."""
    camera_height: Annotated[str | None, Flag("--camera-height")] = None
    """Height of the camera above the floor in view, such as 1.2m."""
    camera_pitch: Annotated[float | None, Flag("--camera-pitch")] = Field(None, gt=-90, lt=90)
    """With --camera-height: degrees by which the camera looks down; by default estimated from the picture."""
    board: Annotated[str | None, Flag("--board")] = None
    """A board in view, chessboard:9x6@25mm or charuco:7x5@40mm/30mm; the camera must be known."""
    sparse: Annotated[Path | None, Flag("--sparse", metavar="PNG|TOPIC")] = None
    """A sensor's depth beside the network's, or as its prompt. A 16-bit PNG (0 is unknown), for a video %06d.png by the
    frame's index or a folder in the order of the frames; a topic of the bag, or BAG#TOPIC of another bag; or the word
    sensor, for a live realsense: or oak: camera."""
    depth_from: Annotated[Path | None, Flag("--depth-from", metavar="TOPIC|PNG")] = None
    """Use a sensor's depth instead of a network's, and fill its small holes. Written as --sparse is, or as a folder or
    a pattern of PNG files in the order of the frames."""
    sparse_scale: Annotated[float | None, Flag("--sparse-scale")] = Field(None, gt=0)
    """Number that stands for one meter in integer depth; by default 1000, or what RealSense's recorder wrote down."""
    depth_tolerance: float = Field(0.05, gt=0)
    """Largest difference in seconds between the stamps of a picture and of its depth in bags."""
    fill_holes: float = Field(0.03, ge=0, le=1)
    """Longest gap of sensor depth that is filled, as a share of the map's width; 0 fills none."""
    max_scale_error: Annotated[float, BeforeValidator(parse_share), Flag("--max-scale-error", metavar="SHARE")] = Field(
        0.25, gt=0
    )
    """One-sigma error, such as 0.25 or 25%, of the scale or of a pixel, beyond which meters are withheld (NaN)."""


class ZoneSettings(Section):
    """Parts of the picture whose depth is watched."""

    title = "Zones"
    keyword_prefix = "zone_"

    areas: Annotated[Strings, AfterValidator(check_zones), Flag("--zone", metavar="NAME=X,Y,W,H")] = ()
    """Watch the depth in a part of the picture. door=100,50,200,300 is a box (left, top, width, height in px, after
    crop and rotation), more numbers are corners of a polygon. With @1.5m (metric) or @60% (relative depth) behind it,
    something is in it once it is nearer than that, else once it is nearer than what was there at first. Repeatable."""
    outputs: Annotated[Strings, Flag("--zone-out", metavar="TARGET"), NoEffectOnResult()] = ()
    """Send the depth in zones, and what enters and leaves them, to a file (.jsonl), to - (standard output), to
    mqtt://HOST/TOPIC, or to a web address (https://..., events only). Repeatable."""
    hold_seconds: float = Field(0.3, ge=0)
    """Time for which something must be in a zone, or out of it, before it has entered or left."""
    margin: Annotated[float, BeforeValidator(parse_share)] = Field(0.1, gt=0, le=1)
    """Difference of depth between entering and leaving: 10% of a distance in meters, or 10 percent of the range."""
    interval_seconds: Annotated[float, NoEffectOnResult()] = Field(1.0, ge=0)
    """Time between two values of a zone that are sent by MQTT; events are sent at once. Files have every frame."""
