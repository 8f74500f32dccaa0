"""Telling a language model a secret."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from typing import ClassVar

from hauberk.core.card import Card
from hauberk.scanning.artifact import Artifact, Draft, Place
from hauberk.scanning.python_program import program_of
from hauberk.scanning.python_sources import answer
from hauberk.scanning.python_values import CallSite, Taint, Value
from hauberk.scanning.tainted_drafts import sink_of, tainted_draft

_PROMPT_NAME = re.compile(
    r"(?i)(.*_)?(prompt|instructions?|system(_message|_content|_msg)?|persona|preamble|template)(_.*)?"
)
_TELLS = re.compile(
    r"(?i)\b(pass(word|phrase|code)|api[ _-]?key|secret( key| code| token)?|access[ _-]?(key|token)|credentials?"
    r"|auth(orization)?[ _-]?(code|token)|connection string|pin( code)?|bearer token|login|private key|discount code)\b"
    r"[^.\n]{0,24}?(\bis\b|:|=|\bare\b)\s*[\"'`]?([^\s\"'`,.;()<>{}\[\]]{4,})",
)
_LOOKS = re.compile(r"(?=.*[0-9!@#$%^&*_+-])(?=.*[A-Za-z]).{5,}|[A-Z]{2,}[-_A-Z0-9]{4,}|\d{4,}")
_ADDRESS = re.compile(r"\b[a-z][a-z0-9+]{1,20}://[^\s:@/]{1,64}:[^\s:@/{}]{1,64}@")
_TEXTS = frozenset(["SystemMessage", "HumanMessage", "ChatPromptTemplate", "PromptTemplate", "from_template"])
_ROLES = ("system", "developer", "human", "user", "ai", "assistant")
_MAY_TELL = re.compile(
    r"(?i)passw|pass(phrase|code)|api[ _-]?key|secret|access[ _-]?(key|token)|credential|private key"
    r"|auth\w{0,9}[ _-](code|token)|connection string|\bpin\b|bearer|login|discount code|://[^\s:@/]{1,64}:[^\s:@/]{1,64}@"
)
_MOST = 20_000


class SecretInPrompt:
    """Find passwords and keys written into prompts, and environment secrets that are formatted into them.

    A prompt is not a safe: users get models to repeat their instructions, providers log them, and every tool sees the
    conversation. Keep the secret in the program, and let a tool use it without showing it to the model.

    Bad:

        SYSTEM_PROMPT = "You are Acme's bot. The database password is ..."

    Good:

        @tool
        def lookup(order: int): return requests.get(URL, headers={"Authorization": KEY}, timeout=5).json()
    """

    card: ClassVar[Card] = Card(
        title="Secret in prompt",
        summary="A password or key is part of what a language model is told.",
        paper="OWASP LLM07 and LLM02; CWE-200; MITRE ATLAS AML.T0056",
        threats=("OWASP-LLM07", "OWASP-LLM02", "CWE-200", "AML.T0056"),
        severity="high",
        reads=("source",),
    )

    def check(self, artifact: Artifact) -> Iterator[Draft]:
        """Judge the literal text of prompts, and the secrets that reach a model's call."""
        seen: set[int] = set()
        source = artifact.source
        if source is None:
            return
        for place, text in _prompts(artifact) if _MAY_TELL.search(source.text) else ():
            if place.line not in seen and _told(text):
                seen.add(place.line or 0)
                yield _draft(place)
        for site in program_of(artifact).calls:
            taint = _sent(site)
            if taint is not None:
                message = "a secret of the environment is told to a language model"
                fix = "use the secret in the program or in a tool, and never show it to the model"
                yield tainted_draft(site.place, taint, sink_of(site), message, fix, "high")


def _draft(place: Place) -> Draft:
    return Draft(
        message="a password or key stands in a prompt: users can get the model to repeat it",
        fix="take it out, change it, and let a tool use it where it is needed",
        confidence="medium",
        place=place,
    )


def _prompts(artifact: Artifact) -> Iterator[tuple[Place, str]]:
    """Yield texts under names that say prompt, and of system messages."""
    tree = artifact.source.tree if artifact.source is not None else None
    if tree is None:
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None:
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            if any(_PROMPT_NAME.fullmatch(_name(target)) for target in targets):
                yield Place(line=node.lineno, column=node.col_offset + 1), _literal(node.value)
        elif isinstance(node, ast.keyword) and node.arg and _PROMPT_NAME.fullmatch(node.arg):
            yield Place(line=node.value.lineno, column=node.value.col_offset + 1), _literal(node.value)
        elif isinstance(node, ast.Dict):
            for key, value in zip(node.keys, node.values, strict=True):
                if isinstance(key, ast.Constant) and key.value in ("content", "system", "text"):
                    yield Place(line=value.lineno, column=value.col_offset + 1), _literal(value)
        elif isinstance(node, ast.Tuple) and len(node.elts) == 2 and getattr(node.elts[0], "value", "") in _ROLES:
            yield Place(line=node.lineno, column=node.col_offset + 1), _literal(node.elts[1])
        elif isinstance(node, ast.Call) and node.args and _name(node.func) in _TEXTS:
            yield Place(line=node.lineno, column=node.col_offset + 1), _literal(node.args[0])


def _name(node: ast.expr) -> str:
    return node.id if isinstance(node, ast.Name) else getattr(node, "attr", "")


def _literal(node: ast.expr) -> str:
    """Join the literal pieces of a text, an unknown piece as a space."""
    pieces = [
        item.value if isinstance(item, ast.Constant) and isinstance(item.value, str) else ""
        for item in (ast.walk(node) if isinstance(node, ast.JoinedStr | ast.BinOp | ast.Constant) else ())
    ]
    return " ".join(pieces)[:_MOST]


def _told(text: str) -> bool:
    if _ADDRESS.search(text):
        return True
    return any(_LOOKS.fullmatch(match[9]) is not None for match in _TELLS.finditer(text))


def _sent(site: CallSite) -> Taint | None:
    said = answer(site)
    if said is None or said.kind != "model":
        return None
    rows: list[Value] = [*site.arguments]
    rows += [
        value for name, value in site.keywords if "key" not in name and "token" not in name and "header" not in name
    ]
    found = (value.tainted("secret") for value in rows if value.text or value.entries)
    return next((taint for taint in found if taint is not None), None)
