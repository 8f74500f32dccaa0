"""Model and array files that do not hold what they announce."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from hauberk.core.card import Card
from hauberk.scanning.artifact import Artifact, Draft

_TITLES = {
    "numpy_array": "NumPy array",
    "onnx_graph": "ONNX model",
    "onnx_tensor": "ONNX tensor",
    "claimed_model": "model file",
}


class MalformedModel:
    """Report array and graph files that are broken, and files that are named like a model and begin like none.

    What: a length, shape or nesting that the bytes contradict, bytes that belong to nothing, or a model's ending on
    bytes that no loader of such files knows. A pointer of Git LFS in a model's place is only mentioned.
    Why: native parsers have turned such files into memory errors, and surplus bytes hide a second content. A file that
    no format reads was not judged at all, so its name must not pass for a verdict.
    Bad: `model.pt` that begins with random bytes. Good: `model.pt` as torch.save writes it.
    Fix: fetch or export the file anew.
    """

    card: ClassVar[Card] = Card(
        title="Malformed model file",
        summary="An array or graph file contradicts its own header, or a model's name its bytes.",
        paper="CWE-1284; CWE-20; OWASP ML06:2023",
        threats=("CWE-1284", "CWE-20", "OWASP-ML06", "AML.T0010"),
        severity="medium",
        reads=("problems",),
    )

    def check(self, artifact: Artifact) -> Iterator[Draft]:
        """Yield one draft for each problem."""
        title = _TITLES.get(artifact.format)
        for problem in artifact.problems if title else ():
            if problem.kind not in ("limit", "encrypted"):
                yield Draft(
                    message=f"not a well-formed {title}: {problem.message}",
                    fix="fetch or export the file anew",
                    severity="info" if "Git LFS" in problem.message else None,
                    place=problem.place,
                )
