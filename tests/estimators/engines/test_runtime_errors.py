"""Errors of runtimes: the reason stays, and the places in the runtimes' own source go."""

from __future__ import annotations

import pytest

from streamdepth.estimators.engines.runtime_errors import plain_reason


@pytest.mark.parametrize(
    "text",
    [
        "Exception from src/inference/src/cpp/core.cpp:109:\nException from src/frontends/common/frontend.cpp:54:\n"
        "Check 'is_whole' failed at src/core/src/model.cpp:12:\nthe weights are cut off\n\n",
        "[ONNXRuntimeError] : 7 : INVALID_PROTOBUF : the weights are cut off",
    ],
)
def test_places_in_the_source_are_left_out(text: str) -> None:
    assert plain_reason(RuntimeError(text)) == "the weights are cut off"


def test_an_error_without_a_text_is_named() -> None:
    assert plain_reason(MemoryError()) == "MemoryError"
