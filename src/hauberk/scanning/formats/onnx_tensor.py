"""ONNX tensors in files of their own: initialisers kept apart, and the inputs and outputs of tests."""

from __future__ import annotations

from typing import ClassVar

from hauberk.core.card import Card
from hauberk.core.errors import LimitExceeded
from hauberk.core.limits import Limits
from hauberk.scanning.artifact import Artifact, Blob, Descend, Place, Problem, Reference
from hauberk.scanning.onnx_tensors import is_lone_tensor, tensor
from hauberk.scanning.payloads import payloads
from hauberk.scanning.watch import Watch
from hauberk.scanning.window import Window
from hauberk.scanning.wire import BrokenWire


class OnnxTensor:
    """Read one TensorProto: its shape held against its bytes, where its data lies, and what hides in it."""

    card: ClassVar[Card] = Card(
        title="ONNX tensor",
        summary="A single TensorProto, as ONNX test data and separate initialisers are kept.",
        paper="onnx/onnx.proto, TensorProto; onnx/onnx_data.proto",
        suffixes=(".pb", ".onnx_tensor"),
        by_name=True,
    )

    def sniff(self, blob: Blob) -> bool:
        """Accept a message that has a tensor's type and nothing a tensor has not."""
        if not blob.name.endswith((".pb", ".onnx_tensor")):
            return False
        with blob.open() as stream:
            return is_lone_tensor(Window(stream, blob.size))

    def parse(self, blob: Blob, limits: Limits, descend: Descend) -> Artifact:  # noqa: ARG002
        """Read the structure; the numbers are passed over."""
        references: list[Reference] = []
        problems: list[Problem] = []
        with blob.open() as stream:
            try:
                read = tensor(Window(stream, blob.size), 0, blob.size, Watch(limits))
                if read.fault:
                    problems.append(Problem(kind="malformed", message=read.fault, place=Place(offset=0)))
                if read.location:
                    references.append(Reference(kind="external-data", value=read.location))
                if read.location and read.end:
                    references.append(Reference(kind="external-span", value=f"{read.end} {read.location}"))
                references.extend(payloads(stream, blob.size, [read.raw] if read.raw else []))
            except BrokenWire as error:
                problems.append(Problem(kind="malformed", message=str(error), place=Place(offset=error.offset)))
            except LimitExceeded as error:
                problems.append(Problem(kind="limit", message=error.what))
        return Artifact(
            path=blob.path,
            part=blob.part,
            format="onnx_tensor",
            size=blob.size,
            references=tuple(references),
            problems=tuple(problems),
        )
