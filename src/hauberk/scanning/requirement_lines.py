"""One dependency as PEP 508 writes it: name, exact pin, direct reference."""

from __future__ import annotations

import re

from packaging.requirements import InvalidRequirement
from packaging.requirements import Requirement as Parsed
from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.utils import canonicalize_name

from hauberk.scanning.artifact import NOWHERE, Place, Requirement

_EGG = re.compile(r"[#&]egg=([A-Za-z0-9][A-Za-z0-9._-]*)")
_WHEEL = re.compile(r"(?:^|/)([A-Za-z0-9][A-Za-z0-9._]*)-(\d[^-/]*)-[^/]*\.whl(?:[#?]|$)")
_URL = re.compile(r"(?:git|hg|svn|bzr)\+|[a-z][a-z0-9+.-]*://|file:", re.I)


def requirement(text: str, place: Place = NOWHERE, hashed: bool = False) -> Requirement | None:
    """Read one requirement; None where it is not one. A bare URL is one, named by its egg or wheel name."""
    text = text.strip()
    if _URL.match(text):
        egg, wheel = _EGG.search(text), _WHEEL.search(text)
        name = egg[1] if egg else wheel[1] if wheel else ""
        return Requirement(
            name=canonicalize_name(name) if name else "",
            specifier="",
            version=wheel[2] if wheel else None,
            hashed=hashed or "#sha256=" in text,
            url=text,
            place=place,
        )
    try:
        parsed = Parsed(text)
    except InvalidRequirement:
        return None
    return Requirement(
        name=canonicalize_name(parsed.name),
        specifier=str(parsed.specifier),
        version=pin_of(parsed.specifier),
        hashed=hashed or "#sha256=" in (parsed.url or ""),
        url=parsed.url or "",
        place=place,
    )


def pin_of(specifiers: SpecifierSet) -> str | None:
    """Return the one version a specifier allows, None where it allows several."""
    exact = [item for item in specifiers if item.operator in ("==", "===") and not item.version.endswith(".*")]
    return exact[0].version if len(exact) == 1 else None


def pin_of_text(specifier: str) -> str | None:
    """Return the one version a specifier's text allows, None where it allows several or cannot be read."""
    try:
        return pin_of(SpecifierSet(specifier))
    except InvalidSpecifier:
        return None
