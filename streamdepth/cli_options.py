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
ROBOT: dict[str, Any] = {
    "publish": Annotated[
        list[str] | None,
        typer.Option(
            "--publish",
            help="Send metric depth to rerun, foxglove, zenoh or ros, with :ADDRESS. Repeatable.",
            rich_help_panel=_LIVE_OUTPUT,
        ),
    ],
}
"""What sends depth away while it is made."""
CAMERA: dict[str, Any] = {
    "camera_info": Annotated[
        Path | None,
        typer.Option(
            "--camera-info", help="The camera: a ROS camera_info YAML, as calibrate writes it.", rich_help_panel=_CAMERA
        ),
    ],
    "fov": Annotated[
        float | None,
        typer.Option("--fov", help="Instead: horizontal field of view in degrees.", rich_help_panel=_CAMERA),
    ],
    "fx": Annotated[
        float | None, typer.Option("--fx", help="Instead: focal length in px of the pictures.", rich_help_panel=_CAMERA)
    ],
    "fy": Annotated[float | None, typer.Option("--fy", help="Where pixels are not square.", rich_help_panel=_CAMERA)],
    "cx": Annotated[
        float | None, typer.Option("--cx", help="Principal point in px; the middle.", rich_help_panel=_CAMERA)
    ],
    "cy": Annotated[
        float | None, typer.Option("--cy", help="Principal point in px; the middle.", rich_help_panel=_CAMERA)
    ],
    "undistort": Annotated[
        bool | None, typer.Option("--undistort", help="Undo the distortion that it tells.", rich_help_panel=_CAMERA)
    ],
}
"""What is known of the camera."""
METRES: dict[str, Any] = {
    "anchor": Annotated[
        list[str] | None,
        typer.Option(
            "--anchor",
            help="A measured point, x,y=1.35m in px of the picture; makes metres. Repeatable.",
            rich_help_panel=_METRES,
        ),
    ],
    "camera_height": Annotated[
        str | None,
        typer.Option(
            "--camera-height", help="Instead: height over the floor in view, such as 1.2m.", rich_help_panel=_METRES
        ),
    ],
    "camera_pitch": Annotated[
        float | None,
        typer.Option(
            "--camera-pitch",
            help="Degrees by which it looks down, for an exact model; else guessed.",
            rich_help_panel=_METRES,
        ),
    ],
    "board": Annotated[
        str | None,
        typer.Option(
            "--board",
            help="Instead: a board in view, chessboard:9x6@25mm or charuco:7x5@40mm/30mm.",
            rich_help_panel=_METRES,
        ),
    ],
    "sparse": Annotated[
        Path | None,
        typer.Option(
            "--sparse", help="Instead: a sensor's depth, 16-bit PNG; of a video %06d.png.", rich_help_panel=_METRES
        ),
    ],
    "sparse_scale": Annotated[
        float | None,
        typer.Option("--sparse-scale", help="Values of that PNG per metre; 1000.", rich_help_panel=_METRES),
    ],
}
"""What turns relative depth into metres."""

RECORDING: dict[str, Any] = {
    "push": Annotated[
        list[str] | None,
        typer.Option(
            "--push",
            help="Send the video to rtsp:// rtmp:// srt:// udp://..., or virtualcam:. Repeatable.",
            rich_help_panel=_LIVE_OUTPUT,
        ),
    ],
    "segment": Annotated[
        str | None,
        typer.Option(
            "--segment", help="Begin a new file NAME_000000... after 30s, 10m, 1h.", rich_help_panel=_LIVE_OUTPUT
        ),
    ],
    "resume": Annotated[
        bool | None,
        typer.Option("--resume", help="Go on after the last segment that is there.", rich_help_panel=_LIVE_OUTPUT),
    ],
    "min_free_mb": Annotated[
        float | None,
        typer.Option(
            "--min-free-mb",
            help="End a live recording while so much of the disk is free; 500.",
            rich_help_panel=_LIVE_OUTPUT,
        ),
    ],
}
"""How streams without end are kept, and sent on."""

SHAPES: dict[str, Any] = {
    "points": Annotated[
        Path | None,
        typer.Option(
            "--points", "--ply", help="Write a point cloud: .ply or .pcd; of a video %06d.ply.", rich_help_panel=_SHAPES
        ),
    ],
    "mesh": Annotated[
        Path | None,
        typer.Option(
            "--mesh", "--glb", help="Write a mesh: .glb, .ply or .obj; of a video %06d.glb.", rich_help_panel=_SHAPES
        ),
    ],
}
"""What is built in 3D."""
CLUSTER: dict[str, Any] = {
    "cluster": Annotated[
        str | None,
        typer.Option(
            "--cluster", help="Share the work on Ray: auto, or a cluster's HOST:PORT.", rich_help_panel=_MODEL
        ),
    ],
}
"""Who does the work."""
HOLD: dict[str, Any] = {
    "hold_last": Annotated[
        bool | None,
        typer.Option(
            "--hold-last", help="While a camera is lost, show its last picture, marked as stale.", rich_help_panel=_LOOK
        ),
    ],
}
"""What a window shows of a lost camera."""
EVERY: dict[str, Any] = {
    "ply_every": Annotated[
        int | None,
        typer.Option(
            "--ply-every", help="Of every so many frames; alone it writes NAME_%06d.ply.", rich_help_panel=_SHAPES
        ),
    ],
}


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
