"""A dependency comes from an address instead of an index, unpinned or unprotected."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import ClassVar

from hauberk.core.card import Card
from hauberk.scanning.artifact import Artifact, Draft

_PLAIN = re.compile(r"(?:(?:git|hg|svn|bzr)\+)?(?:http|git|ftp)://(?!localhost|127\.)")
_PINNED = re.compile(r"@[0-9a-f]{40}\b|[?&]rev=[0-9a-f]{40}\b")
_REMOTE = re.compile(r"^(?!file:)(?:[a-z+]+://|[\w.-]+@[\w.-]+:)", re.I)


class DirectReference:
    """Find requirements from a branch, over plain HTTP, or from an archive without a hash.

    What: an address in place of an index. Why: a branch moves, plain HTTP can be replaced on the way, and no advisory
    names such a package.

    Bad: `git+https://example.org/a/b.git@main`. Good: `git+https://example.org/a/b.git@<40 digits>`. Fix: pin the
    commit, or add `#sha256=…`.
    """

    card: ClassVar[Card] = Card(
        title="Direct reference",
        summary="A dependency comes from an address instead of an index, unpinned or unprotected.",
        paper="CWE-494, CWE-829; OWASP LLM03",
        threats=("CWE-494", "CWE-829", "OWASP-LLM03"),
        severity="medium",
        reads=("requirements",),
    )

    def check(self, artifact: Artifact) -> Iterator[Draft]:
        """Judge every address."""
        for item in artifact.requirements:
            if not _REMOTE.search(item.url):
                continue
            name = item.name or "a package"
            if _PLAIN.match(item.url):
                yield Draft(
                    message=f"{name} comes over a channel that anyone on the way can change",
                    fix="use https or ssh",
                    severity="high",
                    place=item.place,
                )
            elif artifact.format != "lockfile" and not (item.hashed or _PINNED.search(item.url)):
                yield Draft(
                    message=f"{name} comes from an address whose content may change",
                    fix="pin the commit (@<40 digits>) or add #sha256=…",
                    place=item.place,
                )
