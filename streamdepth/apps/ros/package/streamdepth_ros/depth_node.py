"""The executable `depth_node`."""

from streamdepth.apps.ros.depth_node import main

__all__ = ["main"]
