"""The memory of Video Depth Anything in streaming mode: a ring of fixed size for one stream.

The published network was trained on clips of 32 frames whose temporal attention sees all frames of a clip. For streams,
its authors keep the inputs of each temporal attention and attend from the newest frame to a made-up clip: the first
frame, the one 41 frames ago, the last 29 and the newest. Frames from before the first are the first one again.
"""

from __future__ import annotations

from torch import Tensor, nn

CLIP_LENGTH = 32
"""Frames of a clip, and positions that the network knows."""
_REACH = 41
"""Age in frames of the oldest frame but the first that is attended to."""
_RECENT = CLIP_LENGTH - 3
"""Number of frames before the newest that are attended to, besides the first and the one `_REACH` frames ago."""
_RING = _REACH + 1
SLOTS = 1 + _RING
"""Frames that are remembered: the first, and the newest `_RING`."""


class StreamMemory:
    """The features that a network remembers of one stream. It takes all its room at the first frame, and no more later.

    For each frame, `begin_frame` is called once, and then `remember` once by each temporal attention.
    """

    def __init__(self) -> None:
        self.frame_count = 0
        """Frames that were seen."""
        self.positions: list[int] = []
        """The position in the clip, 0 to 31, of each of the `SLOTS` slots; -1 for one that is not attended to."""
        self._rings: dict[nn.Module, Tensor] = {}

    @property
    def size_bytes(self) -> int:
        """The room that it takes."""
        return sum(ring.numel() * ring.element_size() for ring in self._rings.values())

    @property
    def newest_position(self) -> int:
        """The position of the newest frame in the clip: the last, or the first where nothing is remembered yet."""
        return 0 if self.frame_count == 1 else CLIP_LENGTH - 1

    def begin_frame(self) -> None:
        """Goes on to the next frame, which takes the place of the oldest."""
        self.frame_count += 1
        self.positions = [self._position(slot) for slot in range(SLOTS)]

    def _slot(self) -> int:
        return 1 + (self.frame_count - 1) % _RING

    def _position(self, slot: int) -> int:
        age = (self._slot() - slot) % _RING
        if self.frame_count == 1:
            return 0 if slot == self._slot() else -1
        if slot == 0:
            return 0
        if age == _REACH:
            return 1
        return CLIP_LENGTH - 1 - age if age <= _RECENT else -1

    def remember(self, owner: nn.Module, states: Tensor) -> Tensor:
        """Stores the newest input of a temporal attention, (pixels, channels).

        Returns all that is remembered of its inputs by slot, (pixels, SLOTS, channels), without a copy.
        """
        if owner not in self._rings:
            self._rings[owner] = states[:, None].repeat(1, SLOTS, 1)
        ring = self._rings[owner]
        ring[:, self._slot()] = states
        return ring
