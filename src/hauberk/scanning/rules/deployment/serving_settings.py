"""A model server is configured to be run by anyone."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from hauberk.core.card import Card
from hauberk.scanning.artifact import Artifact, Draft
from hauberk.scanning.serving_faults import FAULTS


class ServingSettings:
    """Find settings of model servers, notebooks and vector stores that open management, code or files to anyone.

    What: TorchServe's management on every interface, `install_py_dep_per_model`, `enable_model_api`; Triton's model
    control over HTTP; Jupyter without token; `allow_origin = '*'`; LiteLLM without a master key; Qdrant or Weaviate
    without a key.
    Why: TorchServe's open management ran code in 2023 (ShellTorch), Ray's dashboard in 2024 (ShadowRay), Triton's in
    2025.
    Bad: `management_address=http://0.0.0.0:8081`.
    Good: `management_address=http://127.0.0.1:8081`.
    Fix: keep management on loopback and model control off; turn the server's own authentication on.
    """

    card: ClassVar[Card] = Card(
        title="Serving settings",
        summary="A model server's settings open management, code or files to anyone.",
        paper="CWE-306, CWE-1188; CVE-2023-43654; CVE-2023-48022; OWASP LLM10; MITRE ATLAS AML.T0049",
        threats=("CWE-306", "CWE-1188", "AML.T0049"),
        severity="high",
        reads=("instructions",),
    )

    def check(self, artifact: Artifact) -> Iterator[Draft]:
        """Judge settings, variables and command lines by one table."""
        for item in artifact.instructions:
            for fault in FAULTS:
                if item.keyword in fault.keywords and fault.pattern.search(item.value):
                    if fault.unless is not None and fault.unless.search(item.value):
                        continue
                    yield Draft(message=fault.message, fix=fault.fix, severity=fault.severity, place=item.place)
                    break
        yield from _missing(artifact)


def _missing(artifact: Artifact) -> Iterator[Draft]:
    """Judge what should have been said."""
    settings = {item.value.partition("=")[0] for item in artifact.instructions if item.keyword == "SETTING"}
    if (
        any(document.kind == "litellm" for document in artifact.documents)
        and "general_settings.master_key" not in settings
    ):
        yield Draft(
            message="LiteLLM has no master_key here: everyone who reaches it uses your providers' keys",
            fix="set general_settings.master_key from the environment",
            severity="low",
            confidence="medium",
        )
