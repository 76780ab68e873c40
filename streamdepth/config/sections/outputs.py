"""Settings of outputs: files, windows and addresses, the look of depth, encoding, and data for robots."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, field_validator

from streamdepth.config.metadata import Flag, NoEffectOnResult
from streamdepth.config.sections.base import Section, Strings
from streamdepth.config.values import parse_number, parse_seconds, parse_share
from streamdepth.core.render_options import DepthSize, Edges, Style


class OutputSettings(Section):
    """Files, windows and addresses that get the result."""

    title = "Output"

    video: Annotated[Path | None, Flag("--output", "-o", is_common=True), NoEffectOnResult()] = None
    """The video to watch (.mp4, .mkv, .mov, .webm), an animation (.gif, .webp), numbered pictures (%06d.png), an
    address to send it to (rtsp://...), or - for standard output (Matroska); a folder when there are several sources."""
    depth: Annotated[Path | None, Flag("--depth-out", is_common=True), NoEffectOnResult()] = None
    """The depth itself: .mkv (lossless), .mov (gray video), .mp4 (LeRobot), .mcap (ROS 2), .rrd (Rerun) or %06d with
    .png, .exr or .npz; a folder when there are several sources."""
    with_rgb: Annotated[bool, Flag("--with-rgb")] = False
    """Write the picture and the sound into --depth-out (.mkv), too: players show the picture, DepthVideo reads the
    depth."""
    depth_size: Annotated[DepthSize | None, Flag("--depth-size")] = None
    """Size of the depth in .mkv, .png, .exr and .npz: network or picture; by default the network's own in videos
    (.mkv), which takes a tenth of the time and space, and the picture's in pictures."""
    depth_map: Annotated[Literal["near-white", "near-black"] | None, Flag("--depth-map")] = None
    """Write --depth-out as a gray video in which near is white or black, with the mapping in NAME.json. By default only
    .mov, .m4v and .webm are gray videos, near white."""
    near: Annotated[float | None, Flag("--near")] = None
    """Depth at the near end of a gray video's scale: meters, or inverse depth of relative models; by default the near
    end of the range (--range)."""
    far: Annotated[float | None, Flag("--far")] = None
    """Depth at the far end of a gray video's scale; by default the far end of the range."""
    depth_bits: Annotated[Literal[8, 10], BeforeValidator(parse_number), Flag("--depth-bits", metavar="8|10")] = 8
    """Bits of a gray video; with 10 the codec is HEVC, in .mov ProRes."""
    target: Annotated[Literal["wan", "h3", "seedance"] | None, Flag("--target")] = None
    """Write --depth-out as a gray control video for a generator, wan, h3 (MiniMax H3) or seedance: its frame rate, size
    and length, one range for the whole clip, near white."""
    first_number: Annotated[int | None, Flag("--first-number", metavar="N")] = Field(None, ge=0)
    """Number of the first picture in %06d, such as 1001; by default a recording's frames begin with 0, and a numbered
    sequence keeps its numbers."""
    points: Annotated[Path | None, Flag("--points", "--ply"), NoEffectOnResult()] = None
    """Point clouds: .ply or .pcd; for a video, with %06d in the name."""
    mesh: Annotated[Path | None, Flag("--mesh", "--glb"), NoEffectOnResult()] = None
    """Meshes: .glb, .ply or .obj; for a video, with %06d in the name."""
    ply_every: Annotated[int | None, Flag("--ply-every")] = Field(None, ge=1)
    """Write points and meshes of every Nth frame of a video; alone it writes NAME_%06d.ply."""
    drop_flying: Annotated[bool, Flag("--drop-flying")] = False
    """Write metric depth on jumps between near and far (flying pixels) as unknown."""
    keep_topics: Annotated[Strings, Flag("--keep-topics")] = ()
    """Copy these topics of the bag into the .mcap, as they are: a name or a pattern, such as '/tf*' or '*'.
    Repeatable."""
    push: Annotated[Strings, Flag("--push"), NoEffectOnResult()] = ()
    """Send the video to rtsp://, rtmp://, srt://, udp://, tcp://, rtp://, virtualcam: or ndi:NAME while it is
    made, files at their own frame rate; {name} stands for the stream's name. Repeatable."""
    publish: Annotated[Strings, Flag("--publish"), NoEffectOnResult()] = ()
    """Send metric depth to rerun, foxglove, zenoh or ros, elsewhere as rerun:HOST:PORT, foxglove:HOST:PORT or
    zenoh:tcp/HOST:PORT. Repeatable."""
    window: Annotated[bool, NoEffectOnResult()] = False
    """Show a window, too."""
    hold_last: Annotated[bool, Flag("--hold-last"), NoEffectOnResult()] = False
    """Show the last picture, marked as stale, while a camera is lost; else words on black."""
    segment: Annotated[float | None, BeforeValidator(parse_seconds), Flag("--segment", metavar="DURATION")] = Field(
        None, gt=0
    )
    """Begin a new file, NAME_000000.mp4 and so on, after 30s, 10m, 1h or a number of seconds; by default one file."""
    resume: Annotated[bool, Flag("--resume"), NoEffectOnResult()] = False
    """Continue after the last segment that exists."""
    min_free_mb: Annotated[float, Flag("--min-free-mb"), NoEffectOnResult()] = Field(500.0, ge=0)
    """End live recordings, with complete files, before less than so many MB are free on the disk."""
    stats: Annotated[Path | None, Flag("--stats"), NoEffectOnResult()] = None
    """Write the report of the run to this JSON file."""
    overwrite: Annotated[bool, Flag("--overwrite", is_common=True), NoEffectOnResult()] = False
    """Replace outputs that exist."""


class RenderSettings(Section):
    """The look of depth in pictures and videos."""

    title = "Rendering"

    style: Annotated[Style, Flag("--style", is_common=True)] = "overlay"
    """overlay, depth, or side-by-side for picture and depth; stereo, two pictures for two eyes: sbs (beside each
    other), half-sbs (the same at half width), top-bottom, or anaglyph (red-cyan glasses)."""
    colormap: Annotated[str, Flag("--colormap", is_common=True)] = "inferno"
    """inferno, turbo, spectral, magma, viridis, gray or another name of cmap's catalog."""
    range: Annotated[str, Flag("--range")] = "auto"
    """Depth that the colors, and the numbers in PNG of relative depth, span: auto, lock:LOW,HIGH in the unit of the
    depth, and for files per-shot or lock:LOW%,HIGH% in percent of the file's values."""
    edges: Annotated[Edges, Flag("--edges")] = "plain"
    """Enlarge depth to the frame's size smoothly (plain), or along the edges of the picture (guided)."""
    alpha: float = Field(0.6, ge=0, le=1)
    """Share of the depth's colors in an overlay, 0 to 1."""
    legend: Annotated[bool | None, Flag("--legend/--no-legend")] = None
    """Draw a color bar with values into the picture; by default in every style but depth."""
    invert: Annotated[bool, Flag("--invert")] = False
    """Draw near dark and far bright; files that hold the depth itself do not change."""
    depth_strength: Annotated[float, BeforeValidator(parse_share), Flag("--depth-strength", metavar="SHARE")] = Field(
        0.02, ge=0, le=0.2
    )
    """Depth of stereo styles: difference of the places of near and far between the two pictures, such as 0.02 or 2% of
    their width."""
    convergence: Annotated[float, BeforeValidator(parse_share), Flag("--convergence", metavar="SHARE")] = Field(
        0.5, ge=0, le=1
    )
    """Place of the screen in stereo styles: 0 at the far end of the range, so that all is before it, 1 at the near end,
    so that all is behind it."""
    ipd: Annotated[str | None, Flag("--ipd")] = None
    """Distance of the eyes in stereo styles, such as 63mm, instead of --depth-strength; it needs metric depth and a
    known camera."""


class VideoSettings(Section):
    """Encoding of videos."""

    title = "Video"
    keyword_prefix = "video_"

    codec: str = "auto"
    """h264, hevc, av1, vp9 or an encoder's name such as h264_nvenc. auto is vp9 in .webm, else h264, for -o and --push
    by the hardware's encoder where one works."""
    crf: int = Field(20, ge=0, le=63)
    """Constant rate factor: lower is better and larger."""
    preset: str = "auto"
    """The encoder's preset, ultrafast to veryslow: slower ones make smaller files. auto is superfast for files by x264,
    else veryfast."""
    width: Annotated[int | None, Flag("--width")] = Field(None, ge=2, le=16384)
    """Width of the video in px; the height follows from it. By default that of the picture."""
    height: Annotated[int | None, Flag("--height")] = Field(None, ge=2, le=16384)
    """Height of the video in px; the width follows from it. Smaller videos are encoded faster."""
    scale: Annotated[float | None, Flag("--scale")] = Field(None, gt=0, le=8)
    """Factor of the size of the video, such as 0.5; instead of --width and --height."""
    copy_tracks: bool = True
    """Copy audio and subtitles from the input."""
    keep_location: bool = False
    """Copy the position where the input was recorded, too; phones and drones write it into their videos."""


class RobotSettings(Section):
    """Data for robots (.mcap, .rrd, publish) and its names."""

    title = "Robot"
    keyword_prefix = "robot_"

    schemas: Literal["ros2", "foxglove"] = "ros2"
    """Message definitions in .mcap."""
    encoding: Literal["32FC1", "16UC1"] = "32FC1"
    """Pixels of depth images: meters as float, or millimeters as integer."""
    namespace: str = Field("/camera", pattern=r"^(/_?[A-Za-z](_?[A-Za-z0-9])*)+$")
    """Namespace of topics, as ROS allows it; with several streams, each one's name is appended."""
    frame_id: str | None = Field(None, min_length=1)
    """The camera's optical frame, with several streams followed by `_` and each one's name; by default the source's
    own, or NAMESPACE_optical_frame."""
    mount: Annotated[Strings, Flag("--mount")] = ()
    """The camera's place on the robot, x,y,z,roll,pitch,yaw in meters and degrees, such as 0.3,0,1.1,0,15,0, with
    @FRAME for another frame than base_link. Repeatable, one for each source."""
    points: bool = False
    """Send a point cloud, too."""
    scan: bool = True
    """Send a laser scan and the nearest obstacle of each sector, too."""
    floor: bool = False
    """Find the floor in every frame, and with it the tilt of the camera."""
    obstacle_heights: tuple[float, float] = (-0.1, 0.1)
    """Lowest and highest height of an obstacle in meters: above the camera (below it: negative), or above the floor
    where `floor` is set."""
    max_distance: float = Field(10.0, gt=0)
    """Greatest distance of an obstacle in meters."""
    sectors: int = Field(5, ge=1, le=360)
    """Number of sectors of the view; the nearest obstacle is sent for each."""
    pitch: float | None = Field(None, gt=-90, lt=90)
    """Degrees by which the camera looks down; by default metric.camera_pitch, or level. `floor` measures it."""

    @field_validator("obstacle_heights")
    @classmethod
    def _check_heights(cls, value: tuple[float, float]) -> tuple[float, float]:
        if not value[0] < value[1]:
            raise ValueError("write [lowest, highest] with lowest < highest")
        return value
