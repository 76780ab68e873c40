"""The screen as a source (`screen:`)."""

from __future__ import annotations

import os
import sys

from streamdepth.core.errors import SourceOpenError
from streamdepth.sources.decoder import FrameDecoder
from streamdepth.sources.libav_device import LibavDeviceSource, has_device

_FPS = "30"
_GRABBERS = {"linux": "x11grab", "win32": "gdigrab", "darwin": "avfoundation"}


class ScreenSource(LibavDeviceSource):
    """A live source of the pictures on the screen.

    `screen:` may name the X display (`screen::0.0`) or, on Windows, a window (`screen:title=Calculator`).
    """

    is_live = True

    def _open_decoder(self, details: str) -> FrameDecoder:
        grabber = _GRABBERS.get(sys.platform, "")
        if not has_device(grabber):
            raise SourceOpenError(
                f"{self.name}: this build of PyAV cannot grab the screen ({grabber or sys.platform} is missing); "
                "record it to a file first, or install a PyAV whose FFmpeg has that device",
                code="no-screen-grabber",
            )
        display = os.environ.get("DISPLAY", "")
        if grabber == "x11grab" and not (details or display):
            raise SourceOpenError(
                f"{self.name}: there is no X display here (DISPLAY is not set); give one: screen::0.0",
                code="no-display",
            )
        default = {"x11grab": display, "gdigrab": "desktop", "avfoundation": "Capture screen 0:none"}
        return self._open_device(details or default[grabber], grabber, {"framerate": _FPS})
