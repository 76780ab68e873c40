"""Tone mapping from HDR (PQ or HLG) to SDR.

Curves: SMPTE ST 2084 (PQ), ARIB STD-B67 (HLG, ITU-R BT.2100 with a 1000 cd/m2 display), highlights by the EETF of
ITU-R BT.2390, reference white at 203 cd/m2 by ITU-R BT.2408, primaries from BT.2020 to BT.709.
"""

from __future__ import annotations

import os
import tempfile
from fractions import Fraction

import av
import numpy as np
from av.filter import Graph
from av.video.reformatter import ColorTrc

from streamdepth.utils.hdr_curves import PEAK_NITS, REFERENCE_WHITE_NITS, Colors, hlg_to_nits, nits_to_pq, pq_to_nits

CURVES = {int(ColorTrc.SMPTE2084): "PQ", int(ColorTrc.ARIB_STD_B67): "HLG"}
"""Names of the HDR transfer curves by libav's number."""

FORMAT = "gbrp16le"
"""Pixel format of the frames that `ToneMapper.map` takes."""

_TO_BT709 = np.array([[1.6605, -0.5876, -0.0728], [-0.1246, 1.1329, -0.0083], [-0.0182, -0.1006, 1.1187]])


def tone_map(code: Colors, curve: str) -> Colors:
    """Converts (..., 3) BT.2020 codes 0..1 on `curve` ("PQ" or "HLG") to (..., 3) sRGB codes 0..1."""
    nits = pq_to_nits(code) if curve == "PQ" else hlg_to_nits(code)
    brightest = np.maximum(nits.max(-1, keepdims=True), 1e-6)
    linear = nits * (_eetf(brightest) / brightest) / REFERENCE_WHITE_NITS
    return _to_srgb(np.clip(linear @ _TO_BT709.T, 0, 1))


def _eetf(nits: Colors) -> Colors:
    """Compresses highlights by the EETF of BT.2390: the peak becomes reference white, and shadows do not change."""
    peak, white = nits_to_pq(np.array([PEAK_NITS, REFERENCE_WHITE_NITS]))
    limit = white / peak
    knee = 1.5 * limit - 0.5
    code = np.minimum(nits_to_pq(nits) / peak, 1)
    t = np.clip((code - knee) / (1 - knee), 0, 1)
    spline = (2 * t**3 - 3 * t**2 + 1) * knee + (t**3 - 2 * t**2 + t) * (1 - knee) + (3 * t**2 - 2 * t**3) * limit
    return pq_to_nits(np.where(code < knee, code, spline) * peak)


def _to_srgb(linear: Colors) -> Colors:
    return np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * np.power(linear, 1 / 2.4) - 0.055)


class ToneMapper:
    """Applies `tone_map` to whole frames by libavfilter's `lut3d`, a table of 33 levels a color, in milliseconds."""

    _LEVELS = 33

    def __init__(self, curve: str, width: int, height: int) -> None:
        self.key = curve, width, height
        """The curve and the size in px that it was made for."""
        path = self._write_cube(curve)
        try:
            self._graph = self._build(path, width, height)
        finally:
            os.unlink(path)

    def _write_cube(self, curve: str) -> str:
        level = np.linspace(0, 1, self._LEVELS)
        blue, green, red = np.meshgrid(level, level, level, indexing="ij")
        table = tone_map(np.stack([red, green, blue], -1).reshape(-1, 3), curve)
        with tempfile.NamedTemporaryFile("w", suffix=".cube", delete=False) as file:
            file.write(f"LUT_3D_SIZE {self._LEVELS}\n")
            np.savetxt(file, table, fmt="%.6f")
        return file.name

    def _build(self, path: str, width: int, height: int) -> Graph:
        graph = Graph()
        nodes = (
            graph.add_buffer(width=width, height=height, format=av.VideoFormat(FORMAT), time_base=Fraction(1, 1000)),
            graph.add("lut3d", file=path),
            graph.add("format", "rgb24"),
            graph.add("buffersink"),
        )
        graph.link_nodes(*nodes)
        graph.configure()
        return graph

    def map(self, frame: av.VideoFrame) -> av.VideoFrame:
        """Returns a frame of FORMAT, which has this mapper's size, as rgb24."""
        self._graph.push(frame)
        mapped = self._graph.pull()
        assert isinstance(mapped, av.VideoFrame)
        return mapped
