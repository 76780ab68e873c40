"""Side data of libav's frames, such as how they are rotated."""

from __future__ import annotations

from contextlib import suppress

import av
from av.sidedata.sidedata import SideDataContainer


def read_side_data(frame: av.VideoFrame, kind: str) -> bytes | None:
    """Returns one kind of a frame's side data, by PyAV's name of it; None where the frame has none."""
    data = _KnownSideData(frame).get(kind)
    return None if data is None else bytes(data)


# Not `frame.side_data`: it and its frame refer to each other, so that only the garbage collector frees them.
class _KnownSideData(SideDataContainer):
    """The side data of a frame up to the first of a kind that PyAV does not know, such as the EXIF of a JPEG."""

    def __init__(self, frame: av.VideoFrame) -> None:
        # In a frame of libav's, the orientation that EXIF states comes as a display matrix before the EXIF itself.
        with suppress(ValueError):
            super().__init__(frame)  # type: ignore[call-arg]  # its stub leaves __init__ out
