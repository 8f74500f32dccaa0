"""Secrets that were committed once: every text a git history holds beside today's, read from its objects alone.

Only `git log --raw` and `git cat-file` run, over stored objects: no filter, no text converter, no external differ, no
signature check, no hook and no pager of the repository, whose own configuration may be hostile, is started.
"""

from __future__ import annotations

import os
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, NamedTuple

from hauberk.core.errors import UsageError
from hauberk.core.limits import Limits
from hauberk.scanning.artifact import Artifact, Note, Place, Problem
from hauberk.scanning.git_changes import git
from hauberk.scanning.printable import plain
from hauberk.scanning.secret_search import secrets_in
from hauberk.scanning.text import decode, is_text

_OPTIONS = (
    "--no-pager", "--no-replace-objects", "--literal-pathspecs", "-c", "core.fsmonitor=false", "-c",
    "core.hooksPath=/dev/null", "-c", "safe.directory=*", "-c", "protocol.allow=never", "-c", "log.showSignature=false",
    "-c", "diff.external=", "-c", "core.attributesFile=/dev/null", "-c", "core.alternateRefsCommand=",
)  # fmt: skip
_LOG = (
    "log", "--all", "--raw", "-z", "--root", "-m", "--no-renames", "--no-abbrev", "--diff-filter=AMT", "--reverse",
    "--topo-order", "--no-ext-diff", "--no-textconv", "--no-show-signature", "--no-color", "--ignore-submodules=all",
    "--no-notes", "--no-mailmap", "--full-history", "--relative", "--format=%x01%H",
)  # fmt: skip
_TEXT_BYTES = 4 << 20
"""Of one stored text: keys stand in settings and code, not in larger data."""
_SECONDS = 600.0


class Stored(NamedTuple):
    """A text that a commit stored. blob: its object id. path: relative to the folder that is scanned, POSIX."""

    path: str
    commit: str
    blob: str


def past_secrets(root: Path, *, since: str = "", limits: Limits) -> Iterator[Artifact]:
    """Yield an artifact for every stored text that holds a secret today's commit does not hold at that path.

    Each secret is left in the oldest text that holds it and blanked in later ones, so that every rule reports it once.
    part: the commit, such as "commit 1a2b3c4d5e6f". since: a revision; only what came after it. The last artifact has a
    problem of kind "limit" where not everything was read. Raises UsageError where git or its history cannot be read.
    """
    clock = _Clock(limits)
    today = dict(_today(root))
    known: set[str] = set()
    unread: list[str] = []
    if git(root, "rev-parse", "--is-shallow-repository").strip() == b"true":
        unread.append("the history is cut short (a shallow clone)")
    with _objects(root) as objects:
        for stored in stored_texts(root, since, clock):
            text = objects.text(stored.blob)
            if text is None:
                continue
            fresh = _blanked(text, known, objects.text(today[stored.path]) if stored.path in today else None)
            if fresh:
                yield _artifact(stored, fresh)
        if objects.too_large:
            unread.append(f"{objects.too_large} stored texts of more than {_TEXT_BYTES} bytes were not read")
    if clock.over:
        unread.append(f"the history was not read within {clock.seconds:.0f} seconds")
    if unread:
        problem = Problem(kind="limit", message="git history: " + "; ".join(unread))
        yield Artifact(path=".git", part="", format="git_history", size=0, problems=(problem,))


class _Clock:
    def __init__(self, limits: Limits) -> None:
        self.seconds = max(limits.seconds, _SECONDS)
        self._end = time.monotonic() + self.seconds
        self.over = False

    def left(self) -> bool:
        self.over = self.over or time.monotonic() > self._end
        return not self.over


def stored_texts(root: Path, since: str, clock: _Clock) -> Iterator[Stored]:
    """Yield every regular file that any commit stored, once, with the oldest commit that did; not those of today."""
    newest = {blob for _, blob in _today(root)}
    scope = ("--not", _commit(root, since)) if since else ()
    commit = ""
    with _running(root, *_LOG, *scope, "--", ".") as (_, stream):
        fields = _fields(stream)
        for field in fields:
            if not clock.left():
                return
            if field.lstrip(b"\n").startswith(b"\x01"):
                commit = field.lstrip(b"\n")[1:41].decode("ascii", "replace")
                field = field.rpartition(b"\n")[2]
            facts = field.lstrip(b"\n").split(b" ")
            if not facts[0].startswith(b":") or len(facts) < 5:
                continue
            path = plain(next(fields, b"").decode("utf-8", "replace"))
            blob = facts[3].decode("ascii", "replace")
            if facts[1].startswith(b"100") and blob not in newest:
                newest.add(blob)
                yield Stored(path, commit, blob)


def _commit(root: Path, revision: str) -> str:
    return git(root, "rev-parse", "--verify", "--end-of-options", revision + "^{commit}").decode().strip()


def _today(root: Path) -> Iterator[tuple[str, str]]:
    """Yield path and blob id of every file of the commit that is checked out; nothing where there is none yet."""
    try:
        listing = git(root, "ls-tree", "-r", "-z", "HEAD")
    except UsageError:
        return
    for record in listing.split(b"\0"):
        facts, _, path = record.partition(b"\t")
        parts = facts.split()
        if len(parts) == 3 and parts[0].startswith(b"100"):
            yield plain(path.decode("utf-8", "replace")), parts[2].decode("ascii", "replace")


def _fields(stream: BinaryIO) -> Iterator[bytes]:
    """Split a stream at its zero bytes, a chunk in memory."""
    rest = b""
    while chunk := stream.read(1 << 16):
        *whole, rest = (rest + chunk).split(b"\0")
        yield from whole
    if rest:
        yield rest


class _Objects:
    """The one process that hands out stored objects."""

    def __init__(self, ask: BinaryIO, answer: BinaryIO) -> None:
        self._ask, self._answer = ask, answer
        self._last: tuple[str, str | None] = ("", None)
        self.too_large = 0

    def text(self, blob: str) -> str | None:
        """Return a stored text; None for what is no text, too large or not there."""
        if self._last[0] != blob:
            self._last = (blob, self._read(blob))
        return self._last[1]

    def _read(self, blob: str) -> str | None:
        self._ask.write(blob.encode() + b"\n")
        self._ask.flush()
        head = self._answer.readline().split()
        if len(head) != 3 or not head[2].isdigit():
            return None
        left = int(head[2])
        data = self._answer.read(min(left, _TEXT_BYTES))
        wanted = is_text(data[:4096])
        left -= len(data)
        self.too_large += wanted and left > 0
        while left > 0 and (chunk := self._answer.read(min(left, 1 << 20))):
            wanted, left = False, left - len(chunk)
        self._answer.read(1)
        return decode(data) if wanted else None


@contextmanager
def _objects(root: Path) -> Iterator[_Objects]:
    with _running(root, "cat-file", "--batch", feed=True) as (ask, answer):
        yield _Objects(ask, answer)


@contextmanager
def _running(root: Path, *arguments: str, feed: bool = False) -> Iterator[tuple[BinaryIO, BinaryIO]]:
    """Run git while its output is read; it ends when the reader does, and at the latest after a fixed time."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith("GIT_")}
    environment |= {"GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": os.devnull, "GIT_TERMINAL_PROMPT": "0"}
    environment |= {"GIT_OPTIONAL_LOCKS": "0", "GIT_NO_LAZY_FETCH": "1", "GIT_GRAFT_FILE": os.devnull, "LC_ALL": "C"}
    environment |= {"GIT_ATTR_NOSYSTEM": "1", "GIT_NO_REPLACE_OBJECTS": "1"}
    command = ["git", *_OPTIONS, "-C", os.fspath(root), *arguments]
    source = subprocess.PIPE if feed else subprocess.DEVNULL
    process = subprocess.Popen(  # noqa: S603
        command, stdin=source, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment
    )
    alarm = threading.Timer(_SECONDS + 30, process.kill)
    alarm.daemon = True
    alarm.start()
    try:
        assert process.stdout is not None
        yield (process.stdin or process.stdout, process.stdout)  # type: ignore[misc]
    finally:
        alarm.cancel()
        process.kill()
        process.communicate()


def _blanked(text: str, known: set[str], today: str | None) -> str:
    """Blank the secrets that are known already, or still there at that path; "" where none is left."""
    hits = secrets_in(text)
    if not hits:
        return ""
    present = {today[hit.start : hit.end] for hit in secrets_in(today)} if today is not None else set()
    new, pieces, last = 0, [], 0
    for hit in hits:
        secret = text[hit.start : hit.end]
        if secret in known or secret in present:
            pieces += [text[last : hit.start], " " * (hit.end - hit.start)]
            last = hit.end
        else:
            new += 1
        known.add(secret)
    return "".join((*pieces, text[last:])) if new else ""


def _artifact(stored: Stored, text: str) -> Artifact:
    return Artifact(
        path=stored.path,
        part=f"commit {stored.commit[:12]}",
        format="git_history",
        size=len(text),
        notes=(Note(name="text", text=text, place=Place(line=1)),),
    )
