"""An ONNX graph as a torch module: weights become parameters, nodes run in order, gradients flow."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
import onnx
import torch
from onnx import numpy_helper

from hauberk.targets.onnx_operators.attributes import Attributes, Operator, Unsupported, Value
from hauberk.targets.onnx_operators.table import OPERATORS

DEFAULT_DOMAINS = ("", "ai.onnx")
Step: TypeAlias = tuple[Operator, Attributes, tuple[str, ...], tuple[str, ...], tuple[str, ...], str]


class OnnxModule(torch.nn.Module):
    """Run a graph of one input and take its first output, or the one named.

    Floating-point initializers are parameters (without gradient until asked for), the others are buffers. Values are
    freed after their last use. Raises Unsupported at construction for an operator that is not known.
    """

    def __init__(self, model: onnx.ModelProto, output: str = "") -> None:
        super().__init__()
        graph = model.graph
        self._names: dict[str, str] = {}
        for place, tensor in enumerate(graph.initializer):
            self._add(f"w{place}", tensor)
        fed = [value.name for value in graph.input if value.name not in self._names]
        if len(fed) != 1:
            raise Unsupported(f"a graph of {len(fed)} inputs")
        self._input = fed[0]
        self._output = output or graph.output[0].name
        opset = max((entry.version for entry in model.opset_import if entry.domain in DEFAULT_DOMAINS), default=1)
        self._steps = _steps(graph.node, opset, self._output)

    def _add(self, slot: str, tensor: onnx.TensorProto) -> None:
        value = torch.from_numpy(np.array(numpy_helper.to_array(tensor)))
        self._names[tensor.name] = slot
        if value.is_floating_point():
            self.register_parameter(slot, torch.nn.Parameter(value, requires_grad=False))
        else:
            self.register_buffer(slot, value)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Score x; the graph's own shapes hold."""
        values: dict[str, torch.Tensor | None] = {name: getattr(self, slot) for name, slot in self._names.items()}
        values[""] = None
        values[self._input] = x
        for operator, attributes, inputs, outputs, dead, name in self._steps:
            try:
                made = operator([values[key] for key in inputs], attributes)
            except KeyError as error:
                raise Unsupported(f"{name} reads {error}, which nothing makes") from error
            for key, value in zip(outputs, made if isinstance(made, tuple) else (made,), strict=False):
                values[key] = value
            for key in dead:
                del values[key]
        result = values[self._output]
        if result is None:
            raise Unsupported(f"output {self._output} is empty")
        return result


def unsupported(model: onnx.ModelProto) -> tuple[str, ...]:
    """Name the operators of a graph that are not known, sorted."""
    return tuple(sorted({_name(node) for node in model.graph.node if not _known(node)}))


def _known(node: onnx.NodeProto) -> bool:
    return node.domain in DEFAULT_DOMAINS and node.op_type in OPERATORS


def _name(node: onnx.NodeProto) -> str:
    return node.op_type if node.domain in DEFAULT_DOMAINS else f"{node.domain}.{node.op_type}"


def _steps(nodes: Sequence[onnx.NodeProto], opset: int, output: str) -> list[Step]:
    """Turn nodes into steps, each with the values that are not read after it."""
    last: dict[str, int] = {}
    for place, node in enumerate(nodes):
        for key in node.input:
            last[key] = place
    made = {key for node in nodes for key in node.output}
    steps: list[Step] = []
    for place, node in enumerate(nodes):
        if not _known(node):
            raise Unsupported(_name(node))
        values = {attribute.name: _value(attribute, node) for attribute in node.attribute}
        inputs, outputs = tuple(node.input), tuple(node.output)
        dead = tuple({key for key in inputs if key in made and last[key] == place and key != output})
        named = sum(1 for key in outputs if key)
        steps.append((OPERATORS[node.op_type], Attributes(values, opset, named), inputs, outputs, dead, _name(node)))
    return steps


def _value(attribute: onnx.AttributeProto, node: onnx.NodeProto) -> Value:
    """Read one attribute; a sub-graph is not supported."""
    value = onnx.helper.get_attribute_value(attribute)
    if isinstance(value, onnx.TensorProto):
        return torch.from_numpy(np.array(numpy_helper.to_array(value)))
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if isinstance(value, int | float):
        return value
    if isinstance(value, onnx.GraphProto | onnx.SparseTensorProto | onnx.TypeProto):
        raise Unsupported(f"{_name(node)} with {type(value).__name__}")
    items = list(value)
    return [item.decode("utf-8", "replace") if isinstance(item, bytes) else item for item in items]
