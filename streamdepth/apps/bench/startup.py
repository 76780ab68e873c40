"""Start-up time of a whole command that converts two frames, with the converted network in the cache."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from dataclasses import dataclass

import yaml

from streamdepth.apps.bench.plan import BenchmarkPlan
from streamdepth.core.errors import EstimatorError

_FRAMES = 2


@dataclass(frozen=True, slots=True)
class StartupTime:
    """The cost of one command, from the start of its process to its end."""

    seconds: float
    cpu_seconds: float
    """Processor time of all its threads; 0 where the system does not tell."""


class StartupCommand:
    """The command `streamdepth run` on the clip and the model of a plan, in a process of its own.

    The first run converts the network where that has not been done, and decides on reduced precision; later ones show
    the start-up that a user has. First progress comes before the end of the command, so that the figure is an upper
    bound for it.
    """

    def __init__(self, plan: BenchmarkPlan) -> None:
        self._config = plan.folder / "startup.yaml"
        model = plan.settings.model.model_dump(mode="json", exclude_defaults=True)
        facts = {
            "source": str(plan.clip.resolve()),
            "model": model,
            "outputs": {"video": str(plan.folder / "startup.mp4"), "overwrite": True},
            "max_frames": _FRAMES,
        }
        self._config.write_text(yaml.safe_dump(facts), encoding="utf-8")

    def run(self) -> StartupTime:
        """Runs the command once. Raises EstimatorError if it fails."""
        command = [sys.executable, "-m", "streamdepth", "run", str(self._config), "--quiet"]
        before, began = os.times(), time.perf_counter()
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
        seconds, after = time.perf_counter() - began, os.times()
        if done.returncode:
            reason = " ".join(done.stderr.split())[-300:]
            raise EstimatorError(f"the command for the start-up time failed: {reason}", code="startup-failed")
        used = after.children_user + after.children_system - before.children_user - before.children_system
        return StartupTime(seconds, used)
