"""Keras layers with code of their own inside a TensorFlow saved model."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from hauberk.core.card import Card
from hauberk.scanning.artifact import Artifact, Draft


class KerasInGraph:
    """Report Lambda layers in the keras metadata of a saved model.

    What: the layer list that keras writes beside the graph holds a Lambda layer.
    Why: `keras.models.load_model` builds layers from that list before it looks at the graph, and a Lambda is marshalled
    Python bytecode that it restores and runs (CVE-2024-3660).
    Bad: `{"class_name": "Lambda", …}`. Good: layers of keras itself.
    Fix: load the graph alone with tf.saved_model.load, or ask for a model without Lambda layers.
    """

    card: ClassVar[Card] = Card(
        title="Lambda layer in a saved model",
        summary="The keras metadata of a SavedModel holds bytecode.",
        paper="CWE-502; CWE-94; CVE-2024-3660",
        threats=("CWE-502", "CWE-94", "OWASP-ML06", "OWASP-LLM03", "AML.T0011", "CVE-2024-3660"),
        severity="high",
        reads=("operators",),
    )

    def check(self, artifact: Artifact) -> Iterator[Draft]:
        """Yield one draft for the Lambda layers of a graph."""
        if artifact.format != "tensorflow_graph":
            return
        for operator in artifact.operators:
            if operator.domain == "keras" and operator.type in ("Lambda", "TorchModuleWrapper"):
                yield Draft(
                    message=f"its keras metadata holds {operator.count} layer(s) of the class {operator.type}",
                    fix="load the graph alone, or ask for a model without such layers",
                )
