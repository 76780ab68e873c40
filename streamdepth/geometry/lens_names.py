"""Names of lens models in drivers and calibration programs."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from streamdepth.core.intrinsics import Intrinsics
from streamdepth.core.lens_models import LENS_MODELS

_NAMES = {
    "plumb_bob": "plumb_bob plumbbob radtan radial_tangential brown_conrady modified_brown_conrady opencv pinhole "
    "brown radtan4 radtan5 simple_radial radial",
    "rational_polynomial": "rational_polynomial rational full_opencv thin_prism radtan8 rational_polynomial_thin_prism",
    "equidistant": "equidistant equi fisheye kannala_brandt kannala_brandt4 kannala_brandt8 kb4 kb8 opencv_fisheye "
    "kannalabrandt8 kannalabrandt f_theta",
    "fov": "fov atan",
    "omnidirectional": "omnidirectional omni mei",
    "double_sphere": "double_sphere ds",
    "extended_unified": "extended_unified eucm",
}
"""Name of a lens model -> its names elsewhere, in lower case and with underscores."""
_MODEL_OF = {name: model for model, names in _NAMES.items() for name in names.split()}
_NO_LENS = ("", "none", "no_distortion", "unknown", "undistorted", "rectified", "perspective", "null")
_BY_COUNT = {
    4: "plumb_bob",
    5: "plumb_bob",
    8: "rational_polynomial",
    12: "rational_polynomial",
    14: "rational_polynomial",
}
"""Number of coefficients in OpenCV's order -> the model."""


def with_lens(camera: Intrinsics, name: str, coefficients: Sequence[float]) -> Intrinsics:
    """Returns the camera with a lens, by any usual name of its model.

    If all coefficients are zero the result is a pinhole, except for fisheye lenses, which distort even then. plumb_bob
    with 8, 12 or 14 coefficients is rational_polynomial, and zeros beyond a model's own number are left out. Raises
    ValueError for another name with coefficients, or a number of coefficients that the model does not have.
    """
    plain = re.sub(r"[\s\-]+", "_", name.strip().lower())
    model = _MODEL_OF.get(plain)
    numbers = tuple(float(number) for number in coefficients)
    is_pinhole = not any(numbers) and model in (None, "plumb_bob", "rational_polynomial")
    if not numbers or is_pinhole:
        return camera.pinhole
    if plain in _NO_LENS:  # drivers that give coefficients without a name mean OpenCV's
        model = "plumb_bob"
    if model is None:
        raise ValueError(f"the distortion model '{name}' is unknown; known are {', '.join(LENS_MODELS)}")
    if model in ("plumb_bob", "rational_polynomial"):
        numbers = _without_zeros(numbers, tuple(_BY_COUNT))
        model = _BY_COUNT.get(len(numbers), model)
    else:
        numbers = _without_zeros(numbers, LENS_MODELS[model][1])
    return replace(camera, distortion=numbers, distortion_model=model)


def _without_zeros(numbers: tuple[float, ...], counts: tuple[int, ...]) -> tuple[float, ...]:
    """Returns the numbers with zeros at their end removed or added, so that their count is one of `counts`."""
    if len(numbers) in counts:
        return numbers
    shorter = [count for count in counts if count < len(numbers) and not any(numbers[count:])]
    return numbers[: max(shorter)] if shorter else numbers
