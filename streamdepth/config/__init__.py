"""Typed settings: one model gives the YAML sections, the command line's flags and the keywords of Python."""

from streamdepth.config.load import NDI, PUSH_SCHEMES, VIRTUAL_CAMERA, load, make
from streamdepth.config.settings import Setting, Settings, result_values, table

__all__ = ["NDI", "PUSH_SCHEMES", "VIRTUAL_CAMERA", "Setting", "Settings", "load", "make", "result_values", "table"]
