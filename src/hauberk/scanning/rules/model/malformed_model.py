"""Model and array files that do not hold what they announce."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from hauberk.core.card import Card
from hauberk.scanning.artifact import Artifact, Draft

_TITLES = {"numpy_array": "NumPy array", "onnx_graph": "ONNX model"}


class MalformedModel:
    """Report array and graph files that are broken.

    What: a length, shape or nesting that the bytes contradict, or bytes that belong to nothing.
    Why: native parsers have turned such files into memory errors, and surplus bytes hide a second content.
    Fix: fetch or export the file anew.
    """

    card: ClassVar[Card] = Card(
        title="Malformed model file",
        summary="An array or graph file contradicts its own header.",
        paper="CWE-1284; CWE-20",
        threats=("CWE-1284", "AML.T0010"),
        severity="medium",
    )

    def check(self, artifact: Artifact) -> Iterator[Draft]:
        """Yield one draft for each problem."""
        title = _TITLES.get(artifact.format)
        for problem in artifact.problems if title else ():
            if problem.kind != "limit":
                yield Draft(
                    message=f"not a well-formed {title}: {problem.message}",
                    fix="fetch or export the file anew",
                    place=problem.place,
                )
