"""The ament_python package of streamdepth's node; `colcon build` runs this file."""

from pathlib import Path

from setuptools import setup

NAME = "streamdepth_ros"

setup(
    name=NAME,
    version="0.1.0",
    packages=[NAME],
    data_files=[
        ("share/ament_index/resource_index/packages", [f"resource/{NAME}"]),
        (f"share/{NAME}", ["package.xml"]),
        (f"share/{NAME}/launch", [str(path) for path in sorted(Path("launch").glob("*.py"))]),
        (f"share/{NAME}/config", [str(path) for path in sorted(Path("config").glob("*.yaml"))]),
    ],
    install_requires=["setuptools"],
    zip_safe=True,
    license="Apache-2.0",
    description="Depth in meters, scans and points from the pictures of one camera, by streamdepth.",
    entry_points={"console_scripts": [f"depth_node = {NAME}.depth_node:main"]},
)
