"""A real RTSP server for tests: GStreamer's, as a child process on 127.0.0.1.

It needs Debian's gir1.2-gst-rtsp-server-1.0, python3-gi and gstreamer1.0-plugins-{base,good,bad,ugly}, which belong to
the system's Python; hence the second process. Run by hand: /usr/bin/python3 tests/rtsp_server.py PORT [closed]
"""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

SYSTEM_PYTHON = "/usr/bin/python3"
PACKAGES = (
    "gir1.2-gst-rtsp-server-1.0 python3-gi gstreamer1.0-plugins-base gstreamer1.0-plugins-good "
    "gstreamer1.0-plugins-bad gstreamer1.0-plugins-ugly"
)
USER, PASSWORD = "someone", "s3cr3t"
_ROLE = "user"


def missing() -> str:
    """Why no server can be started here; empty when one can."""
    try:
        check = subprocess.run([SYSTEM_PYTHON, __file__, "check"], capture_output=True, timeout=60)
    except OSError as error:
        return f"no system Python: {error}"
    return "" if check.returncode == 0 else f"no GStreamer RTSP server; apt-get install {PACKAGES}"


def free_port() -> int:
    """A TCP port that nothing listens at."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Server:
    """The server's process; can be stopped and started again on the same port."""

    def __init__(self, port: int, *, closed: bool = False) -> None:
        self.port, self.closed = port, closed
        self.address = f"rtsp://127.0.0.1:{port}"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        mode = "closed" if self.closed else "open"
        self._process = subprocess.Popen([SYSTEM_PYTHON, __file__, str(self.port), mode], stdout=subprocess.DEVNULL)
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.05)
        raise RuntimeError("the RTSP server did not start")

    def stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None


@contextmanager
def running(*, closed: bool = False) -> Iterator[Server]:
    """A server with the streams /h264, /mjpeg and /short (one second). `closed`: for USER with PASSWORD only."""
    server = Server(free_port(), closed=closed)
    server.start()
    try:
        yield server
    finally:
        server.stop()


_PICTURES = "videotestsrc is-live=true{limit} ! video/x-raw,width=160,height=120,framerate=15/1 ! "
_H264 = "x264enc tune=zerolatency speed-preset=ultrafast key-int-max=10 ! rtph264pay name=pay0 pt=96 config-interval=1"
_PIPELINES = {
    "/h264": _PICTURES.format(limit="") + _H264,
    "/short": _PICTURES.format(limit=" num-buffers=15") + _H264,
    "/mjpeg": _PICTURES.format(limit="")
    + "videoconvert ! video/x-raw,format=I420 ! jpegenc ! rtpjpegpay name=pay0 pt=26",
}


def _serve(port: str, closed: bool) -> None:
    """Runs in the system's Python."""
    import gi

    gi.require_version("Gst", "1.0")
    gi.require_version("GstRtspServer", "1.0")
    from gi.repository import GLib, Gst, GstRtspServer

    Gst.init(None)
    if port == "check":
        needed = ("x264enc", "rtph264pay", "jpegenc", "videotestsrc")
        sys.exit(any(Gst.ElementFactory.find(name) is None for name in needed))
    server = GstRtspServer.RTSPServer()
    server.set_address("127.0.0.1")
    server.set_service(port)
    if closed:
        server.set_auth(_only_user(GstRtspServer))
    for path, pipeline in _PIPELINES.items():
        server.get_mount_points().add_factory(path, _factory(GstRtspServer, path, pipeline))
    server.attach(None)
    GLib.MainLoop().run()


def _only_user(rtsp):  # type: ignore[no-untyped-def]
    auth, token = rtsp.RTSPAuth(), rtsp.RTSPToken()
    token.set_string("media.factory.role", _ROLE)
    auth.add_basic(rtsp.RTSPAuth.make_basic(USER, PASSWORD), token)
    return auth


def _factory(rtsp, path: str, pipeline: str):  # type: ignore[no-untyped-def]
    factory = rtsp.RTSPMediaFactory()
    factory.set_launch(f"( {pipeline} )")
    factory.set_shared(path != "/short")
    permissions = rtsp.RTSPPermissions()
    for right in ("access", "construct"):
        permissions.add_permission_for_role(_ROLE, f"media.factory.{right}", True)
    factory.set_permissions(permissions)
    return factory


if __name__ == "__main__":
    _serve(sys.argv[1], closed="closed" in sys.argv)
