"""Writes what is made from the settings model: keywords.py and the reference in README.md.

Run it after every change of the model: python -m streamdepth.config.generate
"""

from __future__ import annotations

import re
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin

from streamdepth.config.reference import markdown
from streamdepth.config.settings import Setting, table
from streamdepth.core.render_options import DepthSize, Edges, Style

HERE = Path(__file__).parent

_GROUPS: tuple[tuple[str, str, str, tuple[str, ...]], ...] = (
    ("ModelKeywords", "", "The network that gives depth, besides its name, and the hardware it runs on.", ("model",)),
    (
        "EstimateKeywords",
        "ModelKeywords",
        "Settings that concern one picture.",
        (
            "max_side",
            "find_bars",
            "metric",
            *(f"camera.{name}" for name in ("info", "fov", "fx", "fy", "cx", "cy", "undistort")),
        ),
    ),
    (
        "StreamKeywords",
        "EstimateKeywords",
        "Settings of a stream of frames without outputs.",
        (
            *("max_frames", "max_seconds", "allow_partial", "wait_for_sources", "input_fps", "realtime", "smooth"),
            *("start", "end", "fps", "crop", "deinterlace", "gpu_decoding"),
            *("inference", "render", "camera", "network"),
        ),
    ),
    (
        "ConvertKeywords",
        "StreamKeywords",
        "Settings of a run that writes, shows or sends.",
        ("names", "outputs", "zones", "video", "robot"),
    ),
    ("SettingsKeywords", "ConvertKeywords", "All settings.", ("source", "streams", "cluster", "web")),
)
"""Each TypedDict: its name, the one it extends, its docstring, and the sections and keys that it adds."""
_ARGUMENTS = ("source", "model.name", "outputs.video")
"""Settings that functions take as arguments of their own; only SettingsKeywords has them."""
_NAMES: dict[Any, str] = {Style: "Style", Edges: "Edges", DepthSize: "DepthSize", types.NoneType: "None"}


def keywords_module() -> str:
    """Returns the source of keywords.py."""
    lines = [
        '"""Typed keyword arguments of the settings. Generated: python -m streamdepth.config.generate"""',
        "",
        "from __future__ import annotations",
        "",
        "from collections.abc import Mapping, Sequence",
        "from pathlib import Path",
        "from typing import Literal, TypedDict",
        "",
        "from streamdepth.core.render_options import DepthSize, Edges, Style",
    ]
    done: set[str] = set()
    for name, base, meaning, keys in _GROUPS:
        lines += ["", "", f"class {name}({base or 'TypedDict'}, total=False):", f'    """{meaning}"""', ""]
        for setting in _members(keys, done, has_arguments=name == "SettingsKeywords"):
            done.add(setting.keyword)
            lines += _entry(setting)
    return "\n".join(lines) + "\n"


def _members(keys: tuple[str, ...], done: set[str], *, has_arguments: bool) -> Iterator[Setting]:
    for setting in table().values():
        is_argument = setting.path in _ARGUMENTS
        is_member = setting.section in keys or setting.path in keys or (has_arguments and is_argument)
        if is_member and setting.keyword not in done and (has_arguments or not is_argument):
            yield setting


def _entry(setting: Setting) -> list[str]:
    return [f"    {setting.keyword}: {_type(setting)}", *_docstring(setting.meaning)]


def _docstring(text: str) -> list[str]:
    """Wraps a docstring at 120 columns, closing quotes on the last line."""
    lines, line = [], '    """'
    for word in text.split(" "):
        if len(line) + 1 + len(word) > 116:
            lines.append(line)
            line = f"    {word}"
        else:
            line += word if line.endswith('"""') else f" {word}"
    return [*lines, f'{line}"""']


def _type(setting: Setting) -> str:
    """Returns the types that the setting may be given as, in Python."""
    if setting.path == "source":
        return "str | int | Path | Sequence[str | int | Path]"
    if setting.path == "streams":
        return "Sequence[Mapping[str, object]]"
    annotation = setting.field.annotation
    if annotation == tuple[str, ...]:
        return "str | Sequence[str]"
    text = _spelled(annotation)
    takes_text = setting.path in ("outputs.segment", "camera.size")
    return f"str | {text}" if takes_text or "Path" in text else text


def _spelled(annotation: Any) -> str:
    if annotation in _NAMES:
        return _NAMES[annotation]
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Literal:
        return f"Literal[{', '.join(map(repr, arguments))}]".replace("'", '"')
    if origin in (Union, types.UnionType):
        return " | ".join(map(_spelled, arguments))
    if origin is tuple:
        return f"tuple[{', '.join(map(_spelled, arguments))}]"
    return str(annotation.__name__)


def readme(text: str) -> str:
    """Returns the README with the reference between its two marks."""
    begin, end = "<!-- reference -->", "<!-- end of reference -->"
    return re.sub(f"{begin}.*{end}", lambda _: f"{begin}\n\n{markdown()}\n{end}", text, flags=re.DOTALL)


def main() -> None:
    """Writes both files."""
    (HERE / "keywords.py").write_text(keywords_module(), encoding="utf-8")
    file = HERE / "README.md"
    file.write_text(readme(file.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
