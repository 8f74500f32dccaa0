"""Which files differ from a git revision, found without letting git touch the working tree.

A project's own git configuration can name programs (filters, monitors, text converters) that git runs when it looks at
files. Only stored objects are asked for here, and the files are compared by their blob ids.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

from hauberk.core.errors import UsageError
from hauberk.core.limits import DEFAULT_LIMITS
from hauberk.scanning.blobs import FileBlob
from hauberk.scanning.tree import Listed, Omitted, Tree

_OPTIONS = (
    "--no-pager", "-c", "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null", "-c", "safe.directory=*",
    "-c", "protocol.allow=never",
)  # fmt: skip
_SECONDS = 60.0


def git(root: Path, *arguments: str) -> bytes:
    """Run a git command that reads stored objects; raises UsageError with what git said."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith("GIT_")}
    environment |= {"GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": os.devnull, "GIT_TERMINAL_PROMPT": "0"}
    environment |= {"GIT_OPTIONAL_LOCKS": "0", "GIT_NO_LAZY_FETCH": "1", "LC_ALL": "C"}
    command = ["git", *_OPTIONS, "-C", os.fspath(root), *arguments]
    try:
        done = subprocess.run(command, capture_output=True, timeout=_SECONDS, env=environment, check=False)  # noqa: S603
    except FileNotFoundError as error:
        raise UsageError("git is not installed", fix="install git, or scan without its history") from error
    except subprocess.TimeoutExpired as error:
        raise UsageError(f"git did not answer within {_SECONDS:.0f} seconds", where=str(root)) from error
    if done.returncode:
        said = done.stderr.decode("utf-8", "replace").strip().splitlines()
        raise UsageError(f"git: {said[-1] if said else f'exit status {done.returncode}'}", where=str(root))
    return done.stdout


def changed_only(root: Path, revision: str, tree: Tree) -> Tree:
    """Keep the files that differ from a revision, and say how many do not; raises UsageError."""
    base = root if root.is_dir() else root.parent
    files = changed_since(base, revision, tree.files)
    same = Omitted(f"since {revision}", f"{len(tree.files) - len(files)} files have not changed and were not looked at")
    return Tree(files, (*tree.omitted, same))


def changed_since(root: Path, revision: str, files: Sequence[Listed]) -> tuple[Listed, ...]:
    """Return the files that are new or otherwise than at `revision`; raises UsageError where git knows none."""
    commit = git(root, "rev-parse", "--verify", "--end-of-options", revision + "^{commit}").decode().strip()
    then = dict(_blobs(git(root, "ls-tree", "-r", "-z", "-l", commit)))
    return tuple(listed for listed in files if _differs(listed, then.get(os.fsencode(listed.path))))


def _blobs(listing: bytes) -> Iterator[tuple[bytes, tuple[str, int]]]:
    """Read `mode type id size TAB path NUL` records → path, (id, size); links and submodules count as changed."""
    for record in listing.split(b"\0"):
        facts, _, path = record.partition(b"\t")
        parts = facts.split()
        if len(parts) == 4 and parts[0].startswith(b"100") and parts[3].isdigit():
            yield path, (parts[2].decode("ascii", "replace"), int(parts[3]))


def _differs(listed: Listed, before: tuple[str, int] | None) -> bool:
    if before is None:
        return True
    identifier, size = before
    try:
        blob = FileBlob(listed.file, listed.path, DEFAULT_LIMITS)
        if blob.size != size:
            return True
        hasher = hashlib.new("sha256" if len(identifier) == 64 else "sha1", b"blob %d\0" % size, usedforsecurity=False)
        with blob.open() as stream:
            while chunk := stream.read(1 << 20):
                hasher.update(chunk)
    except OSError:
        return True
    return hasher.hexdigest() != identifier
