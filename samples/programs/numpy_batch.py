"""Estimates the depth of arrays in memory with one loaded model: python numpy_batch.py."""

import numpy as np

import streamdepth as sd


def main() -> None:
    rng = np.random.default_rng(0)
    pictures = [rng.integers(0, 256, (240, 320, 3), dtype=np.uint8) for _ in range(4)]  # BGR, as OpenCV reads them
    with sd.load_model("nano", size=96) as model:
        for depth in model(pictures, color="bgr"):
            near = np.unravel_index(np.nanargmax(depth.predicted_depth), depth.predicted_depth.shape)
            print(depth.predicted_depth.shape, depth.kind, "nearest at row and column", near)


if __name__ == "__main__":
    main()
