"""The confidence that an ONNX file gives beside depth: how a description names it, and how it becomes 0 to 1."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np

from streamdepth.core.arrays import DepthMap
from streamdepth.estimators.engines import FloatArray

_NUMBER = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?"
_NAME = r"(?P<output>[^\s<>=()]+)"
_TEXT = re.compile(
    rf"\s*(?:sigmoid\(\s*{_NAME}\s*\)|1\s*-\s*1\s*/\s*{_NAME.replace('output', 'odds')}"
    rf"|{_NAME.replace('output', 'plain')}(?:\s+/\s+(?P<divisor>{_NUMBER}))?)"
    rf"\s*(?:>=?\s*(?P<threshold>{_NUMBER}))?\s*"
)
_ROUNDING = 1e-3
"""Excess over 0 to 1 that rounding in a network of lower precision may cause."""


@dataclass(frozen=True, slots=True)
class Confidence:
    """An output of the file that says how far each pixel's depth can be trusted, and how its values become 0 to 1.

    >>> Confidence.parse("sigmoid(conf) > 0.3")
    Confidence(output='conf', form='sigmoid', divisor=1.0, threshold=0.3)
    """

    output: str
    form: str = "plain"
    """`plain`: its values over `divisor`. `sigmoid`: the file gives logits. `odds`: it gives 1 + exp(x), from 1 on, as
    DUSt3R, VGGT and Depth Anything 3 do, whose 1 - 1 / value is sigmoid(x)."""
    divisor: float = 1.0
    threshold: float | None = None
    """Pixels whose confidence is less than this are unknown; None keeps all."""

    @classmethod
    def parse(cls, text: str) -> Confidence:
        """Reads `conf`, `conf / 255`, `sigmoid(conf)` or `1 - 1 / conf`, and perhaps `> 0.5`. Raises ValueError."""
        match = _TEXT.fullmatch(text)
        divisor = float(match["divisor"] or 1) if match else 0.0
        if match is None or divisor <= 0:
            raise ValueError(
                "allowed are the name of an output such as `conf`, `conf / 255`, `sigmoid(conf)` and `1 - 1 / conf`, "
                "and behind it perhaps a threshold such as `> 0.5`"
            )
        form = "sigmoid" if match["output"] else "odds" if match["odds"] else "plain"
        threshold = None if match["threshold"] is None else float(match["threshold"])
        return cls(match["output"] or match["odds"] or match["plain"], form, divisor, threshold)

    def __str__(self) -> str:
        texts = {
            "sigmoid": f"sigmoid({self.output})",
            "odds": f"1 - 1 / {self.output}",
            "plain": self.output if self.divisor == 1 else f"{self.output} / {self.divisor:g}",
        }
        return texts[self.form] + ("" if self.threshold is None else f" > {self.threshold:g}")

    def normalize(self, values: FloatArray) -> FloatArray:
        """Returns what the output's values are as a confidence; within 0 to 1 if `form` is right for the file."""
        with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
            if self.form == "sigmoid":
                return np.asarray(1 / (1 + np.exp(-values)), np.float32)
            if self.form == "odds":
                return np.asarray(1 - 1 / values, np.float32)
            return np.asarray(values / np.float32(self.divisor), np.float32)


def is_confidence(values: DepthMap) -> bool:
    """Returns True if all values that are known lie within 0 to 1, but for rounding."""
    known = values[~np.isnan(values)]
    return not known.size or (float(known.min()) >= -_ROUNDING and float(known.max()) <= 1 + _ROUNDING)
