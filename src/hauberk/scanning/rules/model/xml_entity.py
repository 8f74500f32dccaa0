"""XML model files that declare entities, include other documents or carry scripts."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from hauberk.core.card import Card
from hauberk.core.evidence import Severity
from hauberk.scanning.artifact import Artifact, Draft

_KINDS: dict[str, tuple[Severity, str]] = {
    "xml-entity": ("high", "declares the entity"),
    "xml-include": ("high", "includes another document:"),
    "xml-doctype": ("medium", "has a document type of another file:"),
    "xml-instruction": ("medium", "carries a processing instruction:"),
    "script-element": ("high", "carries a script element:"),
}


class XmlEntity:
    """Report what makes an XML parser open files, fetch addresses or run out of memory.

    What: a PMML or OpenVINO file declares an entity, includes a document, or carries a script.
    Why: a parser that expands entities reads local files into the model or asks other hosts (XXE), or expands a few
    lines to gigabytes; no model needs any of them.
    Bad: `<!ENTITY x SYSTEM "file:///etc/passwd">`. Good: elements and attributes only.
    Fix: do not load it; remove the declarations, and read XML with entities switched off.
    """

    card: ClassVar[Card] = Card(
        title="Entity or script in an XML model",
        summary="An XML model declares entities, includes documents or carries scripts.",
        paper="CWE-611; CWE-776; OWASP XML External Entity Prevention",
        threats=("CWE-611", "CWE-776", "OWASP-ML06", "OWASP-LLM03", "AML.T0010"),
        severity="high",
        reads=("references",),
    )

    def check(self, artifact: Artifact) -> Iterator[Draft]:
        """Yield one draft for each such fact."""
        for fact in artifact.references:
            if fact.kind in _KINDS:
                severity, words = _KINDS[fact.kind]
                yield Draft(
                    message=f"{words} {fact.value[:200]!r}",
                    fix="do not load it; remove it, and read XML with entities switched off",
                    severity=severity,
                    place=fact.place,
                )
