"""Typed settings of a training, the same in YAML files and in Python."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, Self

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from streamdepth.errors import ConfigError


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class TrainSet(_Section):
    """One folder of pictures with depth and how it takes part."""

    name: str
    """The folder's name in the folder of the data sets, or its whole path."""
    weight: float = Field(1.0, gt=0)
    """How often it is drawn, relative to a set of one place. It grows with the 0.1th power of the pictures, too."""
    border: int = Field(0, ge=0)
    """px cut away on each side."""
    depth: Literal["sparse", "sensor", "views", "exact"] = "sensor"
    """Sparse has holes between its points; a sensor's edges are not to be trusted; views are stereo or many pictures of
    one place, known in parts; exact is rendered."""


Sizes = tuple[tuple[int, int], ...]
"""(height, width) in px, multiples of 32; one is drawn each step."""


def _check_sizes(sizes: Sizes) -> Sizes:
    if not sizes or any(side < 32 or side % 32 for size in sizes for side in size):
        raise ValueError(f"height and width must be multiples of 32, not {sizes}")
    return sizes


class Steps(_Section):
    """What the steps of a training, or of a part of it, look like."""

    batch: int = Field(16, gt=0)
    """Views a step."""
    pairs: int = Field(4, ge=0)
    """How many of them are second views, on which the network must agree with the first."""
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
    """So many first stages of the encoder keep their weights. They work on the largest maps: two save a third."""

    @model_validator(mode="after")
    def _check_pairs(self) -> Self:
        if 2 * self.pairs > self.batch:
            raise ValueError(f"{self.pairs} second views need a batch of {2 * self.pairs} at least, not {self.batch}")
        return self


class Phase(Steps):
    """A part of a training: small views first make it several times as fast."""

    until: float = Field(1.0, gt=0, le=1)
    """Share of all steps at which it ends."""


class TrainSettings(Steps):
    """Everything a training needs besides the pictures' and its own folder."""

    sets: tuple[TrainSet, ...] = Field(min_length=1)
    start: str = "imagenet"
    """imagenet (features in the encoder), nano (the shipped weights) or the path of a .safetensors file."""
    steps: int = Field(3000, gt=0)
    phases: tuple[Phase, ...] = ()
    """Parts with steps of their own, in their order."""
    encoder_rate: float = Field(3e-4, gt=0)
    decoder_rate: float = Field(1e-3, gt=0)
    """Peaks of the learning rates: a warm-up, then a cosine to zero."""
    agreement: float = Field(0.7, ge=0)
    """Weight of the difference between two views of a picture."""
    average: float = Field(0.998, ge=0, lt=1)
    """The shipped weights are an average over the steps with this decay."""
    save_every: int = Field(100, gt=0)
    """Steps, at least, between two checkpoints."""
    save_seconds: float = Field(0.0, ge=0)
    """Seconds, at least, between two checkpoints: 60 on a GPU that may be taken away."""
    hold_back: float = Field(0.0, ge=0, le=0.5)
    """Share of each set, its end, that is not trained on; the error there is told before and after."""
    check: tuple[str, ...] = ()
    """Data sets to score on while training, never trained on."""
    check_every: int = Field(500, gt=0)
    check_pictures: int = Field(40, gt=0)
    """At most so many of each of them."""
    seed: int = 0

    def phase(self, step: int) -> Steps:
        """What step number `step`, from 0, looks like."""
        return next((phase for phase in self.phases if step < phase.until * self.steps), self)


def read_settings(path: Path) -> dict[str, object]:
    """What a YAML file says, unchecked, on top of the file beside it that it calls its `base`.

    Raises ConfigError when it cannot be read.
    """
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigError(f"cannot read the training settings '{path}': {' '.join(str(error).split())}") from error
    if not isinstance(values, dict):
        raise ConfigError(f"'{path}' holds no settings; it needs lines such as 'steps: 3000' and a list of 'sets'")
    base = values.pop("base", None)
    return (read_settings(path.with_name(str(base))) if base else {}) | values


def make_settings(values: dict[str, object], origin: str = "the training's settings") -> TrainSettings:
    """Checked settings. Raises ConfigError that names every fault."""
    try:
        return TrainSettings.model_validate(values)
    except ValidationError as error:
        faults = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
        raise ConfigError(f"{origin}: {faults}; allowed: {', '.join(TrainSettings.model_fields)}") from error
