from __future__ import annotations

import pickle

import pytest

from streamdepth.core.errors import MissingDependencyError, MissingSystemLibraryError
from streamdepth.core.system_libraries import missing_system_library


@pytest.mark.parametrize(
    ("kind", "library", "package", "is_opencvs"),
    [
        (ImportError, "libGL.so.1", "libgl1", True),
        (ImportError, "libgthread-2.0.so.0", "libglib2.0-0", True),
        (OSError, "libgomp.so.1", "libgomp1", False),
        (ImportError, "libusb-1.0.so.0", "libusb-1.0-0", False),
    ],
)
def test_what_to_install_is_named(kind: type[Exception], library: str, package: str, is_opencvs: bool) -> None:
    error = missing_system_library(kind(f"{library}: cannot open shared object file: No such file or directory"))
    assert error is not None
    assert error.code == "missing-system-library"
    assert f"{library}; " in str(error)
    assert f"apt-get install {package}" in str(error)
    assert ("opencv-python-headless" in str(error)) == is_opencvs


def test_an_unknown_library_is_named() -> None:
    error = missing_system_library(OSError("libfoo-1.so.7: cannot open shared object file: No such file or directory"))
    assert error is not None
    assert "libfoo-1.so.7" in str(error)


def test_a_package_that_is_there_but_lacks_a_library_is_not_called_missing() -> None:
    cause = ImportError("libX11.so.6: cannot open shared object file: No such file or directory")
    error = MissingDependencyError("open3d", "fusion", "fuse")
    error.__cause__ = cause
    found = missing_system_library(error)
    assert found is not None
    assert "libx11-6" in str(found)


@pytest.mark.parametrize(
    "error",
    [
        ImportError("No module named 'cv2'"),
        OSError("[Errno 2] No such file or directory: 'libGL.so.1'"),
        ValueError("libGL.so.1: cannot open shared object file"),
    ],
)
def test_other_errors_are_none(error: Exception) -> None:
    assert missing_system_library(error) is None


def test_it_passes_between_processes() -> None:
    error = pickle.loads(pickle.dumps(MissingSystemLibraryError("install it")))
    assert (type(error), str(error), error.code) == (
        MissingSystemLibraryError,
        "install it",
        "missing-system-library",
    )
