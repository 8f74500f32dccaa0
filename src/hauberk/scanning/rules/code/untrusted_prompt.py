"""Building the instructions of a language model from what a user sends."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

import msgspec

from hauberk.core.card import Card
from hauberk.core.evidence import Severity
from hauberk.scanning.artifact import Artifact, Draft
from hauberk.scanning.python_program import program_of
from hauberk.scanning.python_sources import answer
from hauberk.scanning.python_values import CallSite, Taint, Value
from hauberk.scanning.tainted_drafts import sink_of, tainted_draft

_SYSTEM_KEYWORDS = ("system", "system_prompt", "system_instruction", "system_message", "instructions", "system_content")
_SYSTEM_CALLS = ("SystemMessage", "SystemMessagePromptTemplate", "SystemPrompt")
_SYSTEM_ROLES = ("system", "developer")
_TEMPLATES = ("PromptTemplate", "from_template")
_INSTRUCTION = 25
"""Literal characters before a piece of a prompt counts as instructions rather than a label."""


class UntrustedPrompt:
    """Find user text inside the system message, or the source of a prompt template, or glued to instructions.

    The model obeys the system message most; whoever writes there rewrites its task, its limits and the use of its
    tools. Keep instructions constant, send what users write as a message of role "user", and let templates fill in
    variables instead of being built from them.

    Bad:

        messages = [{"role": "system", "content": f"You are {request.json['persona']}."}]

    Good:

        messages = [{"role": "system", "content": SYSTEM}, {"role": "user", "content": question}]
    """

    card: ClassVar[Card] = Card(
        title="Untrusted prompt",
        summary="What a user sends becomes part of a language model's instructions.",
        paper="OWASP LLM01; CWE-1427; MITRE ATLAS AML.T0051",
        threats=("OWASP-LLM01", "CWE-1427", "AML.T0051"),
        severity="medium",
        reads=("source",),
    )

    def check(self, artifact: Artifact) -> Iterator[Draft]:
        """Judge every call that takes instructions."""
        for site in program_of(artifact).calls:
            taint = _in_system(site)
            if taint is not None:
                message = "what a user sends becomes part of the model's system instructions"
                yield _draft(site, taint, message, "medium" if taint.sure else "high")
            elif (taint := _glued(site)) is not None:
                draft = _draft(site, taint, "what a user sends is glued to the instructions of a prompt")
                yield msgspec.structs.replace(draft, severity="low")


def _draft(site: CallSite, taint: Taint, message: str, severity: Severity = "medium") -> Draft:
    """Word a draft; a source known by its name alone is lowered by one, which into a system message is medium still."""
    fix = 'keep instructions constant and send what users write as a message of role "user"'
    return tainted_draft(site.place, taint, sink_of(site), message, fix, severity)


def _in_system(site: CallSite) -> Taint | None:
    for name in _SYSTEM_KEYWORDS:
        value = site.keyword(name)
        if value is not None and (taint := value.tainted("request")):
            return taint
    if site.tail in _SYSTEM_CALLS or site.path.endswith("SystemMessagePromptTemplate.from_template"):
        return site.argument(0, "content").tainted("request")
    if site.tail in _TEMPLATES:
        return site.argument(0, "template").tainted("request")
    for value in (*site.arguments, *(value for _, value in site.keywords)):
        for message in (value, *(item for _, item in value.entries)):
            if taint := _system_message(message):
                return taint
    return None


def _system_message(message: Value) -> Taint | None:
    """Return the user's part of {"role": "system", "content": …} or ("system", …)."""
    role, content = message.get("role"), message.get("content")
    if role is None and len(message.entries) == 2 and not message.entries[0][0]:
        role, content = message.entries[0][1], message.entries[1][1]
    if role is None or content is None or role.constant not in _SYSTEM_ROLES:
        return None
    return content.tainted("request")


def _glued(site: CallSite) -> Taint | None:
    said = answer(site)
    if said is None or said.kind != "model":
        return None
    prompt = site.keyword("prompt") or site.keyword("contents") or site.keyword("input") or site.argument(0)
    literal = prompt.text.replace("{}", "").strip()
    return prompt.tainted("request") if "{}" in prompt.text and len(literal) > _INSTRUCTION else None
