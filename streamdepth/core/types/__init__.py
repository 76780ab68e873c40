"""The values that flow through streamdepth: frames, depth, and what is known of streams and models.

Importing this package loads NumPy and the standard library only.
"""

from streamdepth.core.types.depth import DepthFrame, Estimate
from streamdepth.core.types.frame import Frame, LazyImage, YuvPlanes
from streamdepth.core.types.model import DepthKind, ModelInfo
from streamdepth.core.types.stream_info import StreamInfo

__all__ = ["DepthFrame", "DepthKind", "Estimate", "Frame", "LazyImage", "ModelInfo", "StreamInfo", "YuvPlanes"]
