"""Starts and controls the process that sends a video to a server (`sender`), for `PushSink`."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import time
from fractions import Fraction
from typing import TYPE_CHECKING

from streamdepth.core.live_sound import SoundPacket
from streamdepth.sinks.sender import HEAD_FORMAT, TIME_BASE, SenderJob
from streamdepth.utils.redact import redact_text

if TYPE_CHECKING:
    import av

_REASONS = {
    "ConnectionRefusedError": "nothing listens at that address and port; check both",
    "HTTPUnauthorizedError": "user name or password is missing or wrong (401); put them in the address, as in "
    "rtsp://USER:PASSWORD@HOST/PATH",
    "HTTPForbiddenError": "access is forbidden (403); check the rights of the user",
    "HTTPNotFoundError": "there is no such path (404)",
    "ProtocolNotFoundError": "FFmpeg here does not know such addresses; PyAV's wheels come without SRT, a PyAV built "
    "with it has it",
}


class ConnectionLostError(Exception):
    """The connection to the server was lost, or could not be made; the message has the reason without secrets."""


class SenderProcess:
    """A process of the module `sender` with its connection; it raises ConnectionLostError, also from `send`."""

    def __init__(self, job: SenderJob) -> None:
        self._job, self._first_time, self._last_pts, self._last_sound_pts = job, Fraction(0), -1, -1
        command = [sys.executable, "-m", "streamdepth.sinks.sender"]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._input, self._output = self._process.stdin, self._process.stdout
        self._write(json.dumps(job).encode() + b"\n")
        answer = self._output.readline()
        if answer != b"ready\n":
            self.kill()
            raise ConnectionLostError(self._reason(answer))
        self._connected_at = time.monotonic()

    @property
    def age_seconds(self) -> float:
        """Seconds since the connection was made."""
        return time.monotonic() - self._connected_at

    def send(self, frame: av.VideoFrame, time_seconds: Fraction) -> None:
        """Sends a frame that is shown from `time_seconds` on; waits while the server is slow."""
        if self._last_pts < 0:
            self._first_time = time_seconds
        self._last_pts = max(self._last_pts + 1, round((time_seconds - self._first_time) / TIME_BASE))
        self._write(HEAD_FORMAT.pack(self._last_pts, 0, 0) + frame.to_ndarray().tobytes())

    def send_sound(self, packet: SoundPacket) -> None:
        """Sends a packet of sound; packets before the first picture are left out."""
        pts = round((packet.time - self._first_time) / TIME_BASE)
        if pts > self._last_sound_pts:
            self._last_sound_pts = pts
            duration = round(packet.duration / TIME_BASE)
            self._write(HEAD_FORMAT.pack(pts, duration, len(packet.data)) + packet.data)

    def _write(self, data: bytes) -> None:
        try:
            self._input.write(data)
            self._input.flush()
        except OSError:
            answer = self._output.readline()
            self.kill()
            raise ConnectionLostError(self._reason(answer)) from None

    def _reason(self, answer: bytes) -> str:
        """Returns the reason for a failure in words, from the line that the process wrote."""
        kind, _, text = answer.decode(errors="replace").strip().partition(" ")
        if not kind:
            return f"no answer in {self._job['timeout_seconds']:g} seconds"
        return _REASONS.get(kind) or redact_text(text)

    def close(self) -> None:
        """Sends the remaining frames and ends the process, which is killed if that takes too long."""
        with contextlib.suppress(OSError, subprocess.TimeoutExpired):
            self._input.close()
            self._process.wait(self._job["timeout_seconds"])
        self.kill()

    def kill(self) -> None:
        """Ends the process at once. Idempotent."""
        self._process.kill()
        self._process.wait()
        for pipe in (self._input, self._output):
            with contextlib.suppress(OSError):  # what was buffered cannot be passed on any more
                pipe.close()
