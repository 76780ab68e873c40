"""Measures several streams on one GPU: `python tests/measure/gpu_streams.py [--device cuda] [--streams 1 4 16]`.

Each stream is a generated 720p file, read as fast as it goes, decoded on the GPU and then again on the CPU; its depth
is steadied and nothing is written. Prints frames a second of all streams together, the share of one CPU core that they
took, and the greatest memory of the GPU.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from streamdepth import factory
from streamdepth.apps.bench.clip import make_clip
from streamdepth.config import Settings
from streamdepth.core.interfaces import Estimator
from streamdepth.utils.gpu_load import read_gpu_loads

_BATCH = 8


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--streams", type=int, nargs="+", default=[1, 4, 16])
    parser.add_argument("--frames", type=int, default=240, help="of each stream, shared by all: 240 are 60 each of 4")
    parser.add_argument("--json", type=Path, required=True)
    arguments = parser.parse_args()
    settings = Settings().replace(device=arguments.device)
    rows = []
    with tempfile.TemporaryDirectory() as folder, factory.make_estimator(settings.replace(throughput=True)) as model:
        clip = Path(folder) / "clip.mp4"
        make_clip(clip, arguments.frames)
        _measure(settings, model, clip, 1, min(arguments.frames, 30))  # prepares the model and the decoder
        for count in arguments.streams:
            for decoding in (True, False) if arguments.device != "cpu" else (False,):
                wanted = settings.replace(gpu_decoding=decoding)
                rows.append(_measure(wanted, model, clip, count, max(2, arguments.frames // min(count, 4))))
                sys.stdout.write(f"{rows[-1]}\n")
    arguments.json.write_text(json.dumps(rows, indent=1))


def _measure(settings: Settings, model: Estimator, clip: Path, count: int, frames: int) -> dict[str, Any]:
    settings = settings.replace(source=(str(clip),) * count, max_frames=frames, batch=min(count, _BATCH))
    began, cpu_began = time.perf_counter(), time.process_time()
    with factory.open_pipeline(settings, estimator=model) as pipeline:
        report = pipeline.run()
    seconds = time.perf_counter() - began
    loads = read_gpu_loads()
    return {
        "streams": count,
        "decoded_on": "gpu" if any(s.info and s.info.device for s in pipeline.streams) else "cpu",
        "frames": report.written,
        "fps": round(report.written / seconds, 1),
        "cpu_cores": round((time.process_time() - cpu_began) / seconds, 2),
        "gpu_memory_mb": round(max(load.memory_used_bytes for load in loads) / 2**20) if loads else None,
        "notices": list(report.notices),
    }


if __name__ == "__main__":
    main()
