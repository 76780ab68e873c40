"""Typed settings: one name per setting, the same in YAML files, on the command line and in Python."""

from streamdepth.config.settings import PUSHED, VIRTUAL_CAMERA, Settings, load, make

__all__ = ["PUSHED", "VIRTUAL_CAMERA", "Settings", "load", "make"]
