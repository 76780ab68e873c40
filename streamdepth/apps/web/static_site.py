"""Writes a static web page that computes depth in the visitor's browser; nothing is uploaded."""

from __future__ import annotations

import json
import shutil
import tarfile
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import IO

from streamdepth.core.errors import ConfigError, SinkOpenError
from streamdepth.core.version import __version__
from streamdepth.core.wording import switch
from streamdepth.estimators.browser_model import write_browser_model
from streamdepth.estimators.network import Network
from streamdepth.render.colors import COMMON_COLORMAPS, hex_colors
from streamdepth.sinks.write_errors import map_write_errors

RUNTIME = "onnxruntime-web@1.30.0"
"""The npm package with ONNX Runtime for browsers, in the version that is tested. Its license is MIT."""
_RUNTIME_FILES = {
    "ort.wasm.bundle.min.mjs": "ort.wasm.js",
    "ort-wasm-simd-threaded.wasm": "ort-wasm-simd-threaded.wasm",
    "ort.webgpu.bundle.min.mjs": "ort.webgpu.js",
    "ort-wasm-simd-threaded.asyncify.wasm": "ort-wasm-simd-threaded.asyncify.wasm",
}
"""Files of the package -> names on the page: scripts end in .js, because not every server knows the type of .mjs."""
_HERE = Path(__file__).parent


def write_static_site(
    folder: Path, network: Network, runtime: Path | None, *, colormap: str = "inferno", overwrite: bool = False
) -> None:
    """Writes the page with the model and ONNX Runtime Web, about 51 MB, of which a visitor loads 23 MB or 36 MB.

    Args:
        folder: the folder to make; an existing one must be empty.
        network: the built-in model, see `factory.make_network`.
        runtime: the npm package onnxruntime-web, as .tgz or as a folder.
        colormap: the colors that the page shows first.
        overwrite: files in `folder` may be replaced; other files there are kept.

    Raises:
        ConfigError: the runtime is missing ("no-runtime") or not usable ("bad-runtime"), the network is not the
            built-in one ("unsupported"), or the colormap is unknown.
        SinkOpenError: `folder` has files ("exists"), or cannot be made.
        SinkWriteError: writing failed.
    """
    about = _about(colormap)
    if folder.exists() and not overwrite and (not folder.is_dir() or any(folder.iterdir())):
        raise SinkOpenError(
            f"'{folder}' exists already; use {switch('--overwrite')} or choose another folder", code="exists"
        )
    with map_write_errors(folder), tempfile.TemporaryDirectory() as name:
        site = Path(name) / "site"  # complete before anything of it appears
        _copy_page(site)
        _copy_runtime(runtime, site / "onnxruntime-web")
        _write_model(network, site / "model")
        _write_json(site / "about.json", about)
        shutil.copytree(site, folder, dirs_exist_ok=True)


def _copy_page(folder: Path) -> None:
    for name in ("static", "in_browser"):
        shutil.copytree(_HERE / name, folder / name, ignore=shutil.ignore_patterns("*.html"), dirs_exist_ok=True)
    shutil.copyfile(_HERE / "in_browser" / "index.html", folder / "index.html")


def _write_model(network: Network, folder: Path) -> None:
    folder.mkdir()
    write_browser_model(network, folder / "nano.onnx")
    _write_json(folder / "card.json", network.card.to_json())


def _about(colormap: str) -> dict[str, object]:
    names = [colormap, *(name for name in COMMON_COLORMAPS if name != colormap)]
    return {"version": __version__, "colormaps": {name: hex_colors(name) for name in names}}


def _write_json(path: Path, value: object) -> None:
    path.write_text(json.dumps(value, separators=(",", ":")), encoding="utf-8")


def _copy_runtime(runtime: Path | None, folder: Path) -> None:
    """Copies the files of ONNX Runtime Web that the page loads. Raises ConfigError."""
    if runtime is None or not runtime.exists():
        given = "is not part of streamdepth" if runtime is None else f"is not at '{runtime}'"
        raise ConfigError(f"ONNX Runtime Web {given}; {_hint()}", code="no-runtime")
    try:
        if runtime.is_dir():
            dist = runtime / "dist" if (runtime / "dist").is_dir() else runtime
            _copy_files(folder, lambda name: (dist / name).open("rb"))
        else:
            with tarfile.open(runtime) as archive:
                _copy_files(folder, lambda name: _member(archive, name))
    except (tarfile.TarError, EOFError, KeyError, FileNotFoundError) as error:
        raise ConfigError(
            f"'{runtime}' is not a usable package of ONNX Runtime Web ({error}); {_hint()}", code="bad-runtime"
        ) from error


def _copy_files(folder: Path, open_file: Callable[[str], IO[bytes]]) -> None:
    folder.mkdir()
    for name, name_on_page in _RUNTIME_FILES.items():
        with open_file(name) as source, (folder / name_on_page).open("wb") as target:
            shutil.copyfileobj(source, target)


def _member(archive: tarfile.TarFile, name: str) -> IO[bytes]:
    """Opens a file of an npm package. Raises KeyError where there is none."""
    found = archive.extractfile(f"package/dist/{name}")
    if found is None:
        raise KeyError(f"{name} is no file")
    return found


def _hint() -> str:
    return f"run `npm pack {RUNTIME}`, then give --onnxruntime-web the file {RUNTIME.replace('@', '-')}.tgz"
