"""The sections of a configuration, each with the settings of one subject.

The docstring of a field is its meaning everywhere: in --help, in the settings reference and in the typed keywords.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, field_validator

from streamdepth.config.metadata import Flag, NoEffectOnResult
from streamdepth.config.values import (
    check_zones,
    parse_field_of_view,
    parse_number,
    parse_pairs,
    parse_rate,
    parse_seconds,
    parse_share,
    parse_size,
    parse_strings,
)
from streamdepth.core.render_options import DepthSize, Edges, Style

Strings = Annotated[tuple[str, ...], BeforeValidator(parse_strings)]
"""One text or several; a single one needs no list."""


class Section(BaseModel):
    """The base of all sections: unknown keys are refused, and values do not change."""

    model_config = ConfigDict(defer_build=True, extra="forbid", frozen=True, use_attribute_docstrings=True)

    title: ClassVar[str] = ""
    """The heading of the section's flags in --help."""
    keyword_prefix: ClassVar[str] = ""
    """Prefix of the Python keywords of fields that have no flag."""


class ModelSettings(Section):
    """The network that gives depth, and the hardware it runs on."""

    title = "Model"

    name: Annotated[str, Flag("--model", "-m", is_common=True)] = "nano"
    """nano, a short name of `streamdepth models`, metric or best (the best free model for this machine), a hub id, a
    local folder, nano's weights (.safetensors), an ONNX file (.onnx), or a folder that quantize wrote."""
    description: Annotated[
        tuple[str, ...], BeforeValidator(parse_pairs), Flag("--description", metavar="KEY=VALUE|NAME|PATH")
    ] = ()
    """How an ONNX file of another program is used, where no NAME.yaml beside it says it: pairs such as kind=metric and
    size=384, a ready description (streamdepth models --descriptions), or a YAML file. Repeatable."""
    size: Annotated[int | None, Flag("--size", is_common=True)] = Field(None, gt=0)
    """Short side of the network's input in px, larger is sharper and slower; by default the model's own."""
    engine: Annotated[str, Flag("--engine")] = "auto"
    """Runtime of the network: auto, torch, openvino or onnx."""
    device: Annotated[str, Flag("--device", is_common=True)] = "auto"
    """auto, cpu, cuda, cuda:1 or mps; several GPUs that share the work, cuda:0,cuda:1; with OpenVINO gpu, gpu.1, npu or
    the first of a list such as auto:gpu,cpu; with ONNX Runtime coreml or directml."""
    precision: Annotated[str, Flag("--precision")] = "auto"
    """Number format of the network: auto, float32, float16 or bfloat16."""
    precision_limit: float | None = Field(0.05, ge=0)
    """Greatest difference of reduced precision from float32, as a share of the depth's spread, before float32 is used
    instead; null never checks."""
    compile: Annotated[bool, Flag("--compile")] = False
    """Use torch.compile, with CUDA graphs: faster on a GPU after a minute of preparation."""
    threads: Annotated[int | None, NoEffectOnResult()] = Field(None, ge=1)
    """Number of CPU threads for the network; by default the engine chooses."""
    throughput: Annotated[bool | None, NoEffectOnResult()] = None
    """Prefer frames per second over the latency of each frame; by default where all sources are files."""
    accept_license: Annotated[bool, Flag("--accept-license"), NoEffectOnResult()] = False
    """Use weights whose license forbids commercial use."""
    allow_pickle: Annotated[bool, Flag("--allow-pickle"), NoEffectOnResult()] = False
    """Load weights that are not safetensors; such files can run code."""


class InferenceSettings(Section):
    """Rate and batch size of the network."""

    title = "Inference"
    keyword_prefix = "inference_"

    fps: Annotated[
        Literal["auto"] | float | None, BeforeValidator(parse_rate), Flag("--inference-fps", metavar="HZ|auto")
    ] = None
    """Run the network so many times per second, or auto: as often as it can beside a live stream. Frames in between
    get the last depth, warped along optical flow. By default it runs on every frame."""
    batch: Annotated[int, Flag("--batch")] = Field(1, ge=1, le=256)
    """Largest number of frames that the network gets at a time."""
    target_fps: Annotated[float | None, Flag("--target-fps")] = Field(None, gt=0)
    """Frames per second that a live stream should reach: the network's input shrinks, and with --inference-fps it runs
    less often, until it does."""
    max_latency_ms: Annotated[float | None, Flag("--max-latency-ms")] = Field(None, gt=0)
    """Largest latency of a live stream's frames, from capture to output; it is reached as --target-fps is."""


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


class NetworkSettings(Section):
    """Connections to network cameras and servers."""

    title = "Network"
    keyword_prefix = "network_"

    transport: Literal["tcp", "udp"] = "tcp"
    """Transport of RTSP."""
    timeout_seconds: float = Field(5.0, gt=0)
    """Longest time to wait for an answer, or for the next frame."""
    reconnect_seconds: float = Field(300.0, ge=0)
    """Time to try to get a lost stream back; 0 gives up at once, .inf never."""
    live: bool | None = None
    """True for a live stream, false for a file on a server; by default found out from the protocol."""


class VideoSettings(Section):
    """Encoding of videos."""

    title = "Video"
    keyword_prefix = "video_"

    codec: str = "auto"
    """h264, hevc, av1, vp9 or an encoder's name such as h264_nvenc. auto is vp9 in .webm, else h264, for -o and --push
    by the hardware's encoder where one works."""
    crf: int = Field(20, ge=0, le=63)
    """Constant rate factor: lower is better and larger."""
    preset: str = "veryfast"
    """The encoder's preset: slower ones make smaller files."""
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


class WebSettings(Section):
    """The page of `serve`: where it listens, who may see it, and where it saves recordings."""

    title = "Page"

    host: Annotated[str, Flag("--host")] = "127.0.0.1"
    """Address to listen at: 0.0.0.0 is all of the network, which needs a token."""
    port: Annotated[int, Flag("--port")] = Field(8000, ge=0, le=65535)
    """Port to listen at; 0 takes a free one."""
    token: Annotated[str | None, Flag("--token")] = None
    """Secret that visitors must know; by default one is made where it is needed."""
    allow_host: Annotated[Strings, Flag("--allow-host")] = ()
    """A further name by which browsers know this machine. Repeatable."""
    certificate: Annotated[Path | None, Flag("--certificate")] = None
    """PEM file of the certificate; with it the page is HTTPS."""
    key: Annotated[Path | None, Flag("--key")] = None
    """PEM file with the certificate's key."""
    folder: Annotated[Path, Flag("--folder")] = Path("recordings")
    """Folder for snapshots and recordings."""
    browser_camera: Annotated[bool, Flag("--browser-camera")] = False
    """Take the camera of whoever opens the page, such as a phone's."""
    max_viewers: Annotated[int, Flag("--max-viewers")] = Field(32, ge=1)
    """Largest number of viewers at a time."""
    max_upload_mb: Annotated[float, Flag("--max-upload-mb")] = Field(500, ge=0)
    """Largest video that a visitor may upload for conversion, in MB; 0 allows none."""
