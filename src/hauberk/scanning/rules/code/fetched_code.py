"""Running code that was fetched over the network a moment ago, and installing packages while the program runs."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import ClassVar

from hauberk.core.card import Card
from hauberk.core.evidence import Severity
from hauberk.scanning.artifact import Artifact, Draft
from hauberk.scanning.python_program import program_of
from hauberk.scanning.python_sinks import run_by, unpickled_by
from hauberk.scanning.python_values import UNKNOWN, CallSite
from hauberk.scanning.tainted_drafts import sink_of, tainted_draft

_PROCESS = re.compile(r"subprocess\.\w+|os\.(system|popen)|asyncio\.create_subprocess_\w+")
_INSTALL = re.compile(r"\b(pip3?|uv pip|conda|mamba)\s+install\b(.*)", re.S)
_PIPED = re.compile(r"\b(curl|wget)\b[^|;&]*\|\s*(sudo\s+)?(\w*sh|python3?)\b")
_SETTLED = re.compile(r"==|--require-hashes|--no-index|\s-r\s|\s\.(\s|$)|\s-e\s|\s--editable")


class FetchedCode:
    """Find exec of a download, unpickling of a download, curl piped into a shell, and pip install at run time.

    What a server answers today it need not answer tomorrow; a package name taken from a variable, or not registered
    yet, is anybody's. Put code and packages into the build, pinned and hashed.

    Bad:

        exec(requests.get("https://example.org/setup.py").text)
        subprocess.check_call([sys.executable, "-m", "pip", "install", name])

    Good:

        # in the lock file:  name==1.4.2 --hash=sha256:…
        import name
    """

    card: ClassVar[Card] = Card(
        title="Fetched code",
        summary="Code or a package is fetched from the network and run while the program runs.",
        paper="CWE-494, CWE-829; OWASP LLM03; MITRE ATLAS AML.T0010.001",
        threats=("CWE-494", "CWE-829", "OWASP-LLM03", "AML.T0010.001"),
        severity="medium",
        reads=("source",),
    )

    def check(self, artifact: Artifact) -> Iterator[Draft]:
        """Judge calls that run code, unpickle or start an installer."""
        for site in program_of(artifact).calls:
            taint = run_by(site, "document") or unpickled_by(site, "document")
            if taint is not None and not site.guarded:
                message = f"what was fetched from the network is run by {site.path}"
                fix = "put the code into the project, or compare its digest before running it"
                yield tainted_draft(site.place, taint, sink_of(site), message, fix, "critical")
            elif (found := _installed(site)) is not None:
                fix = "declare the package, pinned and hashed, where the environment is built"
                yield Draft(message=found[0], fix=fix, severity=found[1], place=site.place)


def _installed(site: CallSite) -> tuple[str, Severity] | None:
    if site.path in ("pip.main", "pip._internal.main", "pip._internal.cli.main.main"):
        return ("a package is installed while the program runs", "medium")
    if not _PROCESS.fullmatch(site.path):
        return None
    text = _command(site)
    if _PIPED.search(text):
        return ("a script is fetched and piped into an interpreter", "high")
    match = _INSTALL.search(text)
    if match is None or "--upgrade pip" in match[2]:
        return None
    if _SETTLED.search(match[2]):
        return ("a package is installed while the program runs, at a settled version", "low")
    named = "{}" in match[2]
    return (
        "a package named by a variable is installed while the program runs"
        if named
        else "a package is installed while the program runs, in whatever version there is",
        "medium",
    )


def _command(site: CallSite) -> str:
    command = site.argument(0, "args")
    parts = [item for _, item in command.entries] or list(site.arguments)
    words = [str(part.constant) if part.constant is not UNKNOWN else part.text or "{}" for part in parts]
    return command.text if command.text and not command.entries else " ".join(words)
