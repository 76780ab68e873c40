"""Names of streams are unique, hold no secrets, and become names that ROS allows."""

from __future__ import annotations

import re

from streamdepth import config
from streamdepth.factory.naming import stream_names
from streamdepth.factory.robots import make_robot_options


def test_streams_are_called_by_host_and_path_without_what_is_secret() -> None:
    camera = "rtsp://me:s3cr3t@cam.local:554/Streaming/101.sdp?key=s3cr3t"
    addresses = [camera, camera, "rtsp://10.0.0.2/", "udp://@:5000", "clips/a b.mp4"]
    names = ["cam_local_Streaming_101", "cam_local_Streaming_101_2", "10_0_0_2", "stream", "a_b"]
    assert stream_names(addresses) == names


def test_names_of_several_cameras_are_what_ros_allows_and_apart() -> None:
    found = stream_names(["a/Büro.mp4", "b/Boro.mp4", "c/a  _b.mp4", "a_b.mp4", "Ж.mp4", "Я.mp4"])
    assert found[:4] == ["Büro", "Boro", "a__b", "a_b"]
    settings = config.make(robot_frame_id="optical")
    options = [make_robot_options(settings, name) for name in found]
    for names in ([o.namespace for o in options], [o.frame_id for o in options]):
        assert len(set(names)) == len(names)
        assert all(re.fullmatch(r"/?[A-Za-z](_?[A-Za-z0-9])*", name, re.ASCII) for name in names), names
    alone = make_robot_options(settings)
    assert (alone.namespace, alone.frame_id) == ("/camera", "optical")
    assert make_robot_options(config.make(), "x").frame_id is None
