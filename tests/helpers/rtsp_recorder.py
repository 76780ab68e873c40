"""A real RTSP server that records streams, for tests: GStreamer's, as a child process on 127.0.0.1.

What is sent to /live is written as it comes, as MPEG-TS. Run by hand:
PYTHONPATH=tests /usr/bin/python3 tests/helpers/rtsp_recorder.py PORT FILE [closed]. It needs what `rtsp_server` needs.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from helpers.paths import TESTS
from helpers.rtsp_server import PASSWORD, SYSTEM_PYTHON, USER, free_port


@contextmanager
def recording(path: Path, *, closed: bool = False) -> Iterator[str]:
    """Runs a server that writes to `path`, and yields its address. `closed`: only USER with PASSWORD may send."""
    port = free_port()
    mode = "closed" if closed else "open"
    command = [SYSTEM_PYTHON, __file__, str(port), str(path), mode]
    environment = {**os.environ, "PYTHONPATH": str(TESTS)}
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.05)
        yield f"rtsp://127.0.0.1:{port}/live"
    finally:
        process.kill()
        process.wait()


def _serve(port: str, path: str, closed: bool) -> None:
    """Runs the server; called in the system's Python."""
    import gi

    gi.require_version("Gst", "1.0")
    gi.require_version("GstRtsp", "1.0")
    gi.require_version("GstRtspServer", "1.0")
    from gi.repository import GLib, Gst, GstRtsp, GstRtspServer

    Gst.init(None)
    server, factory = GstRtspServer.RTSPServer(), GstRtspServer.RTSPMediaFactory()
    server.set_address("127.0.0.1")
    server.set_service(port)
    factory.set_launch(
        f"( rtph264depay name=depay0 ! h264parse ! mpegtsmux ! filesink buffer-mode=2 sync=false location={path} )"
    )
    factory.set_transport_mode(GstRtspServer.RTSPTransportMode.RECORD)
    if closed:
        auth, token = GstRtspServer.RTSPAuth(), GstRtspServer.RTSPToken()
        token.set_string("media.factory.role", "user")
        auth.set_supported_methods(GstRtsp.RTSPAuthMethod.DIGEST)
        auth.add_digest(USER, PASSWORD, token)
        server.set_auth(auth)
        permissions = GstRtspServer.RTSPPermissions()
        for right in ("access", "construct"):
            permissions.add_permission_for_role("user", f"media.factory.{right}", True)
        factory.set_permissions(permissions)
    server.get_mount_points().add_factory("/live", factory)
    server.attach(None)
    GLib.MainLoop().run()


if __name__ == "__main__":
    _serve(sys.argv[1], sys.argv[2], closed="closed" in sys.argv)
