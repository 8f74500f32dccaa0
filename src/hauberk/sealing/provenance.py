"""Where a model comes from: an in-toto statement with a SLSA v1 provenance predicate about a seal's subject."""

from __future__ import annotations

import datetime as dt
import hashlib
import platform
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import msgspec

from hauberk.core.version import __version__
from hauberk.sealing.faults import Malformed
from hauberk.sealing.statement import PROVENANCE, Subject, head, statement

BUILD_TYPE = "urn:hauberk:training:v1"
GIT_SECONDS = 20


class Revision(msgspec.Struct, frozen=True, kw_only=True):
    """The state of a git checkout. dirty: whether tracked files differ from the commit, or untracked ones lie about."""

    commit: str
    remote: str
    dirty: bool


class Origin(msgspec.Struct, frozen=True, kw_only=True):
    """What a training run was made of.

    parameters: the run's settings. data: name → seal digest (SHA-256 of a seal's subject, or of a file). code: the
    revision. run: its own name. started, finished: RFC 3339. builder: who vouches for it, a URI.
    """

    parameters: dict[str, str]
    data: dict[str, str]
    code: Revision | None
    run: str = ""
    started: str = ""
    finished: str = ""
    builder: str = "urn:hauberk:local"


def revision(folder: Path) -> Revision | None:
    """Ask git for the checkout's commit; None where there is no git or no commit. Runs no hook and no filter."""
    commit = _git(folder, "rev-parse", "HEAD")
    if not commit:
        return None
    status = _git(folder, "status", "--porcelain", "--untracked-files=normal")
    remote = _without_secret(_git(folder, "config", "--get", "remote.origin.url") or "")
    return Revision(commit=commit, remote=remote, dirty=status is None or bool(status))


def _git(folder: Path, *arguments: str) -> str | None:
    command = ["git", "-c", "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null", *arguments]
    try:
        done = subprocess.run(  # noqa: S603 - fixed arguments, no shell
            command, cwd=folder, capture_output=True, timeout=GIT_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.decode("utf-8", "replace").strip() if done.returncode == 0 else None


def _without_secret(address: str) -> str:
    """Take a user name and password out of a remote's address."""
    scheme, mark, rest = address.partition("://")
    host, slash, path = rest.partition("/")
    return f"{scheme}{mark}{host.rpartition('@')[2]}{slash}{path}" if mark else address


def environment() -> tuple[str, dict[str, str]]:
    """Digest the list of installed distributions, and name interpreter and platform."""
    rows = sorted({f"{item.metadata['Name']}=={item.version}".lower() for item in metadata.distributions()})
    digest = hashlib.sha256("\n".join(rows).encode()).hexdigest()
    return digest, {"python": platform.python_version(), "platform": f"{sys.platform}-{platform.machine()}"}


def encode(subject: Subject, origin: Origin, now: dt.datetime) -> bytes:
    """Write the provenance statement of a sealed subject."""
    packages, machine = environment()
    needed: list[dict[str, object]] = [
        {"name": name, "digest": {"sha256": value}} for name, value in sorted(origin.data.items())
    ]
    if origin.code is not None:
        code: dict[str, object] = {"name": "code", "digest": {"gitCommit": origin.code.commit}}
        if origin.code.remote:
            code["uri"] = f"git+{origin.code.remote}"
        code["annotations"] = {"dirty": origin.code.dirty}
        needed.append(code)
    needed.append({"name": "environment", "digest": {"sha256": packages}, "annotations": machine})
    times = {
        "invocationId": origin.run,
        "startedOn": origin.started,
        "finishedOn": origin.finished or now.isoformat(timespec="seconds"),
    }
    predicate: dict[str, object] = {
        "buildDefinition": {
            "buildType": BUILD_TYPE,
            "externalParameters": origin.parameters,
            "internalParameters": {},
            "resolvedDependencies": needed,
        },
        "runDetails": {
            "builder": {"id": origin.builder, "version": {"hauberk": __version__}},
            "metadata": {key: value for key, value in times.items() if value},
        },
    }
    return statement(PROVENANCE, subject, predicate)


def subject_of(payload: bytes) -> str:
    """Return the SHA-256 a provenance statement is about; raises Malformed."""
    found = head(payload)
    if found.predicateType != PROVENANCE or len(found.subject) != 1:
        raise Malformed("it is not a provenance statement about one subject")
    return found.subject[0].digest.get("sha256", "")
