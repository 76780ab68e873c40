"""Conversion of AAC packets from transport streams to the form that containers need."""

from __future__ import annotations

_RATES = (96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000, 7350)


def audio_specific_config(rate: int, channels: int) -> bytes:
    """Returns the AudioSpecificConfig (ISO 14496-3) of AAC LC. Raises ValueError for a rate that AAC does not have.

    >>> audio_specific_config(48000, 2).hex()
    '1190'
    """
    if rate not in _RATES:
        raise ValueError(f"AAC has no sample rate of {rate} Hz")
    bits = 2 << 11 | _RATES.index(rate) << 7 | (7 if channels == 8 else channels) << 3
    return bits.to_bytes(2, "big")


def without_adts(data: bytes) -> bytes:
    """Returns a packet of AAC without its ADTS header (ISO 13818-7, 6.2), which MPEG-TS puts before each.

    >>> without_adts(bytes.fromhex("fff150801c1ffc") + b"sound")
    b'sound'
    """
    if len(data) < 9 or data[0] != 0xFF or data[1] & 0xF6 != 0xF0:
        return data
    return data[7 if data[1] & 1 else 9 :]
