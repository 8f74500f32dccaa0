"""A project's own tests, run on a copy of it with changed files, in an environment of its own that is thrown away."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Literal, NamedTuple

from hauberk.core.progress import Silent
from hauberk.core.protocols import Progress
from hauberk.scanning.tree import OWN_FOLDERS, SKIPPED_FOLDERS

SECONDS = 3600.0
_TAIL = 4000
_KEPT_FOLDERS = frozenset({".git"})
"""Version numbers are often read from the history."""
_SILENT = Silent()


class Trial(NamedTuple):
    """How the tests went. "not run": the environment could not be made. output: the last of what was printed."""

    status: Literal["passed", "failed", "not run"]
    output: str


def try_out(
    project: Path, changed: Mapping[str, bytes], test: str, progress: Progress = _SILENT, *, seconds: float = SECONDS
) -> Trial:
    """Copy the project, change files, install what they declare, run `test` in a shell; the project is not touched."""
    with (
        tempfile.TemporaryDirectory(prefix="hauberk-patch-", ignore_cleanup_errors=True) as place,
        progress.step("try", 3, "steps") as step,
    ):
        copy, home = Path(place) / "project", Path(place) / "environment"
        shutil.copytree(project, copy, symlinks=True, ignore=_left_out)
        for path, data in changed.items():
            (copy / path).write_bytes(data)
        step.advance(1, "copied")
        environment = _environment(home)
        made = _run([sys.executable, "-m", "venv", str(home)], copy, environment, seconds)
        if made.status == "passed":
            made = _install(copy, home, changed, environment, seconds)
        step.advance(1, "installed")
        if made.status != "passed":
            return Trial("not run", f"the environment could not be made:\n{made.output}")
        result = _run(["/bin/sh", "-c", test], copy, environment, seconds)
        step.advance(1, result.status)
        return result


def _install(
    copy: Path, home: Path, changed: Mapping[str, bytes], environment: dict[str, str], seconds: float
) -> Trial:
    """Install the requirement files that changed, and the project itself where it is a package."""
    arguments: list[str] = []
    for path in sorted(changed):
        name = path.rsplit("/", 1)[-1]
        if name.endswith((".txt", ".in")):
            arguments += ["-c" if name.startswith("constraint") else "-r", path]
    if (copy / "pyproject.toml").exists() or (copy / "setup.py").exists():
        arguments += ["-e", "."]
    elif (copy / "requirements.txt").exists() and "requirements.txt" not in changed:
        arguments += ["-r", "requirements.txt"]
    if not arguments:
        return Trial("passed", "")
    pip = [str(home / "bin" / "python"), "-m", "pip", "install", "--disable-pip-version-check", "--quiet", *arguments]
    return _run(pip, copy, environment, seconds)


def _environment(home: Path) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "PYTHONHOME")}
    return {**kept, "VIRTUAL_ENV": str(home), "PATH": f"{home / 'bin'}{os.pathsep}{kept.get('PATH', '')}"}


def _run(command: list[str], folder: Path, environment: dict[str, str], seconds: float) -> Trial:
    """Run in a process group of its own, so that nothing it starts outlives it, whatever ends us."""
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(  # noqa: S603 - the user's own command
            command,
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            code = process.wait(seconds)
        except subprocess.TimeoutExpired:
            code = -1
        finally:
            _end(process)
        output.seek(0, os.SEEK_END)
        output.seek(max(0, output.tell() - _TAIL))
        text = output.read().decode("utf-8", errors="replace")
    if code == -1:
        return Trial("failed", f"{text}\nnot done within {seconds:g} seconds")
    return Trial("passed" if code == 0 else "failed", text)


def _end(process: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _left_out(folder: str, names: list[str]) -> set[str]:  # noqa: ARG001 - copytree says both
    return {name for name in names if name in (SKIPPED_FOLDERS | OWN_FOLDERS) - _KEPT_FOLDERS}
