"""Programs that are decoded from a text and then run."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import ClassVar

from hauberk.core.card import Card
from hauberk.scanning.artifact import Artifact, Draft
from hauberk.scanning.python_program import program_of
from hauberk.scanning.python_values import CallSite

_RUNNING = frozenset({"exec", "eval", "builtins.exec", "builtins.eval", "__import__"})
_DECODERS = frozenset(
    """b64decode b32decode b16decode b85decode a85decode standard_b64decode urlsafe_b64decode decodebytes decompress
    fromhex unhexlify a2b_base64 a2b_hex decodestring""".split()  # noqa: SIM905
)
_MARSHAL = frozenset({"marshal.loads", "marshal.load"})


class ObfuscatedCode:
    """Report exec and eval of what base64, zlib, hexadecimal or marshal gives.

    Code that is meant to be read stands in a file. What is decoded first and run then hides from whoever reads it, and
    from whoever scans it: packages and model repositories that attack their users do little else.

    Bad:

        exec(zlib.decompress(base64.b64decode("eJwrKC…")))

    Good:

        from project import step
    """

    card: ClassVar[Card] = Card(
        title="Decoded and run",
        summary="A program is decoded from a text and then run.",
        paper="CWE-506, CWE-95; OWASP LLM03; MITRE ATT&CK T1027, ATLAS AML.T0010.001",
        threats=("CWE-506", "CWE-95", "OWASP-LLM03", "AML.T0010.001"),
        severity="high",
        reads=("source",),
    )

    def check(self, artifact: Artifact) -> Iterator[Draft]:
        """Judge every call that runs a text or code object by what its arguments are made with."""
        running = [site for site in program_of(artifact).calls if site.path in _RUNNING and site.node is not None]
        decoded = _decoded_names(artifact) if running else {}
        for site in running:
            if _is_decoded(site, decoded):
                yield Draft(
                    message=f"{site.path.rpartition('.')[2]} runs what is decoded from a text",
                    fix="decode it, read it, and put what is needed into a file",
                    place=site.place,
                )


def _is_decoded(site: CallSite, decoded: dict[int, frozenset[str]]) -> bool:
    assert site.node is not None
    inner = [one for argument in site.node.args for one in ast.walk(argument)]
    names = {one.id for one in inner if isinstance(one, ast.Name)}
    return any(_decodes(one) for one in inner) or bool(names & decoded.get(id(site.node), frozenset()))


def _decodes(node: ast.AST) -> bool:
    """Tell a call of a decoder, and of marshal."""
    if not isinstance(node, ast.Call):
        return False
    last = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
    return last in _DECODERS or ast.unparse(node.func) in _MARSHAL


def _decoded_names(artifact: Artifact) -> dict[int, frozenset[str]]:
    """Name, for each call, the variables of its own function that are given what a decoder returns."""
    tree = artifact.source.tree if artifact.source else None
    found: dict[int, frozenset[str]] = {}
    pending: list[ast.AST] = [tree] if tree is not None else []
    while pending:
        names, calls = set[str](), list[int]()
        inside = list(ast.iter_child_nodes(pending.pop()))
        while inside:
            node = inside.pop()
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
                pending.append(node)
                continue
            inside.extend(ast.iter_child_nodes(node))
            if isinstance(node, ast.Call):
                calls.append(id(node))
            elif isinstance(node, ast.Assign) and any(_decodes(one) for one in ast.walk(node.value)):
                names.update(target.id for target in node.targets if isinstance(target, ast.Name))
        found.update(dict.fromkeys(calls, frozenset(names)) if names else {})
    return found
