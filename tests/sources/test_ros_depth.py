"""Depth images of ROS in every encoding with exact values, and the layouts of RealSense's, OAK's and ZED's bags."""

from __future__ import annotations

import struct
from typing import Any

import cv2
import numpy as np
import pytest
from helpers import bags
from helpers.errors import raises_code

from streamdepth import factory
from streamdepth.config import Settings, make
from streamdepth.core.errors import ConfigError, SourceOpenError
from streamdepth.sources.ros_depth import decode_depth, depth_encoding
from streamdepth.sources.rosbag import RosbagSource

MILLIMETERS = np.zeros((32, 48), np.uint16)
MILLIMETERS[4:, :40] = np.arange(28 * 40).reshape(28, 40) * 37 + 400
METERS = np.where(MILLIMETERS > 0, MILLIMETERS / np.float32(1000), np.nan).astype(np.float32)


def compressed_depth(encoding: str, method: str, data: bytes, a: float = 0.0, b: float = 0.0) -> Any:
    message = bags.compressed(0)
    message.format = f"{encoding}; compressedDepth{method}"
    message.data = np.frombuffer(struct.pack("<iff", 0, a, b) + data, np.uint8)
    return message


def png(values: np.ndarray) -> bytes:
    return cv2.imencode(".png", values)[1].tobytes()


def rvl(values: np.ndarray) -> bytes:
    """Encodes as Wilson's paper describes it, number by number."""
    nibbles: list[int] = []

    def put(number: int) -> None:
        while True:
            nibbles.append(number & 7 | (8 if number >> 3 else 0))
            number >>= 3
            if not number:
                return

    flat, at, previous = values.ravel().tolist(), 0, 0
    while at < len(flat):
        start = at
        while at < len(flat) and not flat[at]:
            at += 1
        put(at - start)
        start = at
        while at < len(flat) and flat[at]:
            at += 1
        put(at - start)
        for value in flat[start:at]:
            difference = value - previous
            put(2 * difference if difference >= 0 else -2 * difference - 1)
            previous = value
    nibbles += [0] * (-len(nibbles) % 8)
    words = [sum(n << (28 - 4 * i) for i, n in enumerate(nibbles[k : k + 8])) for k in range(0, len(nibbles), 8)]
    return struct.pack(f"<II{len(words)}I", values.shape[1], values.shape[0], *words)


@pytest.mark.parametrize(
    "message",
    [
        bags.image(0, "16UC1", MILLIMETERS),
        bags.image(0, "mono16", MILLIMETERS),
        bags.image(0, "32FC1", METERS),
        bags.image(0, "64FC1", METERS.astype(np.float64)),
        bags.image(0, "16UC1", np.pad(MILLIMETERS, ((0, 0), (0, 5)))),
        compressed_depth("16UC1", " png", png(MILLIMETERS)),
        compressed_depth("16UC1", "", png(MILLIMETERS)),
        compressed_depth("16UC1", " rvl", rvl(MILLIMETERS)),
    ],
    ids=["16UC1", "mono16", "32FC1", "64FC1", "padded", "png", "old png", "rvl"],
)
def test_depth_is_meters(message) -> None:
    np.testing.assert_allclose(decode_depth(message), METERS, rtol=1e-6)


def test_big_endian_and_other_units() -> None:
    message = bags.image(0, "16UC1", MILLIMETERS.astype(">u2"))
    message.is_bigendian = 1
    np.testing.assert_allclose(decode_depth(message, 0.0001), METERS / 10, rtol=1e-6)
    np.testing.assert_allclose(decode_depth(bags.image(0, "32FC1", METERS), 0.0001), METERS)


@pytest.mark.parametrize(("method", "encode"), [(" png", png), (" rvl", rvl)])
def test_quantized_floats_are_inverse_depth(method, encode) -> None:
    """As the encoder of compressed_depth_image_transport writes them, with its defaults of 100 and 10 m."""
    a, farthest = 100 * 101.0, 10.0
    b = 1 - a / farthest
    near = np.nan_to_num(METERS, nan=np.inf) < farthest
    quantized = np.where(near, a / np.where(near, METERS, 1) + b, 0).astype(np.uint16)
    found = decode_depth(compressed_depth("32FC1", method, encode(quantized), a, b))
    np.testing.assert_array_equal(np.isfinite(found), near)
    np.testing.assert_allclose(found[near], METERS[near], rtol=2e-3)


@pytest.mark.parametrize(
    "message",
    [
        compressed_depth("16UC1", " rvl", rvl(MILLIMETERS)[:300]),
        compressed_depth("16UC1", " rvl", struct.pack("<II", 2**20, 2**20)),
        compressed_depth("16UC1", " rvl", struct.pack("<II", 48, 32) + b"\xff" * 200),
        compressed_depth("16UC1", " rvl", b"abc"),
        compressed_depth("16UC1", " png", b"no picture"),
        compressed_depth("16UC1", " png", png(np.zeros((4, 4, 3), np.uint8))),
        bags.image(0, "16UC1", MILLIMETERS[:9], size=(48, 32)),
        bags.image(0),
    ],
)
def test_what_is_no_depth_is_refused(message) -> None:
    with pytest.raises(ValueError, match=r"its d|holds no depth"):
        decode_depth(message)


def test_only_depth_is_taken_for_depth() -> None:
    mono16, color = bags.image(0, "mono16", MILLIMETERS), bags.image(0)
    assert depth_encoding(mono16, "/device_0/sensor_0/Depth_0/image/data") == "mono16"
    assert depth_encoding(mono16, "/thermal/image_raw") is None
    assert depth_encoding(color, "/camera/depth/preview") is None
    assert depth_encoding(bags.image(0, "16UC1", MILLIMETERS), "/oak/stereo/image_raw") == "16UC1"


def test_the_layout_of_realsenses_own_recorder(tmp_path) -> None:
    color, depth = "/device_0/sensor_1/Color_0", "/device_0/sensor_0/Depth_0"
    topics = {
        f"{depth}/image/data": [bags.image(0, "mono16", MILLIMETERS)],
        f"{depth}/info/camera_info": [bags.camera_info(k=np.array([99.0, 0, 23, 0, 99, 15, 0, 0, 1]))],
        f"{color}/image/data": [bags.image(0)],
        f"{color}/info/camera_info": [bags.camera_info()],
    }
    bag = bags.write_bag(tmp_path / "bag", topics)
    info = RosbagSource(bag).open()
    assert info.name.endswith(f"{color}/image/data")
    assert info.intrinsics.fx == 40
    with raises_code(SourceOpenError, "holds-depth", naming="--depth-from"):
        RosbagSource(bag, f"{depth}/image/data").open()


@pytest.mark.parametrize(
    ("image", "info"),
    [
        ("/camera/camera/color/image_raw", "/camera/camera/color/camera_info"),
        ("/oak/rgb/image_raw", "/oak/rgb/camera_info"),
        ("/zed/zed_node/rgb/image_rect_color", "/zed/zed_node/rgb/camera_info"),
        ("/zed/zed_node/rgb/color/rect/image", "/zed/zed_node/rgb/color/rect/camera_info"),
        ("/cam/image", "/cam/image/camera_info"),
        ("/front/image_raw", "/calibration/of_front"),
    ],
)
def test_the_camera_is_found_beside_the_pictures_or_by_its_frame(tmp_path, image, info) -> None:
    other = bags.camera_info(header=bags.header(0, "other_frame"), k=np.array([7.0, 0, 1, 0, 7, 1, 0, 0, 1]))
    bag = bags.write_bag(
        tmp_path / "bag", {image: [bags.image(0)], "/a/other/info": [other], info: [bags.camera_info()]}
    )
    found = RosbagSource(bag).open().intrinsics
    assert found.fx == (38 if "rect" in image else 40)


def test_a_camera_info_topic_can_be_named(tmp_path) -> None:
    other = bags.camera_info(header=bags.header(0, "other_frame"), k=np.array([7.0, 0, 1, 0, 7, 1, 0, 0, 1]))
    topics = {"/cam/image_raw": [bags.image(0)], "/cam/camera_info": [bags.camera_info()], "/other": [other]}
    bag = bags.write_bag(tmp_path / "bag", topics)
    source = factory.make_source(str(bag), make(camera_info_topic="/other"))
    assert source.open().intrinsics.fx == 7
    source.close()
    with raises_code(SourceOpenError, "no-topic", naming="/cam/camera_info"):
        RosbagSource(bag, camera_info_topic="/nowhere").open()
    with raises_code(ConfigError, "not-a-bag"):
        factory.make_source("clip.mp4", Settings().replace(camera_info_topic="/other"))
