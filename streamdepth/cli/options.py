"""The flags that mean the same in every verb."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

_INPUT, _OUTPUT, _LIVE_OUTPUT = "Input", "Output", "Recording and sending"
_MODEL, _LOOK, _CAMERA, _METRES, _SHAPES = "Model", "Steadiness and look", "Camera", "Metres", "3D"

Output = Annotated[
    str | None,
    typer.Option("--output", "-o", help="Video to write, rtsp://...; a folder for several.", rich_help_panel=_OUTPUT),
]
Model = Annotated[
    str | None,
    typer.Option(
        "--model",
        "-m",
        help="nano, a short name, a hub id, a folder, nano's .safetensors, an exported .onnx.",
        rich_help_panel=_MODEL,
    ),
]
Size = Annotated[
    int | None, typer.Option("--size", help="px of the short side of the network's input.", rich_help_panel=_MODEL)
]
Engine = Annotated[str | None, typer.Option("--engine", help="auto, torch, openvino or onnx.", rich_help_panel=_MODEL)]
Device = Annotated[str | None, typer.Option("--device", help="auto, cpu, cuda, cuda:1 or mps.", rich_help_panel=_MODEL)]
Precision = Annotated[
    str | None, typer.Option("--precision", help="auto, float32, float16 or bfloat16.", rich_help_panel=_MODEL)
]
Compile = Annotated[
    bool | None,
    typer.Option(
        "--compile", help="torch.compile: faster on a GPU after a minute of preparing.", rich_help_panel=_MODEL
    ),
]
Batch = Annotated[
    int | None, typer.Option("--batch", help="Most frames the model gets at a time.", rich_help_panel=_MODEL)
]
Refresh = Annotated[
    str | None,
    typer.Option(
        "--refresh",
        help="Run the model HZ times a second, or auto; between, depth is carried along motion.",
        rich_help_panel=_MODEL,
    ),
]
TargetFps = Annotated[
    float | None,
    typer.Option(
        "--target-fps",
        help="Frames a second a live stream is to give; the model does less while it cannot.",
        rich_help_panel=_MODEL,
    ),
]
MaxLatencyMs = Annotated[
    float | None,
    typer.Option("--max-latency-ms", help="The same for the age of a live stream's frames.", rich_help_panel=_MODEL),
]
Smooth = Annotated[
    str | None,
    typer.Option("--smooth", help="off, light, default, strong, or for files offline.", rich_help_panel=_LOOK),
]
Range = Annotated[
    str | None,
    typer.Option("--range", help="Displayed depth: auto, lock:LOW,HIGH, or for files per-shot.", rich_help_panel=_LOOK),
]
Edges = Annotated[
    str | None, typer.Option("--edges", help="plain, or guided by the picture's edges.", rich_help_panel=_LOOK)
]
DropFlying = Annotated[
    bool | None,
    typer.Option(
        "--drop-flying", help="Write metric depth on jumps between near and far as unknown.", rich_help_panel=_OUTPUT
    ),
]
Style = Annotated[str | None, typer.Option("--style", help="overlay, depth or side-by-side.", rich_help_panel=_LOOK)]
Colormap = Annotated[
    str | None,
    typer.Option("--colormap", help="inferno, turbo, spectral, magma, viridis, gray...", rich_help_panel=_LOOK),
]
DepthOut = Annotated[
    Path | None,
    typer.Option(
        "--depth-out",
        help="Keep the depth: .mkv (lossless), .mp4 (LeRobot), .mcap (ROS 2), .rrd (Rerun), %06d.png .exr .npz.",
        rich_help_panel=_OUTPUT,
    ),
]
Stats = Annotated[
    Path | None, typer.Option("--stats", help="Write the report to this JSON file.", rich_help_panel=_OUTPUT)
]
MaxFrames = Annotated[
    int | None, typer.Option("--max-frames", help="End after so many frames.", rich_help_panel=_INPUT)
]
MaxSeconds = Annotated[
    float | None, typer.Option("--max-seconds", help="End after so much of the source's time.", rich_help_panel=_INPUT)
]
MaxSide = Annotated[
    int | None, typer.Option("--max-side", help="Refuse pictures with a longer side, in px.", rich_help_panel=_INPUT)
]
ConfigFile = Annotated[Path | None, typer.Option("--config", help="YAML file with settings; flags win over it.")]
Set = Annotated[list[str] | None, typer.Option("--set", help="key=value for any setting, such as video.crf=18.")]
Overwrite = Annotated[
    bool | None, typer.Option("--overwrite", help="Replace outputs that exist.", rich_help_panel=_OUTPUT)
]
Json = Annotated[
    Path | None,
    typer.Option("--json", help="Write all facts to this file; - prints them instead.", rich_help_panel=_OUTPUT),
]
AllowPartial = Annotated[
    bool | None,
    typer.Option("--allow-partial", help="A source that ends before its end is no failure.", rich_help_panel=_INPUT),
]
AcceptLicense = Annotated[
    bool | None, typer.Option("--accept-license", help="Use non-commercial weights.", rich_help_panel=_MODEL)
]
AllowPickle = Annotated[
    bool | None, typer.Option("--allow-pickle", help="Load weights that are not safetensors.", rich_help_panel=_MODEL)
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print errors only.")]
Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="Log more, and show tracebacks.")]

MODEL: dict[str, Any] = {
    "model": Model,
    "size": Size,
    "engine": Engine,
    "device": Device,
    "precision": Precision,
    "accept_license": AcceptLicense,
    "allow_pickle": AllowPickle,
}
"""Which network, and on what it runs."""
COMPILE: dict[str, Any] = {"compile": Compile}
BATCH: dict[str, Any] = {"batch": Batch}
EDGES: dict[str, Any] = {"edges": Edges}
PACE: dict[str, Any] = {"refresh": Refresh, "target_fps": TargetFps, "max_latency_ms": MaxLatencyMs}
"""How often it runs."""
VIEW: dict[str, Any] = {"smooth": Smooth, "range": Range, "style": Style, "colormap": Colormap}
"""How depth is steadied and drawn."""
LIMITS: dict[str, Any] = {
    "max_frames": MaxFrames,
    "max_seconds": MaxSeconds,
    "max_side": MaxSide,
    "allow_partial": AllowPartial,
}
"""How much of a source is taken."""


def _group(panel: str, **flags: tuple[Any, ...]) -> dict[str, Any]:
    """Flags of one panel: each one's setting, type, help, and further names for it."""
    return {
        name: Annotated[
            kind | None,
            typer.Option(f"--{name.replace('_', '-')}", *aliases, help=help, rich_help_panel=panel),
        ]
        for name, (kind, help, *aliases) in flags.items()
    }


ROBOT = _group(
    _LIVE_OUTPUT,
    publish=(list[str], "Send metric depth to rerun, foxglove, zenoh or ros, with :ADDRESS. Repeatable."),
)
"""What sends depth away while it is made."""
CAMERA = _group(
    _CAMERA,
    camera_info=(Path, "The camera: a ROS camera_info YAML, as calibrate writes it."),
    fov=(float, "Instead: horizontal field of view in degrees."),
    fx=(float, "Instead: focal length in px of the pictures."),
    fy=(float, "Where pixels are not square."),
    cx=(float, "Principal point in px (default: the middle)."),
    cy=(float, "Principal point in px (default: the middle)."),
    undistort=(bool, "Undo the distortion that it tells."),
)
"""What is known of the camera."""
METRES = _group(
    _METRES,
    anchor=(list[str], "A measured point, x,y=1.35m in px of the picture; makes metres. Repeatable."),
    camera_height=(str, "Instead: height over the floor in view, such as 1.2m."),
    camera_pitch=(float, "Degrees by which it looks down, for an exact model; else guessed."),
    board=(str, "Instead: a board in view, chessboard:9x6@25mm or charuco:7x5@40mm/30mm."),
    sparse=(Path, "Instead: a sensor's depth, 16-bit PNG; of a video %06d.png."),
    sparse_scale=(float, "Values of that PNG per metre (default: 1000)."),
)
"""What turns relative depth into metres."""
RECORDING = _group(
    _LIVE_OUTPUT,
    push=(list[str], "Send the video to rtsp:// rtmp:// srt:// udp://..., or virtualcam:. Repeatable."),
    segment=(str, "Begin a new file NAME_000000... after 30s, 10m, 1h."),
    resume=(bool, "Go on after the last segment that is there."),
    min_free_mb=(float, "End a live recording before less of the disk is free (default: 500)."),
)
"""How streams without end are kept, and sent on."""
SHAPES = _group(
    _SHAPES,
    points=(Path, "Write a point cloud: .ply or .pcd; of a video %06d.ply.", "--ply"),
    mesh=(Path, "Write a mesh: .glb, .ply or .obj; of a video %06d.glb.", "--glb"),
)
"""What is built in 3D."""
EVERY = _group(_SHAPES, ply_every=(int, "Of every so many frames; alone it writes NAME_%06d.ply."))
CLUSTER = _group(_MODEL, cluster=(str, "Share the work on Ray: auto, or a cluster's HOST:PORT."))
"""Who does the work."""
HOLD = _group(_LOOK, hold_last=(bool, "While a camera is lost, show its last picture, marked as stale."))
"""What a window shows of a lost camera."""


def also(*groups: Mapping[str, Any]) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Gives a verb the flags of these groups too, in its argument `more` (a dictionary)."""

    def decorate(verb: Callable[..., None]) -> Callable[..., None]:
        @functools.wraps(verb)
        def with_more(**flags: Any) -> None:
            more = {name: flags.pop(name) for group in groups for name in group}
            verb(**flags, more=more)

        signature = inspect.signature(verb, eval_str=True)
        own = [parameter for name, parameter in signature.parameters.items() if name != "more"]
        added = [
            inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=annotation)
            for group in groups
            for name, annotation in group.items()
        ]
        with_more.__signature__ = signature.replace(parameters=[*own, *added])  # type: ignore[attr-defined]
        return with_more

    return decorate
