"""Settings of the network that gives depth, of its rate and its batches."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, StringConstraints

from streamdepth.config.metadata import Flag, NoEffectOnResult
from streamdepth.config.sections.base import Section
from streamdepth.config.values import parse_pairs, parse_rate


class ModelSettings(Section):
    """The network that gives depth, and the hardware it runs on."""

    title = "Model"

    name: Annotated[str, Flag("--model", "-m", is_common=True)] = "nano"
    """nano, a short name of `streamdepth models`, metric or best (the best free model for this machine), a hub id, a
    local folder, nano's weights (.safetensors), an ONNX file (.onnx), or a folder that quantize wrote."""
    description: Annotated[
        tuple[str, ...], BeforeValidator(parse_pairs), Flag("--description", metavar="KEY=VALUE|NAME|PATH")
    ] = ()
    """How an ONNX file of another program is used, where no NAME.yaml beside it says it: pairs such as kind=metric and
    size=384, a ready description (streamdepth models --descriptions), or a YAML file. Repeatable."""
    size: Annotated[int | None, Flag("--size", is_common=True)] = Field(None, gt=0)
    """Short side of the network's input in px, larger is sharper and slower; by default the model's own."""
    engine: Annotated[str, Flag("--engine")] = "auto"
    """Runtime of the network: auto, torch, openvino or onnx."""
    device: Annotated[str, StringConstraints(to_lower=True), Flag("--device", is_common=True)] = "auto"
    """auto, cpu, cuda, cuda:1 or mps; several GPUs that share the work, cuda:0,cuda:1; with OpenVINO gpu, gpu.1, npu or
    the first of a list such as auto:gpu,cpu; with ONNX Runtime coreml or directml."""
    precision: Annotated[str, Flag("--precision")] = "auto"
    """Number format of the network: auto, float32, float16 or bfloat16."""
    precision_limit: float | None = Field(0.05, ge=0)
    """Greatest difference of reduced precision from float32, as a share of the depth's spread, before float32 is used
    instead; null never checks."""
    compile: Annotated[bool, Flag("--compile")] = False
    """Use torch.compile, with CUDA graphs: faster on a GPU after a minute of preparation."""
    threads: Annotated[int | None, NoEffectOnResult()] = Field(None, ge=1)
    """Number of CPU threads for the network; by default the engine chooses."""
    throughput: Annotated[bool | None, NoEffectOnResult()] = None
    """Prefer frames per second over the latency of each frame; by default where all sources are files."""
    accept_license: Annotated[bool, Flag("--accept-license"), NoEffectOnResult()] = False
    """Use weights whose license forbids commercial use."""
    allow_pickle: Annotated[bool, Flag("--allow-pickle"), NoEffectOnResult()] = False
    """Load weights that are not safetensors; such files can run code."""


class InferenceSettings(Section):
    """Rate and batch size of the network."""

    title = "Inference"
    keyword_prefix = "inference_"

    fps: Annotated[
        Literal["auto"] | float | None, BeforeValidator(parse_rate), Flag("--inference-fps", metavar="HZ|auto")
    ] = None
    """Run the network so many times per second, or auto: as often as it can beside a live stream. Frames in between
    get the last depth, warped along optical flow. By default it runs on every frame."""
    batch: Annotated[int, Flag("--batch")] = Field(1, ge=1, le=256)
    """Largest number of frames that the network gets at a time."""
    target_fps: Annotated[float | None, Flag("--target-fps")] = Field(None, gt=0)
    """Frames per second that a live stream should reach: the network's input shrinks, and with --inference-fps it runs
    less often, until it does."""
    max_latency_ms: Annotated[float | None, Flag("--max-latency-ms")] = Field(None, gt=0)
    """Largest latency of a live stream's frames, from capture to output; it is reached as --target-fps is."""
