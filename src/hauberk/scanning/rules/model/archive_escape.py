"""Archive members that would be written outside the folder they are unpacked to."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from hauberk.core.card import Card
from hauberk.core.evidence import Severity
from hauberk.scanning.artifact import Artifact, Draft, Reference
from hauberk.scanning.members import link_leads_out, unsafe_name


class ArchiveEscape:
    """Report members with a path or a link that leads out, or a name that deceives.

    What: a member's name is absolute, climbs with "..", names a drive or holds a NUL; a link points out of the folder,
    or another member is written through it; a member is a device or pipe; a name holds control or direction characters.
    Why: unpacking writes or reads files anywhere the user may: start-up scripts, keys, other models.
    Bad: `../../.bashrc`; a link `out -> /home` followed by a member `out/.bashrc`. Good: a link `a.so -> a.so.1`. The
    layers of a container image are full of absolute links and devices, which are left alone there.
    Fix: do not unpack it; ask for an archive with plain relative names.
    """

    card: ClassVar[Card] = Card(
        title="Archive member leads out of its folder",
        summary="A member's path or link escapes the folder the archive is unpacked to.",
        paper="CWE-22; CWE-59; CVE-2007-4559; OWASP LLM03:2025",
        threats=("CWE-22", "CWE-59", "OWASP-LLM03", "AML.T0010", "CVE-2007-4559"),
        severity="high",
        reads=("references",),
    )

    def check(self, artifact: Artifact) -> Iterator[Draft]:
        """Yield one draft for each such member."""
        layer = any(note.name == "layout" for note in artifact.notes)
        for fact in artifact.references:
            told = _path(fact) if fact.kind == "member-path" else _other(fact, layer=layer)
            if told is not None:
                message, severity = told
                yield Draft(
                    message=message,
                    fix="do not unpack it; ask for an archive with plain relative names and no links that lead out",
                    severity=severity,
                    place=fact.place,
                )


def _path(fact: Reference) -> tuple[str, Severity]:
    if unsafe_name(fact.value):
        return f"the member {fact.value[:200]!r} leads out of the folder it is unpacked to", "high"
    return f"the name of the member {fact.value[:200]!r} holds control or direction characters", "medium"


def _other(fact: Reference, *, layer: bool) -> tuple[str, Severity] | None:
    """Judge a link, a device, or a member below a link; in an image's layer only what no layer needs."""
    shown = repr(fact.value[:200])
    name, _, target = fact.value.partition(" -> ")
    if fact.kind == "member-link" and not layer and link_leads_out(name, target):
        return f"the link {shown} points out of the folder it is unpacked to", "high"
    if fact.kind == "member-hardlink" and link_leads_out("", target.lstrip("/") if layer else target):
        return f"the hard link {shown} points out of the folder it is unpacked to", "high"
    if fact.kind == "member-below-link":
        return f"a member is written through a link of the archive: {shown}", "high"
    if fact.kind == "member-device" and not layer:
        return f"the member {shown} is a device or pipe", "high"
    return None
