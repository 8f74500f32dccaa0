"""Code that a model's own settings have its loader import."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from hauberk.core.card import Card
from hauberk.core.evidence import Severity
from hauberk.scanning.allowlist import standing
from hauberk.scanning.artifact import Artifact, Draft, Reference
from hauberk.scanning.members import unsafe_name

_WORDS = {
    "trusts-code": "switches the question off whether its code may run",
    "remote-kernel": "loads compiled code from a repository of its own",
    "named-path": "points out of the model's folder",
    "brings-code": "puts a folder of its own on Python's path",
}


class BroughtCode:
    """Report settings that make loading a model run code from its repository, or from another one.

    What: a class or pipeline in another repository (high), or in a file of this one (medium); a module to import that
    is not the framework's (medium), or one that runs commands (high); a file so named that starts programs, native
    libraries or code put together at run time, or that talks to hosts when it is imported (high); a switch that
    trusts such code, a compiled kernel from a hub, a path out of the folder (medium to high); code that an MLflow
    model brings along (low).
    Why: `trust_remote_code=True`, `mlflow.pyfunc.load_model` and pipelines of diffusers run these files with the
    user's rights. What another repository holds can change under the same name on any day.
    Bad: `"auto_map": {"AutoModel": "someone/else--modeling.Net"}`. Good: a `config.json` that names a known model_type.
    Fix: read the code, keep a copy, pin the revision; else take a model that the library knows.
    """

    card: ClassVar[Card] = Card(
        title="Model settings bring code along",
        summary="Loading the model would import code that its settings name.",
        paper="CWE-829; CWE-94; OWASP LLM03:2025; MITRE ATLAS AML.T0011",
        threats=("CWE-829", "CWE-94", "OWASP-LLM03", "OWASP-ML06", "AML.T0010", "AML.T0011"),
        severity="medium",
        reads=("references",),
    )

    def check(self, artifact: Artifact) -> Iterator[Draft]:
        """Yield one draft for each such setting."""
        told: set[str] = set()
        for fact in artifact.references:
            judged = _judged(fact)
            if judged is not None and fact.value not in told:
                told.add(fact.value)
                yield Draft(
                    message=f"{judged[0]}: {fact.value[:200]}",
                    fix="read the code, keep a copy of it and pin the revision; or take a model that needs none",
                    severity=judged[1],
                    place=fact.place,
                )


def _judged(fact: Reference) -> tuple[str, Severity] | None:
    """Word what a setting does and weigh it; None where it is another rule's matter."""
    target = fact.value.partition(": ")[2]
    if fact.kind == "acting-code":
        return "loading it runs code of its own that acts", "high"
    if fact.kind == "remote-code":
        if unsafe_name(target.replace("--", "/")):
            return "names code outside of any repository", "high"
        if "--" in target:
            return "loading it runs code from another repository", "high"
        return "loading it with trust_remote_code runs code of its own", "medium"
    if fact.kind == "named-import":
        dangerous = standing(target) in ("dangerous", "foreign")
        return "loading it imports a module that its settings name", "high" if dangerous else "medium"
    weight: dict[str, Severity] = {
        "trusts-code": "medium", "remote-kernel": "medium", "named-path": "high", "brings-code": "low"
    }  # fmt: skip
    return (_WORDS[fact.kind], weight[fact.kind]) if fact.kind in weight else None
