"""Torch files in the tar layout of before 2017."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from hauberk.core.card import Card
from hauberk.scanning.artifact import Artifact, Draft


class LegacyTorch:
    """Report torch files in the tar layout, which nothing has written since 2017.

    What: a tar with the members sys_info, pickle and storages.
    Why: torch.load reads such files by an old path of its own. Up to torch 2.5 that path ran any pickle even with
    `weights_only=True` (CVE-2025-32434), so a tar in place of a checkpoint is a way around the safe loader.
    Bad: `model.pt` that is a tar. Good: `model.pt` as torch.save has written it since, or safetensors.
    Fix: load it once in a sandbox and save it anew as safetensors; use torch 2.6 or newer.
    """

    card: ClassVar[Card] = Card(
        title="Torch file in the tar layout",
        summary="A layout that torch reads by an old path, around the safe loader of earlier releases.",
        paper="CWE-502; CVE-2025-32434; OWASP ML06:2023",
        threats=("CWE-502", "OWASP-ML06", "AML.T0010", "AML.T0011", "CVE-2025-32434"),
        severity="medium",
        reads=("references",),
    )

    def check(self, artifact: Artifact) -> Iterator[Draft]:
        """Yield one draft for the file."""
        if any(fact.kind == "legacy-torch" for fact in artifact.references):
            yield Draft(
                message="a torch file in the tar layout of before 2017, which torch reads around its safe loader",
                fix="save it anew as safetensors from a sandbox; load with torch 2.6 or newer",
            )
