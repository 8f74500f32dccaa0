"""Where seals lie: model.sig in a folder, FILE.sig beside a file, and further signers' seals next to it."""

from __future__ import annotations

import os
from pathlib import Path

from hauberk.core.errors import UsageError
from hauberk.crypto.file_digests import open_still
from hauberk.sealing.faults import Malformed, shown
from hauberk.sealing.strict_json import SEAL_BYTES

NAME = "model.sig"
MAX_SEALS = 32


def rooted(path: Path) -> Path:
    """Return what is sealed: a link to a folder is the folder, a link to a file is itself; raises UsageError."""
    if not os.path.lexists(path):
        raise UsageError("no such file or folder", where=shown(str(path)))
    return path.resolve() if path.is_symlink() and path.is_dir() else path


def seal_file(root: Path) -> Path:
    """Name the seal of a folder or a file."""
    return root / NAME if root.is_dir() else root.with_name(root.name + ".sig")


def provenance_file(seal: Path) -> Path:
    """Name the provenance statement beside a seal."""
    return seal.with_suffix(".provenance.sig")


def seals_beside(first: Path) -> list[Path]:
    """Find a seal and the bundles of other signers beside it, such as model.NAME.sig next to model.sig, by name."""
    stem = first.name.removesuffix(".sig")
    found = [first] if is_file(first) else []
    try:
        names = sorted(path.name for path in first.parent.iterdir())
    except OSError:
        return found
    for name in names:
        middle = name.removeprefix(f"{stem}.").removesuffix(".sig")
        further = name.startswith(f"{stem}.") and name.endswith(".sig") and name != first.name
        if further and middle and "." not in middle and is_file(first.parent / name):
            found.append(first.parent / name)
    return found[:MAX_SEALS]


def nearest_seal(path: Path, top: Path) -> tuple[Path, Path] | None:
    """Find what covers a file or folder: its own seal, else the folder seal nearest above, no higher than `top`.

    → (what is sealed, the seal).
    """
    here = path.parent.resolve() / path.name
    highest = top.resolve()
    if is_file(seal_file(here)):
        return here, seal_file(here)
    for above in here.parents:
        if not above.is_relative_to(highest):
            break
        if is_file(above / NAME):
            return above, above / NAME
    return None


def is_file(path: Path) -> bool:
    """Say whether there is a regular file; one that may not be looked at counts as none."""
    try:
        return path.is_file()
    except OSError:
        return False


def bundle_bytes(path: Path) -> bytes:
    """Read a seal whole, within bounds; raises Malformed."""
    try:
        with os.fdopen(open_still(path, follow=True), "rb") as file:
            data = file.read(SEAL_BYTES + 1)
    except OSError as error:
        raise Malformed(f"it cannot be read: {error.strerror or error}") from error
    if len(data) > SEAL_BYTES:
        raise Malformed(f"it is longer than {SEAL_BYTES >> 20} MiB")
    return data
