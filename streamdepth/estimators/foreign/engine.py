"""The engine of an ONNX file of another program: brings pictures into its layout, and its outputs into one order."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from streamdepth.core.errors import InferenceError
from streamdepth.core.futures import Future
from streamdepth.estimators.engines import Engine, FloatArray, Pixels, as_array
from streamdepth.estimators.foreign.description import Description
from streamdepth.estimators.foreign.interface import fixed_batch
from streamdepth.estimators.foreign.runtimes import AnyArray, Arrays, Runtime


class ForeignEngine(Engine):
    """Runs an ONNX file as its description says.

    Outputs are those of `Description.outputs`, in that order, the batch first: maps (N, h, w), maps of points
    (N, h, w, 3), and values (N,). A file that takes fewer pictures at a time is run several times; one that takes more
    gets the last one again.
    """

    def __init__(self, runtime: Runtime, description: Description) -> None:
        self._runtime, self._description = runtime, description
        self.name, self.max_in_flight = runtime.name, runtime.max_in_flight
        self.precision, self.reason = runtime.precision, runtime.reason
        self._port = runtime.interface.pictures
        self._batch = fixed_batch(self._port, description.layout)
        self._further = {
            port.name: np.full([n if isinstance(n, int) else 1 for n in port.shape], description.inputs[port.name])
            .astype(port.type)
            for port in runtime.interface.inputs
            if description.inputs and port is not self._port
        }  # fmt: skip

    @property
    def runs_on(self) -> str:
        return self._runtime.runs_on

    def run(self, pixels: Pixels) -> tuple[FloatArray, ...]:
        return self.submit(pixels).result()

    def submit(self, pixels: Pixels) -> Future[tuple[FloatArray, ...]]:
        array, names = as_array(pixels), self._description.outputs
        runs = [(self._runtime.start(self._feeds(p), names), len(p), kept) for p, kept in self._batches(array)]
        return _PendingOutputs(runs, names)

    def _batches(self, pixels: FloatArray) -> Iterator[tuple[FloatArray, int]]:
        """Yields as many pictures as the file takes at a time, and how many of them are kept."""
        size = self._batch or (len(pixels) if self._description.layout == "1NCHW" else 1)
        for first in range(0, len(pixels), size):
            part = pixels[first : first + size]
            missing = self._batch - len(part) if self._batch else 0
            yield (np.concatenate([part, np.repeat(part[-1:], missing, 0)]) if missing else part), len(part)

    def _feeds(self, pixels: FloatArray) -> Arrays:
        if self._description.color == "bgr":
            pixels = pixels[:, ::-1]
        if self._description.layout == "NHWC":
            pixels = pixels.transpose(0, 2, 3, 1)
        elif self._description.layout != "NCHW":
            pixels = np.expand_dims(pixels, self._description.layout.index("1"))
        return {self._port.name: np.ascontiguousarray(pixels.astype(self._port.type)), **self._further}

    def close(self) -> None:
        self._runtime.close()


@dataclass(frozen=True, slots=True)
class _PendingOutputs:
    """The outputs of several runs of the file, which belong to one batch."""

    runs: Sequence[tuple[Future[list[AnyArray]], int, int]]
    """Each run, its number of pictures, and how many of them are kept."""
    names: Sequence[str]

    def result(self) -> tuple[FloatArray, ...]:
        runs = [(future.result(), taken, kept) for future, taken, kept in self.runs]
        return tuple(
            np.concatenate([_pictures_first(outputs[i], taken, name)[:kept] for outputs, taken, kept in runs])
            for i, name in enumerate(self.names)
        )


def _pictures_first(output: AnyArray, count: int, name: str) -> FloatArray:
    """Returns an output of `count` pictures as maps (N, h, w), points (N, h, w, 3) or values (N,).

    Raises InferenceError for any other shape.
    """
    values = output.astype(np.float32)
    if values.size == count:
        return values.reshape(count)
    if values.ndim >= 4 and values.shape[-1] == 1:
        values = values[..., 0]
    if values.ndim == 4 and values.shape[-1] == 3 and len(values) == count:
        return values
    height, width = values.shape[-2:] if values.ndim > 1 else (0, 0)
    is_row = values.ndim == 2 and height == 1  # of numbers that belong to one picture
    if is_row or values.size != count * height * width:
        raise InferenceError(
            f"the output {name!r} has the shape {output.shape} for a batch of {count}, which is neither one map of "
            "depth for each picture nor one of points; name another output in the description",
            code="bad-output",
        )
    return values.reshape(count, height, width)
