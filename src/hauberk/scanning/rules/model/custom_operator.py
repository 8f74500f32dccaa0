"""ONNX operators that the standard does not define."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from hauberk.core.card import Card
from hauberk.core.evidence import Severity
from hauberk.scanning.artifact import Artifact, Draft

_STANDARD = frozenset({"", "ai.onnx", "ai.onnx.ml", "ai.onnx.training", "ai.onnx.preview.training", "ai.onnx.preview"})
_RUNTIME = frozenset({"com.microsoft", "com.microsoft.nchwc", "com.microsoft.dml", "com.ms.internal.nhwc"})
_PYTHON = frozenset({"PyOp", "PythonOp", "PyFunc", "EagerPyFunc"})


class CustomOperator:
    """Report operators that need code from outside the model.

    What: a node uses a domain of neither the standard nor the runtime, and the model does not define it (medium); or
    it calls Python (high).
    Why: such an operator only runs with a native library registered by the application: whoever supplies the library
    runs code.
    Fix: know where the library comes from and pin it, or export the model with standard operators.
    """

    card: ClassVar[Card] = Card(
        title="Custom operator",
        summary="The ONNX graph needs operators from a library outside the model.",
        paper="CWE-829; ONNX operator specification",
        threats=("CWE-829", "AML.T0010"),
        severity="medium",
    )

    def check(self, artifact: Artifact) -> Iterator[Draft]:
        """Yield one draft for each such operator."""
        if artifact.format != "onnx_graph":
            return
        for operator in artifact.operators:
            python = operator.type in _PYTHON
            if python or operator.domain not in _STANDARD | _RUNTIME:
                name = f"{operator.domain}::{operator.type}"
                severity: Severity = "high" if python else "medium"
                yield Draft(
                    message=f"needs the operator {name[:200]} ({operator.count} times)",
                    fix="know where its library comes from and pin it, or export with standard operators",
                    severity=severity,
                    confidence="high" if python else "medium",
                )
