"""Reading of untrusted YAML: plain values only, unique keys, and a limited size."""

from __future__ import annotations

import io
from typing import Any

import yaml
from yaml.constructor import ConstructorError
from yaml.nodes import CollectionNode, MappingNode, Node, ScalarNode

_MAX_CHARACTERS = 2**20
_MAX_VALUES = 20_000
"""Limit for the number of values in a file after aliases are expanded."""
_MAX_DEPTH = 50
_TOO_DEEP = f"it is nested too deeply; at most {_MAX_DEPTH} levels are read"


def load_yaml(text: str) -> Any:
    """Returns the plain values of a YAML text: dictionaries, lists, texts, numbers, booleans and None.

    Dates are texts. Raises only `yaml.YAMLError`: for text that is not YAML, duplicate keys, binary data and other
    types, more than a million characters or 20,000 values, and aliases that multiply or contain themselves. Its message
    quotes no line, which could hold a password.
    """
    if len(text) > _MAX_CHARACTERS:
        raise yaml.YAMLError(f"it has {len(text)} characters, and at most {_MAX_CHARACTERS} are read")
    loader = _StrictLoader(io.StringIO(text))  # of a text, errors would quote the line
    try:
        node = loader.get_single_node()
        if node is None:
            return None
        _check_size(node)
        return loader.construct_document(node)
    except RecursionError:
        raise yaml.YAMLError(_TOO_DEEP) from None
    finally:
        loader.dispose()


class _StrictLoader(yaml.SafeLoader):
    """The safe loader of PyYAML without dates, binary data, sets and duplicate keys."""

    yaml_implicit_resolvers = {  # noqa: RUF012 - PyYAML's own way to declare them
        first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }

    def fetch_flow_collection_start(self, TokenClass: Any) -> None:  # noqa: N803 - the name in PyYAML
        if self.flow_level > _MAX_DEPTH:  # each level makes all further ones slower to scan
            raise yaml.YAMLError(_TOO_DEEP)
        super().fetch_flow_collection_start(TokenClass)

    def construct_object(self, node: Node, deep: bool = False) -> Any:
        try:
            return super().construct_object(node, deep)
        except (ValueError, TypeError, OverflowError, AttributeError, KeyError, IndexError) as error:
            # PyYAML takes `0b_` for a number, and then cannot read it.
            raise ConstructorError(None, None, "found a value that cannot be read", node.start_mark) from error

    def construct_mapping(self, node: MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys: set[tuple[str, str]] = set()
        for key, _ in node.value:
            if isinstance(key, ScalarNode) and key.tag != "tag:yaml.org,2002:merge":
                if (key.tag, key.value) in keys:
                    raise ConstructorError(None, None, f"found the key '{key.value[:60]}' twice", key.start_mark)
                keys.add((key.tag, key.value))
        return super().construct_mapping(node, deep)


def _refuse(loader: _StrictLoader, node: Node) -> Any:
    kind = node.tag.rpartition(":")[2].lstrip("!")
    problem = f"found a value of the kind '{kind[:60]}', and only texts, numbers, lists and sections are read"
    raise ConstructorError(None, None, problem, node.start_mark)


for _kind in ("timestamp", "binary", "omap", "pairs", "set"):
    _StrictLoader.add_constructor(f"tag:yaml.org,2002:{_kind}", _refuse)


def _check_size(root: Node) -> None:
    """Raises YAMLError if aliases multiply the values beyond the limit, or a value contains itself."""
    sizes: dict[int, int] = {}

    def size(node: Node, depth: int) -> int:
        if not isinstance(node, CollectionNode):
            return 1
        if depth > _MAX_DEPTH:
            raise yaml.YAMLError(_TOO_DEEP)
        if id(node) not in sizes:
            sizes[id(node)] = _MAX_VALUES  # what it has while it contains itself
            children = (part for item in node.value for part in (item if isinstance(item, tuple) else (item,)))
            sizes[id(node)] = 1 + sum(size(child, depth + 1) for child in children)
        return sizes[id(node)]

    if size(root, 0) > _MAX_VALUES:
        raise yaml.YAMLError(f"it has more than {_MAX_VALUES} values, with its aliases written out")
