"""The graphs of OpenVINO's models: their last layers, and the precision of those."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from xml.etree import ElementTree

_WEIGHTED_LAYERS = (
    "Convolution",
    "GroupConvolution",
    "ConvolutionBackpropData",
    "GroupConvolutionBackpropData",
    "MatMul",
)


def last_weighted_layers(model: Any) -> list[str]:
    """Returns the names of the last weighted layers before each output of OpenVINO's model."""
    found: list[str] = []
    seen: set[str] = set()
    todo = list(model.get_results())
    while todo:
        node = todo.pop()
        name = node.get_friendly_name()
        if name in seen:
            continue
        seen.add(name)
        if node.get_type_name() in _WEIGHTED_LAYERS:
            found.append(name)
        else:
            todo += [entry.get_source_output().get_node() for entry in node.inputs()]
    return found


def keep_outputs_in_float32(path: Path) -> None:
    """Makes OpenVINO compute the network's last weighted layers in float32, whatever the rest is computed in.

    A bfloat16 has 8 significant bits: as the last layer's result it would cut depth into visible steps. path: the
    model's .xml file, which is changed in place.
    """
    tree = ElementTree.parse(path)
    layers = {layer.attrib["id"]: layer for layer in tree.iter("layer")}
    edges = [(edge.attrib["from-layer"], edge.attrib["to-layer"]) for edge in tree.iter("edge")]
    todo = {number for number, layer in layers.items() if layer.attrib["type"] == "Result"}
    seen: set[str] = set()
    while todo := todo - seen:
        seen |= todo
        for number in todo:
            _mark_precise(layers[number])
        weighted = {number for number in todo if layers[number].attrib["type"] in _WEIGHTED_LAYERS}
        todo = {start for start, end in edges if end in todo - weighted}
    tree.write(path, encoding="utf-8", xml_declaration=True)


def _mark_precise(layer: ElementTree.Element) -> None:
    if layer.attrib["type"] not in (*_WEIGHTED_LAYERS, "Interpolate"):
        return
    runtime_info = layer.find("rt_info")
    if runtime_info is None:
        runtime_info = ElementTree.Element("rt_info")
        layer.insert(1 if layer.find("data") is not None else 0, runtime_info)
    ElementTree.SubElement(runtime_info, "attribute", {"name": "precise", "version": "0"})
