"""Opening of untrusted media containers, and the choice of the video stream in one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from av.stream import Disposition

if TYPE_CHECKING:
    from av.codec.hwaccel import HWAccel
    from av.container import InputContainer
    from av.packet import Packet
    from av.video.stream import VideoStream


class SupportsRead(Protocol):
    """A file object that can be read."""

    def read(self, size: int = -1, /) -> bytes:
        """Returns up to `size` bytes; b"" at the end."""


_MAX_PIXELS = 16384 * 8704
"""Limit for the pictures that libav decodes while it analyzes a file: that of videos in `sources.limits`."""
_CONTAINERS = (
    "mov,matroska,avi,mpegts,mpeg,flv,live_flv,asf,asf_o,ogg,mxf,nut,wtv,rm,dv,gxf,ivf,avif,swf,nsv,nuv,pva,dhav,kux,"
    "xmv,bink,smk,roq,amv,film_cpk,flic,4xm,thp,mtv,cine,ser,ty,lvf,lxf,moflex,yuv4mpegpipe,gif,apng,webp,mpjpeg,"
    "smjpeg,ingenient,wc3movie,vmd,idcin,mpegtsraw"
)
_ELEMENTARY_STREAMS = (
    "h261,h263,h264,hevc,vvc,evc,av1,obu,m4v,mpegvideo,mjpeg,mjpeg_2000,vc1,vc1test,dirac,dnxhd,cavsvideo,avs2,avs3,apv"
)
_PICTURES = "png_pipe,jpeg_pipe,bmp_pipe,tiff_pipe,webp_pipe,gif_pipe,ppm_pipe,pgm_pipe,pbm_pipe,pam_pipe,exr_pipe"
_SOUND = (
    "wav,w64,mp3,aac,flac,ac3,eac3,ac4,aiff,caf,amr,ape,au,dts,dtshd,truehd,tta,wv,mpc,mpc8,oma,aa,aax,apac,loas,latm"
)
FILE_FORMATS = ",".join((_CONTAINERS, _ELEMENTARY_STREAMS, _PICTURES, _SOUND))
"""libav's names of the formats that a file may have. Each is self-contained.

Formats are left out if they refer to other files or addresses (HLS, DASH, concat, SDP, numbered pictures, VobSub...),
or are scripts or texts.
"""
NETWORK_FORMATS = FILE_FORMATS + ",hls,dash,rtsp,rtp,rtp_mpegts,sdp,sap,webvtt,ttml"
"""libav's names of the formats that may come over a network."""
_CODECS_OF_ANY_ORDER = {"h264", "hevc", "vvc"}
"""Codecs for which libav cannot tell from the decoding times when a picture is shown."""
_NETWORK_PROTOCOLS = (
    "http,https,httpproxy,tls,tcp,udp,udplite,rtp,srtp,rtsp,rtsps,rtmp,rtmps,rtmpt,rtmpts,rtmpe,rtmpte,ffrtmphttp,"
    "ffrtmpcrypt,srt,rist,sctp,crypto,data,mmsh,mmst,gopher,gophers,ftp"
)
"""libav's protocols that a stream from a network may use, also in its playlists; `file` is never among them."""


def file_url(path: str | Path) -> str:
    """Returns the URL by which FFmpeg opens this file, since it would take a name with a colon for a protocol."""
    return f"file:{path}"


def file_options() -> dict[str, str]:
    """Returns libav's options for an untrusted file: one format of FILE_FORMATS, and nothing but the file itself."""
    return {"protocol_whitelist": "file", "format_whitelist": FILE_FORMATS, "max_pixels": str(_MAX_PIXELS)}


def network_options() -> dict[str, str]:
    """Returns libav's options for an untrusted stream from a network: nothing in it may lead to a file."""
    return {
        "protocol_whitelist": _NETWORK_PROTOCOLS,
        "format_whitelist": NETWORK_FORMATS,
        "max_pixels": str(_MAX_PIXELS),
    }


def open_media_file(path: str | Path, hwaccel: HWAccel | None = None) -> InputContainer:
    """Opens an untrusted local media file. Raises FFmpegError, OSError or ValueError.

    Texts that lead to other files, such as playlists, are refused as unknown formats. hwaccel: decodes on a GPU.
    """
    import av

    return av.open(file_url(path), options=file_options(), metadata_errors="replace", hwaccel=hwaccel)


def open_media_stream(file: SupportsRead) -> InputContainer:
    """Opens media that come through a pipe, by a file object that is only read. Raises as `open_media_file`."""
    import av

    return av.open(file, "r", options=file_options(), metadata_errors="replace")


def demux(container: InputContainer) -> Iterator[Packet[Any]]:
    """Yields the packets of all tracks that were found when the container was opened, and those that flush decoders.

    Raises FFmpegError, and at the end ValueError if more tracks began in the middle: PyAV cannot read these.
    """
    packets = container.demux()
    try:
        yield from _undelayed(packets) if container.format.name == "avi" else packets
    except IndexError as error:  # PyAV's, when it looks for the tracks that libav has added
        raise ValueError(
            "the tracks that begin in its middle, as in joined recordings, cannot be read; convert its parts one by one"
        ) from error


def _undelayed(packets: Iterator[Packet[Any]]) -> Iterator[Packet[Any]]:
    """Yields the packets of an AVI, which stores no presentation times, so that the first picture is shown at once.

    libav makes such times up, later by the delay of the decoder. Where it does not know the order of the pictures they
    become the decoding times.
    """
    delays: dict[int, int] = {}
    for packet in packets:
        if packet.stream.type == "video" and packet.pts is not None and packet.dts is not None:
            delay = delays.setdefault(packet.stream.index, packet.pts - packet.dts)
            packet.pts = packet.dts if has_unknown_order(packet.stream) else packet.pts - delay
        yield packet


def has_unknown_order(stream: VideoStream) -> bool:
    """True for a track whose packets, from `demux`, have decoding times only, as presentation times: H.264 in AVI."""
    context = stream.codec_context  # None for an unknown codec
    return stream.container.format.name == "avi" and context is not None and context.name in _CODECS_OF_ANY_ORDER


def main_video_stream(container: InputContainer) -> VideoStream | None:
    """Returns the video stream that libav prefers, never a cover picture; None where there is no video."""
    videos = [s for s in container.streams.video if not s.disposition & Disposition.attached_pic]
    best = container.streams.best("video")
    return next((s for s in videos if s is best), videos[0] if videos else None)
