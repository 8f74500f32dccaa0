"""Letting a model hub hand code to the program."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from typing import ClassVar

from hauberk.core.card import Card
from hauberk.scanning.artifact import Artifact, Draft
from hauberk.scanning.fixing import drop_keyword
from hauberk.scanning.python_program import program_of
from hauberk.scanning.python_values import CallSite, Program

_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_HUB = ("torch.hub.load", "torch.hub.help", "torch.hub.list")


class RemoteCode:
    """Find trust_remote_code=True, torch.hub.load and custom pipelines: Python files of a repository, run at load.

    Whoever can push to that repository, or takes over its name, runs code as you. Prefer a model whose class is in the
    library; else read the code, copy it into the project, or pin the commit you read with `revision=`.

    Bad:

        AutoModel.from_pretrained("someone/model", trust_remote_code=True)

    Good:

        AutoModel.from_pretrained("bert-base-uncased", revision="86b5e0934494bd15c9632b12f734a8a67f723594")
    """

    card: ClassVar[Card] = Card(
        title="Remote code",
        summary="Code of a model repository is downloaded and run when the model is loaded.",
        paper="CWE-494, CWE-829; OWASP LLM03; MITRE ATLAS AML.T0010.001",
        threats=("CWE-829", "CWE-494", "OWASP-LLM03", "AML.T0010.001"),
        severity="high",
        reads=("source",),
    )

    def check(self, artifact: Artifact) -> Iterator[Draft]:
        """Judge every call by its keywords, whatever it is called."""
        program = program_of(artifact)
        for site in program.calls:
            yield from _trusting(site, by_default=_default(program, site) is True)
            if _stored(site):
                yield Draft(
                    message="trust_remote_code is switched on for what is loaded with these settings",
                    fix="use a model whose class is in the library, or pin the commit you have read with revision=",
                    place=site.place,
                )
            yield from _hub(site)
            custom = site.says("custom_pipeline")
            if isinstance(custom, str) and "/" in custom and not custom.startswith((".", "/")):
                yield Draft(
                    message=f"the pipeline's code is downloaded from {custom} and run",
                    fix="copy the reviewed pipeline into the project",
                    severity="medium",
                    place=site.place,
                )


def _stored(site: CallSite) -> bool:
    if site.path.endswith(("[trust_remote_code] =", ".trust_remote_code =", "[HF_TRUST_REMOTE_CODE] =")):
        return site.arguments[0].constant in (True, "1", "true", "True")
    return (
        site.tail == "setdefault"
        and site.argument(0).constant == "trust_remote_code"
        and site.argument(1).constant is True
    )


def _trusting(site: CallSite, *, by_default: bool) -> Iterator[Draft]:
    if not (by_default or site.says("trust_remote_code") is True) or site.says("local_files_only") is True:
        return
    pinned = _pinned(site.says("revision")) or _pinned(site.says("code_revision"))
    yield Draft(
        message="trust_remote_code=True runs Python files of the model's repository"
        + (", unless the caller says otherwise" if by_default else "")
        + (", pinned to one commit" if pinned else ""),
        fix="use a model whose class is in the library"
        if pinned
        else "use a model whose class is in the library, or pin the commit you have read with revision=",
        severity="medium" if pinned else "high",
        place=site.place,
        edits=() if by_default else drop_keyword(site, "trust_remote_code"),
    )


def _hub(site: CallSite) -> Iterator[Draft]:
    if site.path not in _HUB or site.says("source") == "local":
        return
    repository = site.argument(0, "repo_or_dir").constant
    pinned = isinstance(repository, str) and _pinned(repository.partition(":")[2])
    yield Draft(
        message=f"{site.path} downloads a repository and runs its hubconf.py"
        + (", pinned to one commit" if pinned else ""),
        fix="install the package at a pinned version, or keep a reviewed copy with source='local'",
        severity="medium" if pinned else "high",
        place=site.place,
    )


def _default(program: Program, site: CallSite) -> object:
    """Return what the keyword is by default where it is a parameter of the function around the call."""
    given = (
        next((item.value for item in site.node.keywords if item.arg == "trust_remote_code"), None) if site.node else 0
    )
    if not isinstance(given, ast.Name):
        return None
    for function in program.functions:
        if function.path == site.function:
            arguments = function.node.args
            named = [*arguments.posonlyargs, *arguments.args]
            pairs = [*zip(reversed(named), reversed(arguments.defaults), strict=False)]
            later = zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)
            pairs += [(name, value) for name, value in later if value is not None]
            default = next((value for name, value in pairs if name.arg == given.id), None)
            return default.value if isinstance(default, ast.Constant) else None
    return None


def _pinned(revision: object) -> bool:
    return isinstance(revision, str) and _COMMIT.fullmatch(revision) is not None
