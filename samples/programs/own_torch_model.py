"""A torch network of one's own as the model of a stream: python own_torch_model.py [SOURCE]."""

import sys
from collections.abc import Sequence

import torch
from torch import nn

import streamdepth as sd


class Brightness(sd.Estimator):
    """Takes bright for near; any network that maps pictures to inverse depth goes in its place."""

    def __init__(self) -> None:
        self.network = nn.AvgPool2d(8)

    @property
    def info(self) -> sd.ModelInfo:
        return sd.ModelInfo("brightness", sd.DepthKind.RELATIVE)

    @torch.inference_mode()
    def estimate(self, frames: Sequence[sd.Frame]) -> list[sd.Estimate]:
        return [sd.Estimate(self._depth(frame)) for frame in frames]

    def _depth(self, frame: sd.Frame) -> sd.DepthMap:
        gray = torch.from_numpy(frame.image.copy()).float().mean(dim=2)
        depth: sd.DepthMap = self.network(gray[None])[0].numpy()
        return depth


def main(source: str = "samples/room.mp4", *, count: int = 5) -> None:
    with sd.stream(source, model=Brightness(), max_frames=count) as frames:
        for item in frames:
            print(item.frame.index, item.depth.shape, item.kind)


if __name__ == "__main__":
    main(*sys.argv[1:2])
