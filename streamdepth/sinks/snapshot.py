"""One frame with its depth as three files: the picture, the picture with depth drawn over it, and the depth itself."""

from __future__ import annotations

from pathlib import Path

from PIL import Image as Pillow

from streamdepth.core.render_options import RenderOptions
from streamdepth.core.types import DepthFrame
from streamdepth.render.overlay import render
from streamdepth.sinks.images import write_depth_image
from streamdepth.sinks.pending_files import atomic_write


def write_snapshot_files(item: DepthFrame, base: Path, options: RenderOptions) -> list[Path]:
    """Writes BASE.png (the picture), BASE_view.jpg (with depth drawn by `options`) and BASE_depth.png (16 bits).

    Returns the three paths. Raises SinkError.
    """
    picture, view, depth = (base.with_name(base.name + suffix) for suffix in (".png", "_view.jpg", "_depth.png"))
    with atomic_write(picture) as temporary:
        Pillow.fromarray(item.frame.image).save(temporary, compress_level=3)
    with atomic_write(view) as temporary:
        Pillow.fromarray(render(item, options)).save(temporary, quality=92)
    write_depth_image(depth, item.at_frame_size(), item.kind, text={"time": f"{item.frame.time:.6f}"})
    return [picture, view, depth]
