from __future__ import annotations

import functools
import logging
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import hypothesis
import pytest
import torch
import typer.main

from streamdepth import factory
from streamdepth.cli import main as run_command
from streamdepth.testing import ConstantEstimator

# How long an example takes says how busy the machine is.
hypothesis.settings.register_profile("patient", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow])
hypothesis.settings.load_profile("patient")


@pytest.fixture(autouse=True)
def no_thread_left() -> Iterator[None]:
    """Every thread that streamdepth started during a test has ended with it."""
    before = set(threading.enumerate())
    yield
    deadline = time.monotonic() + 30
    while ours := [t for t in threading.enumerate() if t.name.startswith("streamdepth") and t not in before]:
        if time.monotonic() > deadline:
            pytest.fail(f"threads left alive: {ours}")
        time.sleep(0.01)


@pytest.fixture(autouse=True)
def no_error_log(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Library code logs no errors: it raises them."""
    yield
    errors = [r.getMessage() for r in caplog.get_records("call") if r.levelno >= logging.ERROR]
    assert not errors, errors


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Compiled models of tests stay out of the user's cache, and are shared between tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("STREAMDEPTH_CACHE", str(tmp_path_factory.mktemp("cache")))
        patch.setenv("HF_HUB_OFFLINE", "1")
        yield


@pytest.fixture(scope="session", autouse=True)
def verbs_made_once() -> Iterator[None]:
    """Typer makes all verbs anew for each command, which takes a tenth of a second; one that is made can be reused."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("typer.main.get_command", functools.cache(typer.main.get_command))
        yield


@pytest.fixture
def footage() -> Path:
    """A folder with real footage, when the variable STREAMDEPTH_TEST_DATA names one."""
    folder = Path(os.environ.get("STREAMDEPTH_TEST_DATA", "/nonexistent"))
    if not folder.is_dir():
        pytest.skip("STREAMDEPTH_TEST_DATA names no folder with footage")
    return folder


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    """With STREAMDEPTH_REQUIRE_SERVERS=1, a server or a screen that is missing is a failure."""
    report = yield
    required = os.environ.get("STREAMDEPTH_REQUIRE_SERVERS") == "1"
    if required and report.skipped and "apt-get install" in str(report.longrepr):
        report.outcome = "failed"
    return report


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--slow", action="store_true", help="run the slow tests, too")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leaves the slow tests out of a plain `pytest`, which is to be quick enough to be run often."""
    if config.getoption("--slow") or config.args_source is not pytest.Config.ArgsSource.TESTPATHS:
        return
    slow = [item for item in items if item.get_closest_marker("slow")]
    config.hook.pytest_deselected(items=slow)
    items[:] = [item for item in items if not item.get_closest_marker("slow")]


def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.get_closest_marker("gpu") and not torch.cuda.is_available():
        if os.environ.get("STREAMDEPTH_REQUIRE_GPU") == "1":
            pytest.fail("STREAMDEPTH_REQUIRE_GPU=1, and there is no CUDA device")
        pytest.skip("needs a CUDA device")


@dataclass(frozen=True)
class Done:
    """What a command line ended with."""

    code: int
    out: str
    err: str
    error_code: str | None = None
    """The `code` of the StreamDepthError that ended it."""


@pytest.fixture(autouse=True)
def usual_logging() -> Iterator[None]:
    """Undoes what a command line that ran in this process set about streamdepth's log."""
    logger = logging.getLogger("streamdepth")
    before = logger.handlers[:], logger.level, logger.propagate
    yield
    logger.handlers[:], logger.level, logger.propagate = before


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Callable[..., Done]:
    """Runs `streamdepth` with arguments in this process, as the installed command would."""

    def run(*arguments: object) -> Done:
        monkeypatch.setattr(sys, "argv", ["streamdepth", *map(str, arguments)])
        capsys.readouterr()
        error_code = None
        try:
            run_command()
            code = 0
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else int(end.code is not None)
            error_code = getattr(end.__context__, "code", None)
        captured = capsys.readouterr()
        return Done(code, captured.out, captured.err, error_code)

    return run


@pytest.fixture
def quick_model(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every model is one without weights."""
    monkeypatch.setattr(factory, "make_estimator", lambda _: ConstantEstimator())
