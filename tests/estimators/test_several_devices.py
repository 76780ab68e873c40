"""One model on several devices."""

from __future__ import annotations

import numpy as np
import pytest

from streamdepth import factory
from streamdepth.config import Settings
from streamdepth.core.errors import ConfigError
from streamdepth.estimators.several_devices import SeveralDevicesEstimator
from streamdepth.testing import ConstantEstimator, SyntheticSource


def frames() -> list:
    source = SyntheticSource(count=5, width=96, height=64)
    source.open()
    return list(iter(source.read, None))


def test_copies_take_turns_and_give_what_one_gives() -> None:
    settings = Settings().replace(engine="torch", size=64)
    one = factory.make_estimator(settings.replace(device="cpu"))
    several = factory.make_estimator(settings.replace(device="cpu,cpu"))
    assert several.info.device == "cpu,cpu"
    assert several.max_in_flight == 2 * one.max_in_flight
    several.warm_up(96, 64)
    futures = [several.submit([frame]) for frame in frames()]
    for future, frame in zip(futures, frames(), strict=True):
        np.testing.assert_array_equal(future.result()[0].depth, one.estimate([frame])[0].depth)
    one.close()
    several.close()


def test_a_device_that_is_not_there_is_an_error() -> None:
    with pytest.raises(ConfigError) as caught:
        factory.make_estimator(Settings().replace(engine="torch", device="cpu,cuda:7"))
    assert caught.value.code == "no-such-device"


def test_a_model_with_memory_stays_on_one_device() -> None:
    class Remembering(ConstantEstimator):
        has_memory = True

    with pytest.raises(ConfigError) as caught:
        SeveralDevicesEstimator([Remembering(), Remembering()])
    assert caught.value.code == "option-conflict"
