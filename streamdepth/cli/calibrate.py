"""The verb that measures a camera."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from streamdepth.cli.console import err
from streamdepth.cli.flags import Flags, with_flags

if TYPE_CHECKING:
    from streamdepth.core.interfaces import Source
    from streamdepth.core.types import Frame


@with_flags("max_frames", "outputs.overwrite")
def calibrate(
    source: Annotated[
        str, typer.Argument(help="A video or pictures of a board that is moved about; a camera's number.")
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="The ROS camera_info YAML to write.")],
    board: Annotated[str, typer.Option("--board", help="chessboard:9x6@25mm or charuco:7x5@40mm/30mm/4x4_50.")],
    picture: Annotated[
        Path | None, typer.Option("--picture", help="Where corners were seen, and a frame undone.")
    ] = None,
    fisheye: Annotated[bool, typer.Option("--fisheye", help="For lenses beyond 120 degrees.")] = False,
    every: Annotated[int, typer.Option("--every", min=1, help="Look at every so many frames.")] = 5,
    *,
    flags: Flags,
) -> None:
    """Measure a camera with a printed board, for --camera-info.

    Example: streamdepth calibrate board.mp4 --board 9x6@25mm -o camera.yaml --picture camera.png
    """
    settings = flags.settings()
    from PIL import Image

    from streamdepth.factory import make_source
    from streamdepth.geometry.boards import Board
    from streamdepth.geometry.calibration import calibrate as solve
    from streamdepth.geometry.calibration import draw_calibration, find_board_views
    from streamdepth.geometry.camera import camera_info_yaml
    from streamdepth.sinks.output_checks import check_output
    from streamdepth.sinks.pending_files import atomic_write

    for path in filter(None, (output, picture)):
        check_output(path, overwrite=settings.outputs.overwrite, input_path=Path(source))
    wanted = Board.parse(board)
    frames = _frames(make_source(source, settings), settings.max_frames)
    result = solve(find_board_views(islice(frames, 0, None, every), wanted), fisheye=fisheye)
    with atomic_write(output, overwrite=settings.outputs.overwrite) as temporary:
        temporary.write_text(camera_info_yaml(result.camera))
    if picture:
        with atomic_write(picture, overwrite=settings.outputs.overwrite) as temporary:
            Image.fromarray(draw_calibration(result)).save(temporary)
    if not flags.quiet:
        camera = result.camera
        err.print(
            f"{output}: fx {camera.fx:.1f}, fy {camera.fy:.1f}, cx {camera.cx:.1f}, cy {camera.cy:.1f} px; "
            f"reprojection error {result.rms_px:.3f} px (RMS) over {len(result.views.corners)} views that cover "
            f"{result.coverage:.0%} of the picture"
        )


def _frames(source: Source, max_frames: int | None) -> Iterator[Frame]:
    try:
        source.open()
        yield from islice(iter(source.read, None), max_frames)
    finally:
        source.close()
