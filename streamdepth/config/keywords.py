"""Typed keyword arguments of the settings. Generated: python -m streamdepth.config.generate"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal, TypedDict

from streamdepth.core.render_options import DepthSize, Edges, Style


class ModelKeywords(TypedDict, total=False):
    """The network that gives depth, besides its name, and the hardware it runs on."""

    description: str | Sequence[str]
    """How an ONNX file of another program is used, where no NAME.yaml beside it says it: pairs such as kind=metric
    and size=384, a ready description (streamdepth models --descriptions), or a YAML file. Repeatable."""
    size: int | None
    """Short side of the network's input in px, larger is sharper and slower; by default the model's own."""
    engine: str
    """Runtime of the network: auto, torch, openvino or onnx."""
    device: str
    """auto, cpu, cuda, cuda:1 or mps; several GPUs that share the work, cuda:0,cuda:1; with OpenVINO gpu, gpu.1,
    npu or the first of a list such as auto:gpu,cpu; with ONNX Runtime coreml or directml."""
    precision: str
    """Number format of the network: auto, float32, float16 or bfloat16."""
    precision_limit: float | None
    """Greatest difference of reduced precision from float32, as a share of the depth's spread, before float32 is
    used instead; null never checks."""
    compile: bool
    """Use torch.compile, with CUDA graphs: faster on a GPU after a minute of preparation."""
    threads: int | None
    """Number of CPU threads for the network; by default the engine chooses."""
    throughput: bool | None
    """Prefer frames per second over the latency of each frame; by default where all sources are files."""
    accept_license: bool
    """Use weights whose license forbids commercial use."""
    allow_pickle: bool
    """Load weights that are not safetensors; such files can run code."""


class EstimateKeywords(ModelKeywords, total=False):
    """Settings that concern one picture."""

    max_side: int
    """Refuse pictures with a longer side, in px."""
    find_bars: bool
    """Find black bars around the picture: their depth is unknown, and they do not count for the range."""
    anchor: str | Sequence[str]
    """A measured point, x,y=1.35m in px of the first picture: relative depth becomes metric. Repeatable."""
    known_size: str | Sequence[str]
    """Box of an object in px of the first picture, and the length of its longer side: x,y,WIDTHxHEIGHT=1.8m; the
    camera must be known. Repeatable."""
    camera_height: str | None
    """Height of the camera above the floor in view, such as 1.2m."""
    camera_pitch: float | None
    """With --camera-height: degrees by which the camera looks down; by default estimated from the picture."""
    board: str | None
    """A board in view, chessboard:9x6@25mm or charuco:7x5@40mm/30mm; the camera must be known."""
    sparse: str | Path | None
    """A sensor's depth beside the network's, or as its prompt. A 16-bit PNG (0 is unknown), for a video %06d.png by
    the frame's index or a folder in the order of the frames; a topic of the bag, or BAG#TOPIC of another bag; or
    the word sensor, for a live realsense: or oak: camera."""
    depth_from: str | Path | None
    """Use a sensor's depth instead of a network's, and fill its small holes. Written as --sparse is, or as a folder
    or a pattern of PNG files in the order of the frames."""
    sparse_scale: float | None
    """Number that stands for one meter in integer depth; by default 1000, or what RealSense's recorder wrote down."""
    depth_tolerance: float
    """Largest difference in seconds between the stamps of a picture and of its depth in bags."""
    fill_holes: float
    """Longest gap of sensor depth that is filled, as a share of the map's width; 0 fills none."""
    max_scale_error: float
    """One-sigma error, such as 0.25 or 25%, of the scale or of a pixel, beyond which meters are withheld (NaN)."""
    camera_info: str | Path | None
    """The camera's file (ROS, OpenCV, Kalibr, ORB-SLAM, KITTI, NeRF, Open3D...); wins over source and model."""
    fov: Literal["auto"] | float | None
    """Instead of --camera-info: horizontal field of view of the pictures in degrees; auto guesses it from the
    pictures of a file where nothing is known of its camera."""
    fx: float | None
    """Instead of --camera-info: focal length in px of the pictures."""
    fy: float | None
    """Vertical focal length in px; by default as fx."""
    cx: float | None
    """Principal point in px; by default the middle."""
    cy: float | None
    """Principal point in px; by default the middle."""
    undistort: bool
    """Undo the lens distortion of the camera, where it is known."""


class StreamKeywords(EstimateKeywords, total=False):
    """Settings of a stream of frames without outputs."""

    max_frames: int | None
    """End after so many frames."""
    max_seconds: float | None
    """End after so many seconds of the source's time."""
    allow_partial: bool
    """Accept a source that ends before its end."""
    wait_for_sources: bool
    """Begin with the sources that are there, and wait for the others as for cameras that were lost."""
    input_fps: float | None
    """Frames per second of the input, such as 25, 29.97 or 30000/1001, whatever it says itself: for video without
    timestamps, pictures, or another speed."""
    start: float | None
    """Begin at this time of a recording, such as 2s, 1m30s or 4.5, exactly to the frame; sound is cut there, too."""
    end: float | None
    """End before the frame at this time of a recording, counted from its beginning."""
    fps: float | None
    """Constant frame rate of the outputs, such as 24 or 30000/1001: frames are chosen by their times, left out or
    repeated, and the sound keeps its speed."""
    crop: tuple[int, int, int, int] | None
    """Use only this rectangle of the picture: left, top, width and height in px."""
    deinterlace: Literal["off", "auto"]
    """auto rebuilds interlaced frames from the fields around them (bwdif); off leaves and announces them."""
    gpu_decoding: bool
    """Decode files and network streams on the NVIDIA GPU that the model runs on, where that takes the codec."""
    realtime: bool
    """Play files at their own frame rate and drop frames that come too late, as a camera would."""
    smooth: str
    """Stabilization against flicker: off, light, default, strong, or for files offline."""
    inference_fps: Literal["auto"] | float | None
    """Run the network so many times per second, or auto: as often as it can beside a live stream. Frames in between
    get the last depth, warped along optical flow. By default it runs on every frame."""
    batch: int
    """Largest number of frames that the network gets at a time."""
    target_fps: float | None
    """Frames per second that a live stream should reach: the network's input shrinks, and with --inference-fps it
    runs less often, until it does."""
    max_latency_ms: float | None
    """Largest latency of a live stream's frames, from capture to output; it is reached as --target-fps is."""
    style: Style
    """overlay, depth, or side-by-side for picture and depth; stereo, two pictures for two eyes: sbs (beside each
    other), half-sbs (the same at half width), top-bottom, or anaglyph (red-cyan glasses)."""
    colormap: str
    """inferno, turbo, spectral, magma, viridis, gray or another name of cmap's catalog."""
    range: str
    """Depth that the colors, and the numbers in PNG of relative depth, span: auto, lock:LOW,HIGH in the unit of the
    depth, and for files per-shot or lock:LOW%,HIGH% in percent of the file's values."""
    edges: Edges
    """Enlarge depth to the frame's size smoothly (plain), or along the edges of the picture (guided)."""
    alpha: float
    """Share of the depth's colors in an overlay, 0 to 1."""
    legend: bool | None
    """Draw a color bar with values into the picture; by default in every style but depth."""
    invert: bool
    """Draw near dark and far bright; files that hold the depth itself do not change."""
    depth_strength: float
    """Depth of stereo styles: difference of the places of near and far between the two pictures, such as 0.02 or 2%
    of their width."""
    convergence: float
    """Place of the screen in stereo styles: 0 at the far end of the range, so that all is before it, 1 at the near
    end, so that all is behind it."""
    ipd: str | None
    """Distance of the eyes in stereo styles, such as 63mm, instead of --depth-strength; it needs metric depth and a
    known camera."""
    camera_info_topic: str | None
    """Topic of a bag with the camera's intrinsics; by default the one that belongs to the pictures is looked for."""
    camera_size: str | tuple[int, int] | None
    """Picture size to ask a webcam for, such as 640x480; one that grants another is an error."""
    camera_fps: float | None
    """Frames per second to ask a webcam for; one that grants another rate is an error."""
    camera_fourcc: str | None
    """Pixel format to ask a webcam for, such as MJPG or YUYV."""
    audio: str | None
    """Microphone whose sound is recorded beside a webcam, as FFmpeg names it: alsa:default, dshow:audio=NAME or
    avfoundation::0."""
    camera_reconnect_seconds: float
    """Time to wait for a webcam that was unplugged or stalled; 0 gives up at once, .inf never."""
    network_transport: Literal["tcp", "udp"]
    """Transport of RTSP."""
    network_timeout_seconds: float
    """Longest time to wait for an answer, or for the next frame."""
    network_reconnect_seconds: float
    """Time to try to get a lost stream back; 0 gives up at once, .inf never."""
    network_live: bool | None
    """True for a live stream, false for a file on a server; by default found out from the protocol."""


class ConvertKeywords(StreamKeywords, total=False):
    """Settings of a run that writes, shows or sends."""

    name: str | Sequence[str]
    """A name for outputs, topics and coordinate frames, instead of one made from the source's address. Repeatable,
    one for each source."""
    depth_out: str | Path | None
    """The depth itself: .mkv (lossless), .mov (gray video), .mp4 (LeRobot), .mcap (ROS 2), .rrd (Rerun) or %06d
    with .png, .exr or .npz; a folder when there are several sources."""
    with_rgb: bool
    """Write the picture and the sound into --depth-out (.mkv), too: players show the picture, DepthVideo reads the
    depth."""
    depth_size: DepthSize | None
    """Size of the depth in .mkv, .png, .exr and .npz: network or picture; by default the network's own in videos
    (.mkv), which takes a tenth of the time and space, and the picture's in pictures."""
    depth_map: Literal["near-white", "near-black"] | None
    """Write --depth-out as a gray video in which near is white or black, with the mapping in NAME.json. By default
    only .mov, .m4v and .webm are gray videos, near white."""
    near: float | None
    """Depth at the near end of a gray video's scale: meters, or inverse depth of relative models; by default the
    near end of the range (--range)."""
    far: float | None
    """Depth at the far end of a gray video's scale; by default the far end of the range."""
    depth_bits: Literal[8, 10]
    """Bits of a gray video; with 10 the codec is HEVC, in .mov ProRes."""
    target: Literal["wan", "h3", "seedance"] | None
    """Write --depth-out as a gray control video for a generator, wan, h3 (MiniMax H3) or seedance: its frame rate,
    size and length, one range for the whole clip, near white."""
    first_number: int | None
    """Number of the first picture in %06d, such as 1001; by default a recording's frames begin with 0, and a
    numbered sequence keeps its numbers."""
    points: str | Path | None
    """Point clouds: .ply or .pcd; for a video, with %06d in the name."""
    mesh: str | Path | None
    """Meshes: .glb, .ply or .obj; for a video, with %06d in the name."""
    ply_every: int | None
    """Write points and meshes of every Nth frame of a video; alone it writes NAME_%06d.ply."""
    drop_flying: bool
    """Write metric depth on jumps between near and far (flying pixels) as unknown."""
    keep_topics: str | Sequence[str]
    """Copy these topics of the bag into the .mcap, as they are: a name or a pattern, such as '/tf*' or '*'.
    Repeatable."""
    push: str | Sequence[str]
    """Send the video to rtsp://, rtmp://, srt://, udp://, tcp://, rtp://, virtualcam: or ndi:NAME while it is made,
    files at their own frame rate; {name} stands for the stream's name. Repeatable."""
    publish: str | Sequence[str]
    """Send metric depth to rerun, foxglove, zenoh or ros, elsewhere as rerun:HOST:PORT, foxglove:HOST:PORT or
    zenoh:tcp/HOST:PORT. Repeatable."""
    window: bool
    """Show a window, too."""
    hold_last: bool
    """Show the last picture, marked as stale, while a camera is lost; else words on black."""
    segment: str | float | None
    """Begin a new file, NAME_000000.mp4 and so on, after 30s, 10m, 1h or a number of seconds; by default one file."""
    resume: bool
    """Continue after the last segment that exists."""
    min_free_mb: float
    """End live recordings, with complete files, before less than so many MB are free on the disk."""
    stats: str | Path | None
    """Write the report of the run to this JSON file."""
    overwrite: bool
    """Replace outputs that exist."""
    zone: str | Sequence[str]
    """Watch the depth in a part of the picture. door=100,50,200,300 is a box (left, top, width, height in px, after
    crop and rotation), more numbers are corners of a polygon. With @1.5m (metric) or @60% (relative depth) behind
    it, something is in it once it is nearer than that, else once it is nearer than what was there at first.
    Repeatable."""
    zone_out: str | Sequence[str]
    """Send the depth in zones, and what enters and leaves them, to a file (.jsonl), to - (standard output), to
    mqtt://HOST/TOPIC, or to a web address (https://..., events only). Repeatable."""
    zone_hold_seconds: float
    """Time for which something must be in a zone, or out of it, before it has entered or left."""
    zone_margin: float
    """Difference of depth between entering and leaving: 10% of a distance in meters, or 10 percent of the range."""
    zone_interval_seconds: float
    """Time between two values of a zone that are sent by MQTT; events are sent at once. Files have every frame."""
    video_codec: str
    """h264, hevc, av1, vp9 or an encoder's name such as h264_nvenc. auto is vp9 in .webm, else h264, for -o and
    --push by the hardware's encoder where one works."""
    video_crf: int
    """Constant rate factor: lower is better and larger."""
    video_preset: str
    """The encoder's preset, ultrafast to veryslow: slower ones make smaller files. auto is superfast for files by
    x264, else veryfast."""
    width: int | None
    """Width of the video in px; the height follows from it. By default that of the picture."""
    height: int | None
    """Height of the video in px; the width follows from it. Smaller videos are encoded faster."""
    scale: float | None
    """Factor of the size of the video, such as 0.5; instead of --width and --height."""
    video_copy_tracks: bool
    """Copy audio and subtitles from the input."""
    video_keep_location: bool
    """Copy the position where the input was recorded, too; phones and drones write it into their videos."""
    robot_schemas: Literal["ros2", "foxglove"]
    """Message definitions in .mcap."""
    robot_encoding: Literal["32FC1", "16UC1"]
    """Pixels of depth images: meters as float, or millimeters as integer."""
    robot_namespace: str
    """Namespace of topics, as ROS allows it; with several streams, each one's name is appended."""
    robot_frame_id: str | None
    """The camera's optical frame, with several streams followed by `_` and each one's name; by default the source's
    own, or NAMESPACE_optical_frame."""
    mount: str | Sequence[str]
    """The camera's place on the robot, x,y,z,roll,pitch,yaw in meters and degrees, such as 0.3,0,1.1,0,15,0, with
    @FRAME for another frame than base_link. Repeatable, one for each source."""
    robot_points: bool
    """Send a point cloud, too."""
    robot_scan: bool
    """Send a laser scan and the nearest obstacle of each sector, too."""
    robot_floor: bool
    """Find the floor in every frame, and with it the tilt of the camera."""
    robot_obstacle_heights: tuple[float, float]
    """Lowest and highest height of an obstacle in meters: above the camera (below it: negative), or above the floor
    where `floor` is set."""
    robot_max_distance: float
    """Greatest distance of an obstacle in meters."""
    robot_sectors: int
    """Number of sectors of the view; the nearest obstacle is sent for each."""
    robot_pitch: float | None
    """Degrees by which the camera looks down; by default metric.camera_pitch, or level. `floor` measures it."""


class SettingsKeywords(ConvertKeywords, total=False):
    """All settings."""

    source: str | int | Path | Sequence[str | int | Path]
    """Camera numbers, files, folders, globs, URLs, lavfi:... or screen:"""
    streams: Sequence[Mapping[str, object]]
    """Instead of source, for several cameras that differ: a list of source, name, mount, camera and metric of each."""
    cluster: str | None
    """Share the work on Ray: auto, or a cluster's HOST:PORT."""
    model: str
    """nano, a short name of `streamdepth models`, metric or best (the best free model for this machine), a hub id,
    a local folder, nano's weights (.safetensors), an ONNX file (.onnx), or a folder that quantize wrote."""
    output: str | Path | None
    """The video to watch (.mp4, .mkv, .mov, .webm), an animation (.gif, .webp), numbered pictures (%06d.png), an
    address to send it to (rtsp://...), or - for standard output (Matroska); a folder when there are several
    sources."""
    host: str
    """Address to listen at: 0.0.0.0 is all of the network, which needs a token."""
    port: int
    """Port to listen at; 0 takes a free one."""
    token: str | None
    """Secret that visitors must know; by default one is made where it is needed."""
    allow_host: str | Sequence[str]
    """A further name by which browsers know this machine. Repeatable."""
    certificate: str | Path | None
    """PEM file of the certificate; with it the page is HTTPS."""
    key: str | Path | None
    """PEM file with the certificate's key."""
    folder: str | Path
    """Folder for snapshots and recordings."""
    browser_camera: bool
    """Take the camera of whoever opens the page, such as a phone's."""
    max_viewers: int
    """Largest number of viewers at a time."""
    max_upload_mb: float
    """Largest video that a visitor may upload for conversion, in MB; 0 allows none."""
