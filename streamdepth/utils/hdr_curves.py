"""Transfer curves of HDR: SMPTE ST 2084 (PQ), and ARIB STD-B67 (HLG, ITU-R BT.2100 with a 1000 cd/m2 display)."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Colors = npt.NDArray[np.float64]
"""(..., 3) RGB."""

REFERENCE_WHITE_NITS, PEAK_NITS = 203.0, 1000.0
"""Luminance of graphics white (ITU-R BT.2408), and of the display that HLG is defined for."""
_M1, _M2 = 2610 / 16384, 2523 / 4096 * 128
_C1, _C2, _C3 = 3424 / 4096, 2413 / 4096 * 32, 2392 / 4096 * 32
_A, _B, _C = 0.17883277, 0.28466892, 0.55991073
_GAMMA = 1.2
_LUMA_BT2020 = np.array([0.2627, 0.6780, 0.0593])


def pq_to_nits(code: Colors) -> Colors:
    """Converts PQ codes 0..1 to luminance in cd/m2 (SMPTE ST 2084)."""
    power = np.power(np.clip(code, 0, 1), 1 / _M2)
    return 10000 * np.power(np.maximum(power - _C1, 0) / (_C2 - _C3 * power), 1 / _M1)


def nits_to_pq(nits: Colors) -> Colors:
    """Converts luminance in cd/m2 to PQ codes 0..1 (SMPTE ST 2084)."""
    power = np.power(np.clip(nits, 0, 10000) / 10000, _M1)
    return np.power((_C1 + _C2 * power) / (1 + _C3 * power), _M2)


def hlg_to_nits(code: Colors) -> Colors:
    """Converts (..., 3) HLG codes 0..1 to luminance in cd/m2 on a display of 1000 cd/m2 (system gamma 1.2)."""
    code = np.clip(code, 0, 1)
    scene = np.where(code <= 0.5, code**2 / 3, (np.exp((code - _C) / _A) + _B) / 12)
    luma = scene @ _LUMA_BT2020
    return np.asarray(PEAK_NITS * scene * np.power(luma, _GAMMA - 1)[..., None])


def nits_to_hlg(nits: Colors) -> Colors:
    """Converts (..., 3) luminance in cd/m2 to the HLG codes 0..1 that give it on a display of 1000 cd/m2."""
    shown = np.clip(nits, 0, None) / PEAK_NITS
    luma = np.maximum(shown @ _LUMA_BT2020, 1e-9)
    scene = shown * np.power(luma, (1 - _GAMMA) / _GAMMA)[..., None]
    bright = _A * np.log(np.maximum(12 * scene - _B, 1e-9)) + _C
    return np.asarray(np.clip(np.where(scene <= 1 / 12, np.sqrt(3 * scene), bright), 0, 1))
