"""The verbs of `streamdepth train`: by a recipe, on pictures with depth, by a large model's depth, or by motion."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from streamdepth.cli.console import configure_logging, err, out
from streamdepth.cli.flags import Flags, Quiet, Verbose, with_flags
from streamdepth.cli.train_flags import Config, Device, Output, with_training_flags
from streamdepth.core.errors import ConfigError

if TYPE_CHECKING:
    from streamdepth.config import Settings
    from streamdepth.core.interfaces import Estimator
    from streamdepth.training.settings import TrainSettings
    from streamdepth.training.trainer import TrainingResult

app = typer.Typer(
    no_args_is_help=True, rich_markup_mode="rich", help="Train the built-in model, or teach it your place."
)

FINE_TUNING = {"start": "nano", "steps": 1000, "encoder_rate": 1e-4, "decoder_rate": 3e-4, "validation_share": 0.1}
"""Settings of fine-tuning that differ from a training from scratch: few steps, low rates, and a validation share."""
KEEP = 0.5
"""Weight of the network's own depth before the training as labels beside those by motion. It preserves what the network
knows of sky and bare walls, for which motion gives no labels."""


@app.command()
@with_training_flags
def recipe(
    config: Annotated[Path, typer.Argument(help="YAML file with settings, such as configs/train/nano.yaml.")],
    data: Annotated[
        Path, typer.Option("--data", help="Folder of the datasets that the recipe names, or of their pack.")
    ],
    output: Output,
    device: Device = "auto",
    quiet: Quiet = False,
    verbose: Verbose = False,
    *,
    changes: dict[str, Any],
) -> None:
    """Train as a recipe says; a stopped training goes on.

    Example: streamdepth train recipe configs/train/nano.yaml --data ROOT -o runs/nano
    """
    configure_logging(quiet=quiet, verbose=verbose)
    from streamdepth.training.settings import make_settings, read_settings

    settings = make_settings(read_settings(config) | changes, str(config))
    _train(data, output, settings, device, quiet)


@app.command()
def pack(
    config: Annotated[Path, typer.Argument(help="YAML file with settings that names the datasets.")],
    data: Annotated[Path, typer.Option("--data", help="Folder of the datasets that the recipe names.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder to write into.")],
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Pack a recipe's pictures into a few small files; its folder then takes the place of the data.

    Example: streamdepth train pack configs/train/nano2.yaml --data ROOT -o packed
    """
    configure_logging(quiet=quiet, verbose=verbose)
    from streamdepth.training.pack import write_pack
    from streamdepth.training.sampler import read_set
    from streamdepth.training.settings import make_settings, read_settings

    settings = make_settings(read_settings(config), str(config))
    parts = write_pack(output, ((each.name, read_set(data, each)) for each in settings.sets))
    out.print(f"{len(parts)} parts, {sum(part.stat().st_size for part in parts) / 1e6:.0f} MB, in {output}")


@app.command()
@with_training_flags
def pairs(
    data: Annotated[list[Path], typer.Argument(help="Folders of pictures with depth: rgb/, depth/ and index.json.")],
    output: Output,
    config: Config = None,
    device: Device = "auto",
    quiet: Quiet = False,
    verbose: Verbose = False,
    *,
    changes: dict[str, Any],
) -> None:
    """Fine-tune nano on your own pictures with depth; a tenth of them is held back to check it.

    Example: streamdepth train pairs DATA -o runs/mine
    """
    configure_logging(quiet=quiet, verbose=verbose)
    _train(Path(), output, _fine_tuning(config, [_set(path, "sensor") for path in data], changes), device, quiet)


@app.command()
@with_flags(
    *("model.size", "model.engine", "model.device", "model.precision", "model.accept_license", "model.allow_pickle"),
    has_config_flag=False,
)
@with_training_flags
def distil(
    video: Annotated[list[str], typer.Argument(help="Files, folders of pictures or URLs to learn from.")],
    teacher: Annotated[str, typer.Option("--teacher", help="Any model: a short name, a hub id or a local folder.")],
    output: Output,
    every: Annotated[float, typer.Option("--every", min=0, help="Seconds between the frames that are labeled.")] = 0.5,
    most: Annotated[int, typer.Option("--most", min=2, help="Most frames of one video.")] = 2000,
    config: Config = None,
    *,
    changes: dict[str, Any],
    flags: Flags,
) -> None:
    """Teach nano what a large model sees in your own videos; a tenth of each is held back to check it.

    Example: streamdepth train distil a.mp4 b.mp4 --teacher depth-anything-v2-small -o runs/mine
    """
    from streamdepth.core.wrappers import LazyEstimator
    from streamdepth.factory import make_estimator, stream_names

    settings = flags.settings(model=teacher)
    folders = [output / "labels" / stem for stem in stream_names(video)]
    training = _fine_tuning(config, [_set(folder, "exact") for folder in folders], changes)
    with LazyEstimator(lambda: make_estimator(settings)) as estimator:
        _label(video, folders, estimator, settings, every, most, flags.quiet)
    _train(Path(), output, training, settings.model.device, flags.quiet)


@app.command()
@with_flags("model.device", has_config_flag=False)
@with_training_flags
def motion(
    video: Annotated[list[str], typer.Argument(help="Videos by a camera that moves through your place.")],
    output: Output,
    labels_only: Annotated[
        bool, typer.Option("--labels-only", help="Write the labels and train nothing; a recipe may take them.")
    ] = False,
    most: Annotated[int, typer.Option("--most", min=2, help="Most frames of one video that get labels.")] = 2000,
    config: Config = None,
    *,
    changes: dict[str, Any],
    flags: Flags,
) -> None:
    """Teach nano your place from videos of a moving camera, whose motion gives depth without another model.

    Example: streamdepth train motion walk.mp4 -o runs/place
    """
    from streamdepth.core.wrappers import LazyEstimator
    from streamdepth.factory import make_estimator, stream_names

    start = changes.get("start", "nano")
    settings = flags.settings(model="nano" if start == "imagenet" else start)  # features alone give no depth to keep
    folders = [output / "labels" / stem for stem in stream_names(video)]
    before = [folder.with_name(f"{folder.name}_before") for folder in folders]
    sets = [_set(folder, "views") for folder in folders] + [_set(folder, "sensor", KEEP) for folder in before]
    training = _fine_tuning(config, sets, changes)
    with LazyEstimator(lambda: make_estimator(settings)) as nano:
        for address, folder in zip(video, folders, strict=True):
            _label_motion(address, folder, nano, settings, most, flags.quiet)
        if not labels_only:
            _label([str(folder / "rgb") for folder in folders], before, nano, settings, 0, most, flags.quiet)
    if not labels_only:
        _train(Path(), output, training, settings.model.device, flags.quiet)


@app.command()
def blend(
    first: Annotated[Path, typer.Argument(help="Weights before a training.")],
    second: Annotated[Path, typer.Argument(help="Weights after it.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="File to write.")],
    share: Annotated[float, typer.Option("--share", help="Share of the first, 0 to 1.")] = 0.5,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Average the weights before and after a training: often better than both.

    Example: streamdepth train blend before.safetensors runs/mine/nano.safetensors -o blend.safetensors
    """
    configure_logging(quiet=quiet, verbose=verbose)
    from streamdepth.training import blend as blending

    blending.blend(first, second, share, output)
    out.print(f"weights: {output}; use them with --model {output}")


def _fine_tuning(config: Path | None, sets: list[dict[str, Any]], changes: dict[str, Any]) -> TrainSettings:
    from streamdepth.training.settings import make_settings, read_settings

    return make_settings(FINE_TUNING | {"sets": sets} | (read_settings(config) if config else {}) | changes)


def _set(folder: Path, depth: str, weight: float = 1.0) -> dict[str, Any]:
    return {"name": str(folder.resolve()), "depth": depth, "weight": weight}


def _label(
    videos: list[str],
    folders: list[Path],
    teacher: Estimator,
    settings: Settings,
    every: float,
    max_pictures: int,
    quiet: bool,
) -> None:
    from streamdepth import factory
    from streamdepth.training.labels import write_labels

    for video, folder in zip(videos, folders, strict=True):
        with _bar("labels", None, quiet) as move:
            source = factory.make_source(video, settings)
            count = write_labels(
                source, teacher, folder, every_seconds=every, max_pictures=max_pictures, on_picture=move
            )
        if count < 2:
            raise ConfigError(
                f"'{video}' gave {count} pictures to learn from; a lower --every takes more", code="too-few-frames"
            )


def _label_motion(video: str, folder: Path, judge: Estimator, settings: Settings, most: int, quiet: bool) -> None:
    from streamdepth import factory
    from streamdepth.training.motion.motion_labels import write_motion_labels

    source = factory.make_source(video, settings)
    with _bar("frames", None, quiet) as move:
        found = write_motion_labels(
            source,
            folder,
            judge,
            most_pictures=most,
            on_progress=lambda stage, done, total: move(done, description=stage, total=total),
        )
    out.print(f"{found.pictures} pictures with depth on {found.known:.0%} of their pixels, in {folder}")
    if found.failures:
        err.print(f"warning: parts of '{video}' gave no labels: {', '.join(found.failures)}")
    if found.pictures < 2:
        raise ConfigError(f"'{video}' gave one picture to learn from; give a longer video", code="too-few-frames")


def _train(root: Path, output: Path, settings: TrainSettings, device: str, quiet: bool) -> None:
    from streamdepth.estimators.engines.torch_engine import choose_device
    from streamdepth.training.trainer import train

    with _bar("steps", settings.steps, quiet) as move:
        result = train(root, output, settings, str(choose_device(device)), lambda progress: move(progress.step))
    _report(result)


def _report(result: TrainingResult) -> None:
    out.print(f"weights: {result.weights}; use them with --model {result.weights}")
    if result.before is None or result.after is None:
        return
    out.print(f"error on pictures held back: {result.before:.3f} before, {result.after:.3f} after")
    if result.after >= result.before:
        err.print("warning: the training did not help on pictures held back; give it more steps or more varied ones")


@contextmanager
def _bar(name: str, total: int | None, quiet: bool) -> Iterator[Callable[..., None]]:
    """Shows a progress bar on a terminal; yields a function that updates it, with arguments of rich's `update`."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=err, disable=quiet or not err.is_terminal) as progress:
        task = progress.add_task(name, total=total)
        yield lambda done, **changes: progress.update(task, completed=done, **changes)
