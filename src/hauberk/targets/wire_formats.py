"""How a batch is written into a request and scores are read from a reply: JSON by template, Open Inference Protocol."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np

from hauberk.core.errors import ProjectError, TargetOutput
from hauberk.targets.exchange import Reply

_JSON = {"Content-Type": "application/json", "Accept": "application/json", "Accept-Encoding": "identity"}
_LENGTH = "Inference-Header-Content-Length"
_TYPES: dict[str, str] = {
    "FP64": "<f8",
    "FP32": "<f4",
    "FP16": "<f2",
    "INT64": "<i8",
    "INT32": "<i4",
    "INT16": "<i2",
    "INT8": "|i1",
    "UINT8": "|u1",
    "BOOL": "|b1",
}


class Request(NamedTuple):
    """A body and the headers that describe it."""

    body: bytes
    headers: dict[str, str]


class WireFormat(Protocol):
    """A way to write batches and read scores."""

    def write(self, x: np.ndarray) -> Request:
        """Write a batch (n, *shape) float32."""
        ...

    def read(self, reply: Reply) -> object:
        """Find the scores; raises TargetOutput where the reply is not what was agreed."""
        ...


@dataclass(frozen=True, slots=True)
class JsonTemplate:
    """JSON text with {{inputs}} in it, and a dotted path to the scores; "*" goes through every item of a list."""

    template: str
    path: str

    def __post_init__(self) -> None:
        """Refuse a template that can never be JSON."""
        if "{{inputs}}" not in self.template:
            raise ProjectError("has no {{inputs}} in it", where="model.http.request", fix='{"inputs": {{inputs}}}')
        try:
            json.loads(self.template.replace("{{inputs}}", "[]"))
        except ValueError as error:
            raise ProjectError(f"is not JSON: {error}", where="model.http.request") from error

    def write(self, x: np.ndarray) -> Request:
        """Put the batch as nested lists where the template says."""
        return Request(self.template.replace("{{inputs}}", json.dumps(x.tolist())).encode(), dict(_JSON))

    def read(self, reply: Reply) -> object:
        """Follow the path."""
        return _walk(_parsed(reply.body), [part for part in self.path.split(".") if part], "")


@dataclass(frozen=True, slots=True)
class OpenInference:
    """Open Inference Protocol, version 2; tensors as JSON or, by its binary extension, as raw little-endian bytes.

    entry: name and datatype of the input tensor. output: name of the tensor of scores, or empty for the first.
    """

    entry: str = "input"
    datatype: str = "FP32"
    output: str = ""
    binary: bool = False

    def __post_init__(self) -> None:
        """Refuse types that cannot carry inputs."""
        if self.datatype not in _TYPES:
            raise ProjectError(
                f"the model takes {self.datatype}", where="model.http", fix=f"known: {', '.join(_TYPES)}"
            )

    def write(self, x: np.ndarray) -> Request:
        """Write one input tensor."""
        values = np.ascontiguousarray(x, dtype=_TYPES[self.datatype])
        tensor: dict[str, object] = {"name": self.entry, "shape": list(x.shape), "datatype": self.datatype}
        message: dict[str, object] = {"inputs": [tensor]}
        if self.output:
            message["outputs"] = [{"name": self.output, "parameters": {"binary_data": self.binary}}]
        if not self.binary:
            tensor["data"] = values.ravel().tolist()
            return Request(json.dumps(message).encode(), dict(_JSON))
        tensor["parameters"] = {"binary_data_size": values.nbytes}
        message["parameters"] = {"binary_data_output": True}
        head = json.dumps(message).encode()
        headers = {"Content-Type": "application/octet-stream", _LENGTH: str(len(head)), "Accept-Encoding": "identity"}
        return Request(head + values.tobytes(), headers)

    def read(self, reply: Reply) -> object:
        """Find the tensor of scores; raw bytes are held against the sizes that the header states."""
        stated = reply.headers.get(_LENGTH.lower())
        size = len(reply.body) if stated is None else _whole(stated, "its header length")
        if size > len(reply.body):
            raise _odd(f"its header claims {size} of {len(reply.body)} bytes")
        message = _parsed(reply.body[:size])
        outputs = message.get("outputs") if isinstance(message, dict) else None
        if not isinstance(outputs, list):
            raise _odd("has no list of outputs")
        at = size
        for tensor in outputs:
            if not isinstance(tensor, dict):
                raise _odd("has an output that is not an object")
            raw = _binary_size(tensor)
            if self.output in ("", tensor.get("name")):
                return _values(tensor, reply.body[at : at + raw] if raw is not None else None)
            at += raw or 0
        raise _odd(f'has no output "{self.output}"')


def metadata(reply: Reply) -> OpenInference:
    """Read input and output names from a model's metadata; raises ProjectError where it takes more than one input."""
    message = _parsed(reply.body)
    if not isinstance(message, dict) or not isinstance(message.get("inputs"), list):
        raise _odd("gives no metadata of its inputs")
    inputs = [entry for entry in message["inputs"] if isinstance(entry, dict)]
    if len(inputs) != 1:
        raise ProjectError(
            f"the model takes {len(inputs)} inputs", where="model.http", fix="serve a model of one input"
        )
    return OpenInference(entry=str(inputs[0].get("name", "input")), datatype=str(inputs[0].get("datatype", "FP32")))


def _odd(what: str) -> TargetOutput:
    return TargetOutput(
        f"the reply {what}", where="model.http", fix="see that protocol and response path fit the server"
    )


def _parsed(body: bytes) -> object:
    try:
        parsed: object = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise _odd(f"is not JSON: {error}") from None
    return parsed


def _walk(value: object, path: list[str], done: str) -> object:
    for at, part in enumerate(path):
        if isinstance(value, list) and part == "*":
            return [_walk(item, path[at + 1 :], f"{done}.{part}") for item in value]
        if isinstance(value, Mapping) and part in value:
            value = value[part]
        elif isinstance(value, list) and part.isdigit() and int(part) < len(value):
            value = value[int(part)]
        else:
            there = ", ".join(map(str, list(value)[:6])) if isinstance(value, Mapping) else type(value).__name__
            raise _odd(f'has no "{part}" at "{done.lstrip(".")}", which holds {there}')
        done += f".{part}"
    return value


def _whole(value: object, what: str) -> int:
    text = str(value)
    if isinstance(value, bool) or not (text.isascii() and text.isdigit() and len(text) < 16):
        raise _odd(f"gives {text[:20]} as {what}")
    return int(text)


def _binary_size(tensor: Mapping[str, object]) -> int | None:
    parameters = tensor.get("parameters")
    if not isinstance(parameters, Mapping) or "binary_data_size" not in parameters:
        return None
    return _whole(parameters["binary_data_size"], "a binary size")


def _values(tensor: Mapping[str, object], raw: bytes | None) -> np.ndarray:
    kind = _TYPES.get(str(tensor.get("datatype")))
    shape = tensor.get("shape")
    if kind is None or not isinstance(shape, list) or not 0 < len(shape) < 8:
        raise _odd(f"has an output of type {tensor.get('datatype')} and shape {shape}")
    sizes = [_whole(size, "a size") for size in shape]
    if raw is not None:
        if len(raw) != math.prod(sizes) * np.dtype(kind).itemsize:
            raise _odd(f"gives {len(raw)} bytes for shape {sizes}")
        return np.frombuffer(raw, kind).reshape(sizes).copy()
    try:
        return np.asarray(tensor.get("data"), dtype=np.float64 if kind[1] == "f" else np.int64).reshape(sizes)
    except (TypeError, ValueError, OverflowError) as error:
        raise _odd(f"has data that does not fit shape {sizes}: {error}") from None
