"""Small ONNX files with the inputs and outputs of well-known exports; their depth is arithmetic on the picture."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
_HEADER = '<ir_version: 8, opset_import: ["" : 17]>\n'

EXPORTS = {
    "depth-anything-v3-small/onnx/model.onnx": """
        g (float[batch,images,3,h,w] pixel_values) => (float[batch,images,h,w] predicted_depth,
            float[batch,images,h,w] confidence, float[batch,images,3,4] extrinsics,
            float[batch,images,3,3] intrinsics) {
          gray = ReduceMean<axes=[2], keepdims=0>(pixel_values)
          predicted_depth = Exp(gray)
          confidence = Exp(predicted_depth)
          one = ReduceMean<axes=[2,3,4], keepdims=0>(pixel_values)
          extrinsics_shape = Constant<value = int64[4] {1, 1, 3, 4}>()
          extrinsics = ConstantOfShape(extrinsics_shape)
          intrinsics_shape = Constant<value = int64[4] {1, 1, 3, 3}>()
          intrinsics = ConstantOfShape(intrinsics_shape)
        }""",
    "DA3MONO-LARGE.onnx": """
        g (float[1,3,280,504] image) => (float[1,1,280,504] depth, float[1,1,280,504] sky) {
          gray = ReduceMean<axes=[1], keepdims=1>(image)
          depth = Exp(gray)
          sky = Sigmoid(gray)
        }""",
    "video_depth_anything_vits.onnx": """
        g (float[batch,time,3,height,width] frames) => (float[batch,time,height,width] depth) {
          gray = ReduceMean<axes=[2], keepdims=0>(frames)
          first = ReduceMin<axes=[1], keepdims=1>(gray)
          depth = Sub(gray, first)
        }""",
    "zipdepth_base_384x384.onnx": """
        g (float[1,3,384,384] image) => (float[1,1,384,384] depth) {
          depth = ReduceMean<axes=[1], keepdims=1>(image)
        }""",
    "exported/model.onnx": """
        g (float[1,3,640,640] images) => (float[1,1,640,640] output0) {
          gray = ReduceMean<axes=[1], keepdims=1>(images)
          output0 = Exp(gray)
        }""",
    "moge-2-vits-normal-onnx/model.onnx": """
        g (float[batch_size,3,height,width] image, int64[] num_tokens) => (float[batch_size,height,width,3] points,
            float[batch_size,height,width,3] normal, float[batch_size,height,width] mask,
            float[batch_size] metric_scale) {
          two = Constant<value = float {2.0}>()
          one = Constant<value = float {1.0}>()
          doubled = Mul(image, two)
          centered = Sub(doubled, one)
          points = Transpose<perm=[0,2,3,1]>(centered)
          normal = Identity(points)
          gray = ReduceMean<axes=[1], keepdims=0>(image)
          large = Constant<value = float {1000.0}>()
          mask = Mul(gray, large)
          tokens = Cast<to=1>(num_tokens)
          thousands = Div(tokens, large)
          zero = Constant<value = float {0.0}>()
          mean = ReduceMean<axes=[1,2,3], keepdims=0>(image)
          zeros = Mul(mean, zero)
          metric_scale = Add(zeros, thousands)
        }""",
    "model-small.onnx": """
        g (float[1,3,256,256] x) => (float[1,256,256] y) {
          y = ReduceMean<axes=[1], keepdims=0>(x)
        }""",
    "midas_small.onnx": """
        g (float[1,3,256,256] input) => (float[1,256,256] depth) {
          depth = ReduceMean<axes=[1], keepdims=0>(input)
        }""",
    "depth-anything-v2-small/onnx/model.onnx": """
        g (float[batch_size,3,height,width] pixel_values) => (float[batch_size,height,width] predicted_depth) {
          predicted_depth = ReduceMean<axes=[1], keepdims=0>(pixel_values)
        }""",
    "depth_anything_v2_vits_14.onnx": """
        g (float[1,3,518,518] image) => (float[1,518,518] depth) {
          depth = ReduceMean<axes=[1], keepdims=0>(image)
        }""",
}
"""The path of a file, as people have it -> its graph."""
EXPORTS["depth-anything-v3-base/onnx/model.onnx"] = EXPORTS["depth-anything-v3-small/onnx/model.onnx"]
EXPORTS["DA3METRIC-LARGE.onnx"] = EXPORTS["DA3MONO-LARGE.onnx"]
_METADATA = {"exported/model.onnx": {"description": "Ultralytics YOLO26n-depth model", "license": "AGPL-3.0 License"}}
_NUMBERED = {"model-small.onnx": {"x": "0", "y": "797"}}
"""Names that the graph's notation cannot have."""


def write_onnx(path: Path, graph: str, metadata: Mapping[str, str] | None = None, **renamed: str) -> Path:
    """Writes a graph in ONNX's notation; `renamed` are values of the graph that get other names."""
    import onnx

    model: Any = onnx.parser.parse_model(_HEADER + graph)
    for node in model.graph.node:
        node.input[:] = [renamed.get(name, name) for name in node.input]
        node.output[:] = [renamed.get(name, name) for name in node.output]
    for value in (*model.graph.input, *model.graph.output):
        value.name = renamed.get(value.name, value.name)
    for key, text in (metadata or {}).items():
        entry = model.metadata_props.add()
        entry.key, entry.value = key, text
    path.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(model, str(path))
    return path


def write_export(folder: Path, name: str) -> Path:
    """Writes the file of EXPORTS that is called `name` into `folder`."""
    return write_onnx(folder / name, EXPORTS[name], _METADATA.get(name), **_NUMBERED.get(name, {}))
