"""A secret is written into a deployment file."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import ClassVar

from hauberk.core.card import Card
from hauberk.scanning.artifact import Artifact, Draft, Place
from hauberk.scanning.build_instructions import secret_name, stand_in
from hauberk.scanning.document_tree import Node
from hauberk.scanning.kubernetes_manifests import resources
from hauberk.scanning.secret_checks import unwrapped

_DEFAULTS = frozenset(
    ["postgres", "password", "admin", "root", "secret", "changeme", "minioadmin", "minio", "minio123", "test", "guest"]
)

_WEAK = re.compile(r"[a-z]+|[\w.-]*(?:secret|password|passwd|changeme|minio)[\w.-]*|0+", re.IGNORECASE)
"""A word, which nobody made at random: a default for one's own machine, or one that everybody guesses."""
_EXAMPLE = re.compile(r"(?i)(?:^|[./_-])(?:example|sample|template|dist|defaults?|tests?|fixtures?)(?:[./_-]|$)")


class SecretInEnvironment:
    """Find variables of services, pods, pipelines and tool servers that carry keys, tokens or passwords as text.

    What: `environment: {HF_TOKEN: hf_…}`, `env: [{name: DB_PASSWORD, value: …}]`, a Secret with its data in the file.
    Why: the file lies in the repository, and the variable in every `inspect`, crash report and child process.
    Bad: `POSTGRES_PASSWORD: Tr0ub4dor&3`.
    Good: `POSTGRES_PASSWORD_FILE: /run/secrets/db`, `valueFrom: {secretKeyRef: …}`, `${HF_TOKEN:?}`.
    Fix: revoke it; take it from a secret store, or from the environment of who starts it.
    """

    card: ClassVar[Card] = Card(
        title="Secret in environment",
        summary="A variable of a deployment file carries a key, a token or a password as text.",
        paper="CWE-798, CWE-526; OWASP LLM02; MITRE ATLAS AML.T0055",
        threats=("CWE-798", "CWE-526", "OWASP-LLM02", "AML.T0055"),
        severity="high",
        reads=("instructions", "documents"),
    )

    def check(self, artifact: Artifact) -> Iterator[Draft]:
        """Judge every variable by name and value."""
        if artifact.format == "dockerfile":
            return
        example = _EXAMPLE.search(artifact.path) is not None
        for item in artifact.instructions:
            name, _, value = item.value.partition("=")
            if item.keyword not in ("ENV", "ARG") or not secret_name(name) or stand_in(value):
                continue
            weak = value.lower() in _DEFAULTS or _WEAK.fullmatch(value) is not None
            yield Draft(
                message=f"{name} is {'a default or a word' if weak else f'written down: {value[:2]}…'}",
                fix="revoke it; take it from a secret store when the service starts",
                severity="low" if weak or example else "high",
                place=item.place,
            )
        for document in artifact.documents:
            if document.kind == "kubernetes":
                for resource in resources(document.root):
                    yield from _stored(resource)


def _stored(resource: Node) -> Iterator[Draft]:
    if resource.get("kind").text != "Secret" or resource.get("type").text.startswith("bootstrap"):
        return
    named = [
        key
        for group in ("data", "stringData")
        for key, value in resource.get(group).fields.items()
        if not key.endswith((".crt", ".pem", "username", "user"))
        and _written(unwrapped(value.text) if group == "data" else value.text)
    ]
    if named:
        yield Draft(
            message=f"the Secret {resource.get('metadata', 'name').text} carries {', '.join(named[:3])} in the file;"
            " base64 hides nothing",
            fix="seal it, or have it made from a secret store",
            severity="medium",
            place=Place(line=resource.line),
        )


def _written(value: str) -> bool:
    """Say whether a value is itself the secret: neither a stand-in, a word nor sealed."""
    sealed = value.startswith(("<", "ENC[", "AgA", "vault:"))
    return not (sealed or stand_in(value) or _WEAK.fullmatch(value))
