"""What archives of any kind say about their members: names that lead elsewhere or deceive, links, repeated names."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator

_DRIVE = re.compile(r"[A-Za-z]:|[A-Za-z][A-Za-z0-9+.-]+://")
_DECEIVING = re.compile(r"[\x00-\x1f\x7f\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff\U000e0000-\U000e007f]")


def unsafe_name(name: str) -> bool:
    """Say whether a member's name leads out of the folder it is unpacked to: absolute, "..", a drive, a URI, a NUL."""
    plain = name.replace("\\", "/")
    return plain.startswith("/") or ".." in plain.split("/") or "\x00" in name or bool(_DRIVE.match(plain))


def deceiving_name(name: str) -> bool:
    """Say whether a name holds control or direction characters, and so reads as something else than it is."""
    return _DECEIVING.search(name) is not None


def link_leads_out(name: str, target: str) -> bool:
    """Say whether a symbolic link called `name` points out of the folder it is unpacked to."""
    plain = target.replace("\\", "/")
    if plain.startswith("/") or "\x00" in target or _DRIVE.match(plain):
        return True
    depth = 0
    for step in [*name.replace("\\", "/").split("/")[:-1], *plain.split("/")]:
        depth += -1 if step == ".." else step not in ("", ".")
        if depth < 0:
            return True
    return False


def below_links(names: Iterable[str], links: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Yield the members that are written through a link of the same archive, with that link."""
    known = {link.strip("/") for link in links} - {""}
    for name in names if known else ():
        place = name.find("/")
        while place >= 0:
            if name[:place] in known:
                yield name, name[:place]
                break
            place = name.find("/", place + 1)


def repeated(names: Iterable[str]) -> Iterator[str]:
    """Word which names occur twice."""
    for name, count in Counter(names).items():
        if count > 1:
            yield f"{count} members are named {name[:100]!r}: readers take different ones"


def colliding(names: Iterable[str]) -> Iterator[str]:
    """Word which names differ only in case or composition: miniz, and so torch, and some systems take them for one."""
    alike: dict[str, str] = {}
    for name in names:
        other = alike.setdefault(unicodedata.normalize("NFC", name).casefold(), name)
        if other != name:
            yield f"members {other[:100]!r} and {name[:100]!r} are one file to readers that ignore case"


def too_much(name: str, packed: int, cap: int) -> str:
    """Word that a member unpacks to more than it may."""
    return f"member {name[:100]!r} unpacks from {packed} to more than {cap} bytes; what fits was read"
