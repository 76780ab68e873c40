"""Typed settings of a training, for YAML files and for Python."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, Self

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from streamdepth.core.errors import ConfigError
from streamdepth.utils.strict_yaml import load_yaml


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class TrainSet(_Section):
    """A dataset that a training uses."""

    name: str
    """Name of the folder within the folder of the datasets, or its whole path."""
    weight: float = Field(1.0, gt=0)
    """Frequency with which it is drawn, relative to the others; it grows with the 0.1th power of the pictures, too."""
    border: int = Field(0, ge=0)
    """px cut off on each side of its pictures."""
    depth: Literal["sparse", "sensor", "views", "exact"] = "sensor"
    """Kind of its depth: sparse has holes between its points, sensor has unreliable edges, views is stereo or made of
    many pictures of one place and known in parts, exact is rendered or drawn by a large model."""


Sizes = tuple[tuple[int, int], ...]
"""(height, width) in px, multiples of 32."""


def _check_sizes(sizes: Sizes) -> Sizes:
    if not sizes or any(side < 32 or side % 32 for size in sizes for side in size):
        raise ValueError(f"height and width must be multiples of 32, not {sizes}")
    return sizes


class StepSettings(_Section):
    """Settings of single steps."""

    batch: int = Field(16, gt=0)
    """Number of views in a step."""
    pairs: int = Field(4, ge=0)
    """Number of them that are second views of a picture, with which the first view's depth should agree."""
    sizes: Annotated[Sizes, AfterValidator(_check_sizes)] = (
        (192, 256),
        (192, 256),
        (160, 288),
        (224, 224),
        (256, 192),
        (160, 352),
    )
    """(height, width) in px, multiples of 32; one is drawn each step."""
    frozen_stages: int = Field(0, ge=0, le=7)
    """Number of first encoder stages whose weights are frozen; with two a training takes a third less time."""
    plain: float = Field(0.0, ge=0, le=1)
    """Share of the views that show whole pictures as they are, but for a mirror; the others are cropped, rolled and
    degraded. At the end of a training, plain views teach the network what it will be given."""

    @model_validator(mode="after")
    def _check_pairs(self) -> Self:
        if 2 * self.pairs > self.batch:
            raise ValueError(f"{self.pairs} second views need a batch of {2 * self.pairs} at least, not {self.batch}")
        return self


class Phase(StepSettings):
    """A part of a training with steps of its own; small views first make it several times as fast."""

    until: float = Field(1.0, gt=0, le=1)
    """Share of all steps at which it ends."""


class TrainSettings(StepSettings):
    """All settings of a training but its folders."""

    sets: tuple[TrainSet, ...] = Field(min_length=1)
    start: str = "imagenet"
    """imagenet (features in the encoder), nano (the shipped weights) or the path of a .safetensors file."""
    steps: int = Field(3000, gt=0)
    phases: tuple[Phase, ...] = ()
    """Parts of the training in their order, with steps of their own."""
    encoder_rate: float = Field(3e-4, gt=0)
    decoder_rate: float = Field(1e-3, gt=0)
    """Peaks of the learning rates, which follow a warm-up and then a cosine to zero."""
    agreement: float = Field(0.7, ge=0)
    """Weight of the difference between two views of a picture."""
    average: float = Field(0.998, ge=0, lt=1)
    """Decay of the moving average of weights, which is saved as the result."""
    save_every: int = Field(100, gt=0)
    """Least number of steps between two checkpoints."""
    save_seconds: float = Field(0.0, ge=0)
    """Least time between two checkpoints; 60 is good where a machine may be taken away."""
    validation_share: float = Field(0.0, ge=0, le=0.5)
    """Share of each set, at its end, that is not trained on; the error on it is reported before and after."""
    test_sets: tuple[str, ...] = ()
    """Datasets that are scored while training, and never trained on."""
    test_every: int = Field(500, gt=0)
    test_pictures: int = Field(40, gt=0)
    """Largest number of pictures that are scored of each."""
    seed: int = 0

    def phase(self, step: int) -> StepSettings:
        """Returns the settings of step number `step`, which counts from 0."""
        return next((phase for phase in self.phases if step < phase.until * self.steps), self)


def read_settings(path: Path) -> dict[str, object]:
    """Returns the unchecked values of a YAML file, merged over those of the `base` file that it names.

    Raises ConfigError: "unreadable", or "no-settings".
    """
    try:
        values = load_yaml(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError) as error:
        reason = " ".join(str(error).split())
        raise ConfigError(f"cannot read the training settings '{path}': {reason}", code="unreadable") from error
    if not isinstance(values, dict):
        raise ConfigError(
            f"'{path}' has no settings in it; it needs lines such as 'steps: 3000' and a list of 'sets'",
            code="no-settings",
        )
    base = values.pop("base", None)
    return (read_settings(path.with_name(str(base))) if base else {}) | values


def make_settings(values: dict[str, object], origin: str = "the training's settings") -> TrainSettings:
    """Returns checked settings. Raises ConfigError, code "bad-settings", that names every fault."""
    try:
        return TrainSettings.model_validate(values)
    except ValidationError as error:
        faults = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
        raise ConfigError(
            f"{origin}: {faults}; allowed: {', '.join(TrainSettings.model_fields)}", code="bad-settings"
        ) from error
