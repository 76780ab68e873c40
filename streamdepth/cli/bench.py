"""The verb `bench`: parse, call, print."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Annotated

import typer

from streamdepth.cli.console import JsonOutput, err, exit_on_interrupt, out, print_table
from streamdepth.cli.flags import Flags, Json, with_flags


@with_flags("model", "inference.batch", "outputs.overwrite")
def bench(
    clip: Annotated[Path | None, typer.Argument(help="A video file; without one, 720p is generated.")] = None,
    frames: Annotated[int, typer.Option("--frames", help="Of each round.", min=2)] = 60,
    rounds: Annotated[int, typer.Option("--rounds", help="Medians are over so many.", min=1)] = 5,
    quick: Annotated[bool, typer.Option("--quick", help="12 frames, 2 rounds: to see that it works.")] = False,
    random_weights: Annotated[
        bool, typer.Option("--random-weights", help="Full size, no download: speed does not depend on weights.")
    ] = False,
    alone: Annotated[bool, typer.Option("--alone", help="Leave out what it is compared with.")] = False,
    json: Json = None,
    *,
    flags: Flags,
) -> None:
    """Measure speed: the network alone, the whole pipeline, and in the same rounds what one would write without it.

    Example: streamdepth bench --model depth-anything-v2-small --random-weights --json bench.json
    """
    settings = flags.settings()
    from streamdepth.apps.bench.clip import frame_size, make_clip
    from streamdepth.apps.bench.plan import BenchmarkPlan
    from streamdepth.apps.bench.report import report_notes, report_table
    from streamdepth.apps.bench.run import run_benchmark
    from streamdepth.utils.speeds import record_speed

    if quick:
        frames, rounds = 12, 2
    facts = JsonOutput(json, overwrite=settings.outputs.overwrite, inputs=[clip])
    with tempfile.TemporaryDirectory(prefix="streamdepth-bench-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        path = clip or folder / "testsrc2.mp4"
        with err.status("making a clip") as status:
            if clip is None:
                make_clip(path, frames)
            plan = BenchmarkPlan(settings, path, frame_size(path), frames, folder, random_weights)
            with exit_on_interrupt():
                on_step = status.update if not flags.quiet else lambda _: None
                found = run_benchmark(plan, rounds, on_step, only_streamdepth=alone)
    facts.write(found)
    fps = found["measured"].get("network alone", {}).get("fps")
    if fps and settings.model.size is None and settings.inference.batch == 1:
        record_speed(settings.model.name, fps)
    if not (flags.quiet or facts.is_printed):
        print_table(report_table(found))
        out.print(*report_notes(found), sep="\n")
