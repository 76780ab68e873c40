"""The parts of the package lerobot that a camera is made of, for machines without it.

They mirror LeRobot 0.6.2: the abstract methods of its `Camera`, the fields of `CameraConfig` with its register of
types, and the search for the class that belongs to a configuration.
"""

from __future__ import annotations

import abc
import importlib
import importlib.util
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import ModuleType
from typing import Any, ClassVar


class DeviceNotConnectedError(ConnectionError):
    """A device is used before `connect`."""


class DeviceAlreadyConnectedError(ConnectionError):
    """A device is connected twice."""


@dataclass(kw_only=True)
class CameraConfig(abc.ABC):  # noqa: B024 - as in LeRobot
    """The fields that every camera has, and the register of their types."""

    choices: ClassVar[dict[str, type]] = {}
    fps: int | None = None
    width: int | None = None
    height: int | None = None

    @classmethod
    def register_subclass(cls, name: str) -> Callable[[type], type]:
        def register(subclass: type) -> type:
            cls.choices[name] = subclass
            return subclass

        return register

    @classmethod
    def get_choice_class(cls, name: str) -> type:
        return cls.choices[name]


class Camera(abc.ABC):
    """LeRobot's interface of cameras."""

    def __init__(self, config: CameraConfig) -> None:
        self.fps, self.width, self.height = config.fps, config.width, config.height

    def __enter__(self) -> Camera:
        self.connect()
        return self

    def __exit__(self, *_: object) -> None:
        self.disconnect()

    @property
    @abc.abstractmethod
    def is_connected(self) -> bool: ...

    @staticmethod
    @abc.abstractmethod
    def find_cameras() -> list[dict[str, Any]]: ...

    @abc.abstractmethod
    def connect(self, warmup: bool = True) -> None: ...

    @abc.abstractmethod
    def read(self) -> Any: ...

    @abc.abstractmethod
    def async_read(self, timeout_ms: float = ...) -> Any: ...

    @abc.abstractmethod
    def disconnect(self) -> None: ...


def make_device_from_device_class(config: Any) -> Any:
    """Finds the class beside the configuration's module, by the configuration's name without "Config"."""
    package = config.__class__.__module__.rpartition(".")[0]
    return getattr(importlib.import_module(package), config.__class__.__name__.removesuffix("Config"))(config)


_CONTENTS: dict[str, dict[str, Any]] = {
    "lerobot": {},
    "lerobot.cameras": {},
    "lerobot.cameras.camera": {"Camera": Camera},
    "lerobot.cameras.configs": {"CameraConfig": CameraConfig},
    "lerobot.utils": {},
    "lerobot.utils.errors": {
        "DeviceNotConnectedError": DeviceNotConnectedError,
        "DeviceAlreadyConnectedError": DeviceAlreadyConnectedError,
    },
    "lerobot.utils.import_utils": {"make_device_from_device_class": make_device_from_device_class},
}


@contextmanager
def lerobot_package() -> Iterator[None]:
    """Makes the package lerobot importable, by this stand-in unless it is installed."""
    if importlib.util.find_spec("lerobot"):
        yield
        return
    before = set(sys.modules)
    for name, contents in _CONTENTS.items():
        module = ModuleType(name)
        vars(module).update(contents, __path__=[])
        sys.modules[name] = module
    try:
        yield
    finally:
        for name in set(sys.modules) - before:
            if name.startswith(("lerobot", "streamdepth.apps.lerobot.camera")):
                del sys.modules[name]
