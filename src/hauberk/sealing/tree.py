"""What a folder holds: every file, link and empty folder by its name, sorted, nothing opened and no link followed."""

from __future__ import annotations

import os
import stat
import unicodedata
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath
from typing import Literal, NamedTuple, TypeAlias

from hauberk.crypto.file_digests import Still
from hauberk.sealing.faults import Fault, shown

Kind: TypeAlias = Literal["file", "link", "folder", "other"]
Links: TypeAlias = Literal["refuse", "record", "follow"]
"""What becomes of symbolic links: refuse; record the link and what it leads to inside the tree; follow to a file
wherever it lies, as the caches of model hubs need."""

WHOLE = "."
"""The name of the only file where a file is sealed, as model-signing has it."""

GIT_NAMES = (".git", ".gitattributes", ".github", ".gitignore")
NOT_UTF8 = "has a name that is not UTF-8"
MAX_FILES = 5_000_000


class Item(NamedTuple):
    """One name. target: the text of a link. Only empty folders are listed."""

    name: str
    kind: Kind
    target: str = ""


class Listing(NamedTuple):
    """Items in the order of a manifest, and what could not be looked at."""

    items: tuple[Item, ...]
    faults: tuple[Fault, ...]


def order(name: str) -> tuple[str, ...]:
    """Sort names as pathlib sorts paths: part by part."""
    return tuple(name.split("/"))


def below(name: str, folders: Iterable[str]) -> bool:
    """Say whether a name is one of some names or lies below one."""
    return any(name == folder or name.startswith(folder + "/") for folder in folders)


def is_proper(name: str) -> bool:
    """Say whether a name from a manifest stays inside the folder: relative, no "..", nothing that normalises."""
    if name == WHOLE:
        return True
    if not name or "\x00" in name or name.startswith("/") or (os.name == "nt" and ("\\" in name or ":" in name)):
        return False
    return not any(part in ("", ".", "..") for part in name.split("/"))


def walk(root: Path, ignored: frozenset[str]) -> Listing:
    """List a file or a folder without what is ignored; what cannot be read is a fault, never left out in silence."""
    info = root.lstat()
    if not stat.S_ISDIR(info.st_mode):
        kind: Kind = "link" if stat.S_ISLNK(info.st_mode) else "file" if stat.S_ISREG(info.st_mode) else "other"
        return Listing((Item(WHOLE, kind, str(root.readlink()) if kind == "link" else ""),), ())
    items: list[Item] = []
    faults: list[Fault] = []
    pending = [""]
    while pending:
        above = pending.pop()
        empty = True
        try:
            for item in _entries(root, above):
                empty = False
                if item.name in ignored:
                    continue
                if item.kind == "folder":
                    pending.append(item.name)
                else:
                    items.append(item)
        except OSError as error:
            faults.append(Fault(kind="unreadable", path=above or WHOLE, message=f"cannot be listed: {error.strerror}"))
            continue
        if empty and above:
            items.append(Item(above, "folder"))
        if len(items) > MAX_FILES:
            faults.append(Fault(kind="unreadable", path=WHOLE, message=f"holds more than {MAX_FILES} files"))
            break
    return Listing(tuple(sorted(items, key=lambda item: order(item.name))), tuple(faults))


def _entries(root: Path, above: str) -> Iterator[Item]:
    prefix = f"{above}/" if above else ""
    with os.scandir(root / above) as found:
        for entry in found:
            name = prefix + entry.name
            if entry.is_symlink():
                yield Item(name, "link", str(Path(entry.path).readlink()))
            elif entry.is_dir(follow_symlinks=False):
                yield Item(name, "folder")
            else:
                yield Item(name, "file" if entry.is_file(follow_symlinks=False) else "other")


def resolved(root: Path, item: Item, links: Links) -> str:
    """Say why a link cannot be sealed; empty where it can. Inside the tree means below the root, both resolved."""
    if links == "refuse":
        return "is a symbolic link"
    if not item.target.isprintable() and unprintable(item.target) == NOT_UTF8:
        return "is a link whose target is not UTF-8"
    path = root / item.name if item.name != WHOLE else root
    try:
        end = path.resolve(strict=True)
    except (OSError, RuntimeError):
        return "is a link that leads nowhere, or in a circle"
    inside = end.is_relative_to(root.resolve())
    if links == "record" and not inside:
        return "is a link that leads out of the folder"
    if end.is_dir() and (links == "follow" or not inside):
        return "is a link to a folder, whose files would not be covered"
    return "" if end.is_dir() or end.is_file() else "is a link to something that is no file"


def unprintable(name: str) -> str:
    """Say why a name cannot stand in a manifest; empty where it can."""
    try:
        name.encode("utf-8")
    except UnicodeEncodeError:
        return NOT_UTF8
    return "" if is_proper(name) else "has a name that is not a plain relative path"


def collisions(names: Iterable[str]) -> list[tuple[str, str]]:
    """Find names that are one name on systems without case or with normalised names."""
    seen: dict[str, str] = {}
    found = []
    for name in names:
        plain = unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())
        if plain in seen:
            found.append((seen[plain], name))
        else:
            seen[plain] = name
    return found


def unchanged(path: Path, still: Still, *, follow: bool) -> bool:
    """Say whether a file is as it was when it was digested, by its inode, size and times."""
    try:
        return Still.of(path.stat() if follow else path.lstat()) == still
    except OSError:
        return False


def named(path: str) -> str:
    """Normalise a path a user gave, relative to the sealed folder."""
    return shown(str(PurePosixPath(path.replace(os.sep, "/"))))
