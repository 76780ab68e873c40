"""The verbs `volume` and `fuse`: measuring a picture in 3D, and one 3D model of a clip."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from streamdepth.cli.console import err, out
from streamdepth.cli.flags import Flags, with_flags
from streamdepth.core.errors import ConfigError

if TYPE_CHECKING:
    import numpy as np

    from streamdepth.config import Settings
    from streamdepth.core.types import DepthFrame
    from streamdepth.estimators.recorded import RecordedDepthEstimator
    from streamdepth.geometry.arrays import Points

Depth = Annotated[
    Path | None, typer.Option("--depth", help="Instead of a model: a sensor's 16-bit PNG; of a video %06d.png.")
]
DepthScale = Annotated[float, typer.Option("--depth-scale", help="Values of that PNG per meter.")]


@with_flags("model", "camera", "metric", "max_side", "outputs.overwrite")
def volume(
    picture: Annotated[str, typer.Argument(help="A path or an http(s) address.")],
    region: Annotated[str, typer.Option("--region", help="x,y,width,height in px: what to measure, on flat ground.")],
    depth: Depth = None,
    depth_scale: DepthScale = 1000.0,
    heights: Annotated[
        Path | None, typer.Option("--heights", help="The region's height map from above: .npz, or .png to look at.")
    ] = None,
    cell: Annotated[str, typer.Option("--cell", help="Its cells.")] = "1cm",
    *,
    flags: Flags,
) -> None:
    """Measure the volume of a heap or an object on the ground in a region of a picture.

    Example: streamdepth volume heap.jpg --region 300,200,400,300 --camera-height 1.5m --fov 65
    """
    settings = flags.settings()
    from streamdepth.geometry.floor import find_floor
    from streamdepth.geometry.lengths import parse_length_m
    from streamdepth.geometry.projection import camera_or_default
    from streamdepth.geometry.volume import height_map, measure_volume
    from streamdepth.sinks.output_checks import check_output

    if heights:
        if heights.suffix.lower() not in (".npz", ".png"):
            raise ConfigError(
                f"cannot write heights to '{heights}'; use .npz, or .png to look at", code="unknown-format"
            )
        check_output(heights, overwrite=settings.outputs.overwrite, input_path=Path(picture))
    cell_m = parse_length_m(cell)
    item = _metric_item(picture, settings, depth, depth_scale)
    camera, inside = camera_or_default(item), _parse_region(region, item)
    # with --camera-height the meters come from the floor as the model draws it, so that there is nothing to refine
    plane = find_floor(item, max_tilt_degrees=75, refine=not settings.metric.camera_height)
    if plane is None:
        raise ConfigError(
            "there is no ground in the picture to measure from; show some of it around the region", code="no-ground"
        )
    found = measure_volume(item.depth, camera, inside, plane)
    if heights:
        _write_heights(
            heights, height_map(item.depth, camera, plane, cell_m, inside), cell_m, settings.outputs.overwrite
        )
    if item.intrinsics is None:
        err.print("the camera is unknown: 60 degrees are assumed; --fov or --camera-info tells it")
    if not found.area_m2:
        err.print("nothing in the region rises above the ground; choose another --region")
    out.print(
        f"volume {found.volume_m3:.4g} m3, standard error {found.error_m3:.2g} m3 (of the ground's unevenness and the "
        f"outline; the depth's own error comes on top)\narea {found.area_m2:.4g} m2, "
        f"highest {found.max_height_m:.3g} m, camera {plane.offset:.3g} m above the ground"
    )


def _metric_item(picture: str, settings: Settings, depth: Path | None, scale: float) -> DepthFrame:
    from fractions import Fraction

    from streamdepth.core.types import DepthFrame, DepthKind, Frame
    from streamdepth.factory.pictures import estimate_depth_frame, read_photo, shared_estimator

    photo = read_photo(picture, settings)
    if depth:
        recorded = _recorded_depth(depth, scale)
        frame = Frame(photo.pixels, 0, 0, Fraction(1), 0.0)
        return DepthFrame(frame, recorded.estimate([frame])[0].depth, DepthKind.METRIC, intrinsics=photo.intrinsics)
    item = estimate_depth_frame(photo, shared_estimator(settings.model), settings)
    if item.kind is not DepthKind.METRIC:
        raise ConfigError(
            f"a volume needs meters, and {settings.model.name} is relative; add --anchor x,y=1.35m, "
            "--camera-height 1.2m, --board or --sparse, or use a metric model or --depth",
            code="relative-depth",
        )
    return item


def _parse_region(text: str, item: DepthFrame) -> np.typing.NDArray[np.bool_]:
    """Returns the mask of the region "x,y,width,height" in the depth map. Raises ConfigError for others."""
    import numpy as np

    try:
        x, y, width, height = (float(word) for word in text.split(","))
    except ValueError as error:
        raise ConfigError(
            f"'{text}' is no region; write x,y,width,height in px, such as 300,200,400,300", code="bad-region"
        ) from error
    rows, columns = item.depth.shape
    full_height, full_width = item.frame.image.shape[:2]
    u = (np.arange(columns) + 0.5) * full_width / columns
    v = (np.arange(rows) + 0.5) * full_height / rows
    mask = np.outer((v >= y) & (v < y + height), (u >= x) & (u < x + width)).astype(np.bool_)
    if not mask.any() or x < 0 or y < 0 or x + width > full_width or y + height > full_height:
        raise ConfigError(
            f"the region '{text}' reaches out of the picture of {full_width}x{full_height} px", code="bad-region"
        )
    return mask


def _write_heights(path: Path, found: Points, cell_m: float, overwrite: bool | None) -> None:
    import numpy as np
    from PIL import Image

    from streamdepth.core.types import DepthKind
    from streamdepth.render.colors import colorize
    from streamdepth.sinks.pending_files import atomic_write

    with atomic_write(path, overwrite=bool(overwrite)) as temporary:
        if path.suffix.lower() == ".npz":
            np.savez_compressed(temporary, heights_m=found, cell_m=cell_m)
        else:  # the far end on top, high is bright
            Image.fromarray(colorize(found[::-1], DepthKind.RELATIVE)).save(temporary)


def _recorded_depth(depth: Path, scale: float) -> RecordedDepthEstimator:
    from streamdepth.estimators.recorded import RecordedDepthEstimator
    from streamdepth.sources.picture_file import read_depth_png
    from streamdepth.utils.numbering import has_number_field, insert_number

    pattern = str(depth)
    if not has_number_field(pattern) and not depth.is_file():
        raise ConfigError(f"there is no depth '{depth}'; give a 16-bit PNG, of a video %06d.png", code="not-found")
    return RecordedDepthEstimator(lambda index: read_depth_png(Path(insert_number(pattern, index)), scale), pattern)


@with_flags("model", "smooth", "camera", "metric", "max_frames", "outputs.overwrite")
def fuse(
    source: Annotated[str, typer.Argument(help="A video, or pictures in order.")],
    poses: Annotated[
        str,
        typer.Option(
            "--poses",
            help="Camera to world, meters: TUM, KITTI, EuRoC, 4x4 per line, or bag#/topic; auto estimates them.",
        ),
    ],
    output: Annotated[Path | None, typer.Option("--output", "-o", help="The model: .ply, .glb or .obj.")] = None,
    poses_out: Annotated[Path | None, typer.Option("--poses-out", help="File for the poses, in TUM's layout.")] = None,
    depth: Depth = None,
    depth_scale: DepthScale = 1000.0,
    voxel: Annotated[str, typer.Option("--voxel", help="The model's resolution.")] = "2cm",
    farthest: Annotated[str, typer.Option("--farthest", help="Depth beyond does not count.")] = "5m",
    *,
    flags: Flags,
) -> None:
    """Fuse a clip into one colored model (TSDF, by Open3D), with the camera's poses or with estimated ones.

    Example: streamdepth fuse clip.mp4 --poses auto --camera-info camera.yaml --depth depth/%06d.png -o model.ply
    """
    smooth = flags.values.get("smooth") or ("off" if depth else None)
    settings = flags.settings(source=source, smooth=smooth)
    from streamdepth import factory
    from streamdepth.cli.progress import ProgressBar
    from streamdepth.factory.poses import make_poses
    from streamdepth.geometry.lengths import parse_length_m
    from streamdepth.sinks.fusion import FusionSink
    from streamdepth.sinks.trajectory_file import TrajectorySink
    from streamdepth.utils.interrupts import stop_on_interrupt

    if not (output or poses_out):
        raise ConfigError(
            "there is nothing to write; give -o model.ply, --poses-out poses.txt or both", code="no-output"
        )
    voxel_m, overwrite, known = parse_length_m(voxel), settings.outputs.overwrite, make_poses(poses)
    sinks: list[FusionSink | TrajectorySink] = []
    if output:
        farthest_m = parse_length_m(farthest)
        sinks.append(FusionSink(output, known, voxel_m=voxel_m, farthest_m=farthest_m, overwrite=overwrite))
    if poses_out:
        sinks.append(TrajectorySink(poses_out, known, overwrite=overwrite))
    recorded = _recorded_depth(depth, depth_scale) if depth else None
    with (
        ProgressBar(err, is_quiet=flags.quiet) as bar,
        factory.open_pipeline(settings, lambda item: bar.show(pipeline, item), estimator=recorded) as pipeline,
        stop_on_interrupt(pipeline.stop),
    ):
        pipeline.streams[0].sinks = list(sinks)
        report = pipeline.run()
    if not flags.quiet:
        for sink in sinks:
            if isinstance(sink, FusionSink):
                err.print(f"{sink.path}: {sink.faces} triangles from {report.written} frames, voxels of {voxel_m:g} m")
            else:
                err.print(f"{sink.path}: {sink.count} poses from {report.written} frames")
