"""One known weakness of a package and the versions it affects, by OSV's reading of ranges."""

from __future__ import annotations

from functools import lru_cache

import msgspec
from packaging.specifiers import SpecifierSet
from packaging.version import InvalidVersion, Version

from hauberk.core.evidence import Confidence, Severity


class Range(msgspec.Struct, frozen=True, array_like=True):
    """Versions from `introduced` (empty: the first) up to, without, `fixed`, or up to, with, `last`.

    Order is that of PEP 440 alone: 2.0rc1 lies before 2.0 and is affected by what 2.0 fixed, unlike in a specifier.
    """

    introduced: str = ""
    fixed: str = ""
    last: str = ""

    def holds(self, version: Version) -> bool:
        """Tell whether a version lies in the range; a bound that is no version bounds nothing."""
        low, fixed, last = parsed(self.introduced), parsed(self.fixed), parsed(self.last)
        if low is not None and version < low:
            return False
        return not (fixed is not None and version >= fixed) and not (last is not None and version > last)

    def bounds(self) -> tuple[Version, ...]:
        """Return the versions the range names."""
        named = (self.introduced, self.fixed, self.last)
        return tuple(found for text in named if (found := parsed(text)) is not None)


class Advisory(msgspec.Struct, frozen=True, array_like=True):
    """A weakness. aliases: its other identifiers. rated: False where no source gives a severity and ours is read

    from its text. confidence: "medium" where a range was recalled rather than read.
    """

    id: str
    aliases: tuple[str, ...]
    ranges: tuple[Range, ...]
    severity: Severity
    title: str
    confidence: Confidence = "high"
    rated: bool = True

    @property
    def names(self) -> frozenset[str]:
        """All identifiers."""
        return frozenset((self.id, *self.aliases))

    @property
    def malicious(self) -> bool:
        """Tell a package that was planted from one that has a fault."""
        return any(
            name.startswith(("MAL-", "malicious", "supply-chain", "dependency confusion")) for name in self.names
        )

    def affects(self, version: Version) -> bool:
        """Tell whether a version is affected; a local label such as +cu121 changes nothing."""
        public = Version(version.public) if version.local else version
        return any(part.holds(public) for part in self.ranges)

    def fix_after(self, version: Version) -> str:
        """Return the first release after `version` that is not affected; empty where none is named."""
        fixes = sorted({found for part in self.ranges if (found := parsed(part.fixed)) is not None})
        return next((str(fix) for fix in fixes if fix > version and not self.affects(fix)), "")

    @property
    def fixed(self) -> str:
        """The last fix named, empty where there is none."""
        fixes = [found for part in self.ranges if (found := parsed(part.fixed)) is not None]
        return str(max(fixes)) if fixes else ""


@lru_cache(maxsize=1 << 16)
def parsed(text: str) -> Version | None:
    """Read a version; None for none and for what PEP 440 does not know."""
    try:
        return Version(text) if text else None
    except InvalidVersion:
        return None


def ranges_of(specifier: str) -> tuple[Range, ...]:
    """Read alternatives of PEP 440 specifiers, joined by "||", as ranges: ">=1,<1.2 || ==1.3.1"."""
    return tuple(_range(SpecifierSet(part)) for part in specifier.split("||"))


def _range(specifiers: SpecifierSet) -> Range:
    low = fixed = last = ""
    for item in specifiers:
        if item.operator == "==":
            low = last = item.version
        elif item.operator == ">=":
            low = "" if item.version == "0" else item.version
        elif item.operator == "<":
            fixed = item.version
        elif item.operator == "<=":
            last = item.version
        else:
            raise ValueError(f"an advisory's range knows no {item.operator}")
    return Range(low, fixed, last)
