"""The ament package streamdepth_ros: its files agree with each other and with the node, and setuptools builds it."""

from __future__ import annotations

import ast
import shutil
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest
import yaml
from helpers.paths import ROOT
from rosbags.typesys import Stores, get_typestore

from streamdepth.apps.ros.parameters import PARAMETERS, settings_from_parameters
from streamdepth.sinks.robots.observation import RobotOptions
from streamdepth.sinks.robots.ros_messages import RosMessages

PACKAGE = ROOT / "streamdepth" / "apps" / "ros" / "package"


def parameters() -> dict[str, object]:
    found: dict[str, object] = yaml.safe_load((PACKAGE / "config/depth.yaml").read_text())["/**"]["ros__parameters"]
    return found


def test_the_parameters_are_those_of_the_node_and_make_settings() -> None:
    given = {name: value for name, value in parameters().items() if name != "use_sim_time"}
    assert given.keys() <= PARAMETERS.keys()
    for name, value in given.items():
        assert type(value) is type(PARAMETERS[name])  # ROS refuses a parameter of another type
    settings = settings_from_parameters({**PARAMETERS, **given})
    assert settings.metric.camera_height == "1.2m"


def test_package_and_setup_have_one_name_and_license() -> None:
    manifest = ElementTree.parse(PACKAGE / "package.xml").getroot()
    name, license_name = manifest.findtext("name"), manifest.findtext("license")
    assert (name, license_name) == ("streamdepth_ros", "Apache-2.0")
    assert manifest.findtext("export/build_type") == "ament_python"
    assert (PACKAGE / "resource" / str(name)).is_file()
    used = {"rclpy"}
    for topic in RosMessages(RobotOptions(points=True)).topics():
        used.add(topic.schema.split("/")[0])
    assert used | {"diagnostic_msgs"} <= {element.text for element in manifest.findall("exec_depend")}


def test_the_types_of_all_messages_are_the_same_from_humble_to_kilted() -> None:
    """Serialized messages are published as they are, so that their types must not differ."""
    stores = [get_typestore(s) for s in (Stores.ROS2_HUMBLE, Stores.ROS2_JAZZY, Stores.ROS2_KILTED)]
    for topic in RosMessages(RobotOptions(points=True)).topics():
        assert len({store.hash_rihs01(topic.schema) for store in stores}) == 1, topic.schema


def test_the_costmap_takes_the_topics_of_the_node() -> None:
    layers = yaml.safe_load((PACKAGE / "config/nav2_costmap.yaml").read_text())
    layers = layers["local_costmap"]["local_costmap"]["ros__parameters"]
    sources = [layers["obstacle_layer"]["depth_scan"], layers["voxel_layer"]["depth_points"]]
    topics = {topic.name: topic.schema for topic in RosMessages(RobotOptions(points=True)).topics()}
    for source in sources:
        assert topics[source["topic"]] == f"sensor_msgs/msg/{source['data_type']}"


def test_the_launch_file_gives_the_node_its_topics() -> None:
    tree = ast.parse((PACKAGE / "launch/depth.launch.py").read_text())
    texts = {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant)}
    assert {"image", "image/compressed", "camera_info", "depth_node", "streamdepth_ros"} <= texts


@pytest.mark.slow
def test_setuptools_installs_what_colcon_expects(tmp_path: Path) -> None:
    shutil.copytree(PACKAGE, tmp_path / "package")
    command = [sys.executable, "setup.py", "-q", "install", "--root", str(tmp_path / "root"), "--prefix", "/ros"]
    command += ["--single-version-externally-managed", "--record", str(tmp_path / "record")]
    done = subprocess.run(command, cwd=tmp_path / "package", capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    ros = tmp_path / "root" / "ros"
    assert (ros / "lib/streamdepth_ros/depth_node").is_file()
    for name in ("package.xml", "launch/depth.launch.py", "config/depth.yaml", "config/nav2_costmap.yaml"):
        assert (ros / "share/streamdepth_ros" / name).is_file()
    assert (ros / "share/ament_index/resource_index/packages/streamdepth_ros").is_file()
