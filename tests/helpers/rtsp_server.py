"""A real RTSP server for tests: GStreamer's, as a child process on 127.0.0.1.

It needs Debian's gir1.2-gst-rtsp-server-1.0, python3-gi and gstreamer1.0-plugins-{base,good,bad,ugly}, which belong to
the system's Python; hence the second process.
Run by hand: /usr/bin/python3 tests/helpers/rtsp_server.py PORT [WIDTHxHEIGHT [basic|digest [FOLDER [MOVIE]]]]
"""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

SYSTEM_PYTHON = "/usr/bin/python3"
PACKAGES = (
    "gir1.2-gst-rtsp-server-1.0 python3-gi gstreamer1.0-plugins-base gstreamer1.0-plugins-good "
    "gstreamer1.0-plugins-bad gstreamer1.0-plugins-ugly"
)
USER, PASSWORD = "someone", "s3cr3t"
_ROLE = "user"


def unavailable_reason() -> str:
    """Returns why no server can be started here, in words; empty when one can."""
    try:
        check = subprocess.run([SYSTEM_PYTHON, __file__, "check"], capture_output=True, timeout=60)
    except OSError as error:
        return f"no system Python: {error}"
    return "" if check.returncode == 0 else f"no GStreamer RTSP server; apt-get install {PACKAGES}"


def free_port() -> int:
    """Returns a TCP port that nothing listens at."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def start_thread(work: Callable[[], None]) -> threading.Thread:
    """Starts a daemon thread, which does not keep pytest alive after a test that failed."""
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    return thread


class Server:
    """The process of a server, which can be stopped, frozen and started again on the same port.

    Args:
        closed: "basic" or "digest": only USER with PASSWORD may read.
        size: (width, height) in px of its pictures.
        clip: a folder with 000.jpg, 001.jpg... to send in a loop instead of test pictures.
        movie: a .mov of H.264 and PCM, which /movie sends with its sound as AAC, and /call as 8 kHz PCMU.
    """

    def __init__(
        self,
        port: int,
        *,
        closed: str = "",
        size: tuple[int, int] = (160, 120),
        clip: Path | None = None,
        movie: Path | None = None,
    ) -> None:
        self.port, self.closed, self.size, self.clip, self.movie = port, closed, size, clip, movie
        self.address = f"rtsp://127.0.0.1:{port}"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Starts the process, and returns once it listens."""
        options = [f"{self.size[0]}x{self.size[1]}", self.closed, str(self.clip or ""), str(self.movie or "")]
        command = [SYSTEM_PYTHON, __file__, str(self.port), *options]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.02)
        raise RuntimeError("the RTSP server did not start")

    def freeze(self) -> None:
        """Stops the process by a signal: it neither sends nor answers, and its connections stay open."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Lets a frozen process go on."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def stop(self) -> None:
        """Kills the process."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None


@contextmanager
def running(
    *, closed: str = "", size: tuple[int, int] = (160, 120), clip: Path | None = None, movie: Path | None = None
) -> Iterator[Server]:
    """Runs a server with the streams /h264, /h265, /mjpeg and /short (one second of H.264), and those of a movie."""
    server = Server(free_port(), closed=closed, size=size, clip=clip, movie=movie)
    server.start()
    try:
        yield server
    finally:
        server.stop()


_TEST = "videotestsrc is-live=true pattern=ball{limit} ! video/x-raw,framerate=15/1,width={width},height={height} ! "
_CLIP = (
    "multifilesrc location={clip}/%03d.jpg loop=true caps=image/jpeg,framerate=15/1 ! jpegdec ! videoscale ! "
    "videoconvert ! video/x-raw,format=I420,width={width},height={height} ! "
)
_CODED = {
    "/h264": "x264enc tune=zerolatency speed-preset=ultrafast key-int-max=10 ! rtph264pay name=pay0 pt=96 "
    "config-interval=1",
    "/h265": "x265enc tune=zerolatency speed-preset=ultrafast key-int-max=10 log-level=none ! h265parse ! "
    "rtph265pay name=pay0 pt=96 config-interval=1",
    "/mjpeg": "videoconvert ! video/x-raw,format=I420 ! jpegenc ! rtpjpegpay name=pay0 pt=26",
}
_MOVIE = (
    "filesrc location={movie} ! qtdemux name=demux demux. ! queue ! h264parse ! rtph264pay name=pay0 pt=96 "
    "config-interval=1 demux. ! queue ! audioconvert ! audioresample ! "
)
_SOUND = {
    "/movie": "voaacenc ! aacparse ! rtpmp4gpay name=pay1 pt=97",
    "/call": "audio/x-raw,rate=8000,channels=1 ! mulawenc ! rtppcmupay name=pay1 pt=0",
}


def _pipelines(size: str, clip: str, movie: str) -> dict[str, str]:
    width, height = size.split("x")
    values = {"limit": "", "width": width, "height": height, "clip": clip}
    pictures = (_CLIP if clip else _TEST).format_map(values)
    short = _TEST.format_map(values | {"limit": " num-buffers=15"})
    found = {path: pictures + coded for path, coded in _CODED.items()} | {"/short": short + _CODED["/h264"]}
    return found | {path: _MOVIE.format(movie=movie) + sound for path, sound in _SOUND.items() if movie}


def _serve(port: str, size: str = "160x120", closed: str = "", clip: str = "", movie: str = "") -> None:
    """Runs the server; called in the system's Python."""
    import gi

    gi.require_version("Gst", "1.0")
    gi.require_version("GstRtsp", "1.0")
    gi.require_version("GstRtspServer", "1.0")
    from gi.repository import GLib, Gst, GstRtsp, GstRtspServer

    Gst.init(None)
    if port == "check":
        needed = ("x264enc", "x265enc", "rtph264pay", "rtph265pay", "jpegenc", "jpegdec", "videotestsrc")
        sys.exit(any(Gst.ElementFactory.find(name) is None for name in needed))
    server = GstRtspServer.RTSPServer()
    server.set_address("127.0.0.1")
    server.set_service(port)
    if closed:
        server.set_auth(_only_user(GstRtspServer, GstRtsp, closed))
    for path, pipeline in _pipelines(size, clip, movie).items():
        server.get_mount_points().add_factory(path, _factory(GstRtspServer, path, pipeline))
    server.attach(None)
    GLib.MainLoop().run()


def _only_user(rtsp, methods, how: str):  # type: ignore[no-untyped-def]
    auth, token = rtsp.RTSPAuth(), rtsp.RTSPToken()
    token.set_string("media.factory.role", _ROLE)
    if how == "digest":
        auth.set_supported_methods(methods.RTSPAuthMethod.DIGEST)
        auth.add_digest(USER, PASSWORD, token)
    else:
        auth.add_basic(rtsp.RTSPAuth.make_basic(USER, PASSWORD), token)
    return auth


def _factory(rtsp, path: str, pipeline: str):  # type: ignore[no-untyped-def]
    factory = rtsp.RTSPMediaFactory()
    factory.set_launch(f"( {pipeline} )")
    factory.set_shared(path != "/short" and path not in _SOUND)
    permissions = rtsp.RTSPPermissions()
    for right in ("access", "construct"):
        permissions.add_permission_for_role(_ROLE, f"media.factory.{right}", True)
    factory.set_permissions(permissions)
    return factory


if __name__ == "__main__":
    _serve(*sys.argv[1:])
