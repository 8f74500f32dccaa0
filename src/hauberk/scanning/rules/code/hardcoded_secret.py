"""A password or signing key written into the program that checks it."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from typing import ClassVar

from hauberk.core.card import Card
from hauberk.scanning.artifact import Artifact, Draft, Place
from hauberk.scanning.python_program import program_of
from hauberk.scanning.python_values import CallSite, Value

_SECRET = re.compile(
    r"(?i)(x_)?([a-z0-9_]*_)?(api_?key|secret|secret_?key|access_?key|password|passwd|passphrase|(auth|api|access|bearer|admin"
    r"|session)_?token|token|authorization|credential|signing_?key|jwt_?secret)"
)
_STORED = re.compile(r".*(\[SECRET_KEY\]|\.secret_key|\[JWT_SECRET_KEY\]|\.api_key|\[WTF_CSRF_SECRET_KEY\]) =")
_KEYWORDS = frozenset(
    ["password", "passwd", "api_key", "secret", "secret_key", "auth_token", "access_token", "token", "api_token",
     "aws_secret_access_key", "openai_api_key", "anthropic_api_key", "hf_token", "use_auth_token", "jwt_secret"]
)  # fmt: skip
_PLACEHOLDER = re.compile(
    r"(?i)|x+|\*+|\.+|none|null|empty|ollama|lm-?studio|dummy|fake|not-?needed|no-?key(-required)?|sk-no-key-required"
    r"|test(ing)?|changeme|your[-_ ].*|.*[<{$].*|.*\b(example|placeholder|here)\b.*|token|bearer|string|password|secret"
    r"|unused|na|n/a|eos"
)
_WORDS = re.compile(r"[a-z ]{1,12}|[A-Z_]+|[a-z_]+(_[a-z]+)*")
_TESTS = re.compile(r"(^|/)(tests?|testing|conftest\.py|fixtures)(/|$)|(^|/)test_[^/]*$|_test\.py$")


_COMPARED = re.compile(
    r"(?i)(key|secret|passw|token|passphrase|authorization|credential)[^\n]{0,40}[!=]=|[!=]=[^\n]{0,60}(key|secret|passw|token)"
)


class HardcodedSecret:
    """Find literal keys that are compared with, signed with, or passed as a password or API key.

    Everyone who reads the repository, the image or a stack trace can then sign in, and the key cannot be changed
    without a release. Read it from the environment or a secret store; compare with hmac.compare_digest.

    Bad:

        if api_key != "acme-internal-2024": abort(403)

    Good:

        if not hmac.compare_digest(api_key, os.environ["MODEL_API_KEY"]): abort(403)
    """

    card: ClassVar[Card] = Card(
        title="Hard-coded secret",
        summary="A password, API key or signing key is written into the program.",
        paper="CWE-798, CWE-321; OWASP LLM02; MITRE ATLAS AML.T0012",
        threats=("CWE-798", "CWE-321", "OWASP-LLM02", "AML.T0012"),
        severity="medium",
        reads=("source",),
    )

    def check(self, artifact: Artifact) -> Iterator[Draft]:
        """Judge comparisons, signing calls, settings and keywords."""
        if _TESTS.search(artifact.path):
            return
        for site in program_of(artifact).calls:
            what = _judge(site)
            if what:
                yield _draft(what, site.place)
        source = artifact.source
        if source is None or source.tree is None or _COMPARED.search(source.text) is None:
            return
        for node in ast.walk(source.tree):
            if isinstance(node, ast.Compare) and _compared(node):
                place = Place(line=node.lineno, column=node.col_offset + 1)
                yield _draft("a caller's secret is compared with one written here", place)


def _draft(what: str, place: Place) -> Draft:
    fix = "read it from the environment or a secret store, change it, and compare with hmac.compare_digest"
    return Draft(message=f"{what}: everyone who reads the program knows it", fix=fix, place=place)


def _judge(site: CallSite) -> str:
    if site.path in ("jwt.encode", "jwt.decode", "jose.jwt.encode", "jose.jwt.decode", "authlib.jose.jwt.encode"):
        return "tokens are signed with a key written here" if _literal(site.argument(1, "key")) else ""
    if site.path == "hmac.new":
        key = site.argument(0, "key")
        bytes_key = isinstance(key.constant, bytes) and len(key.constant) > 3
        return "messages are signed with a key written here" if bytes_key or _literal(key) else ""
    if _STORED.fullmatch(site.path):
        return "the key of the service is written here" if _strict(site.arguments[0]) else ""
    for name, value in site.keywords:
        if name in _KEYWORDS and _strict(value):
            return f"{name} is written here"
    return ""


def _literal(value: Value) -> bool:
    text = value.constant
    return isinstance(text, str) and len(text) >= 4 and _PLACEHOLDER.fullmatch(text) is None


def _strict(value: Value) -> bool:
    """Tell a key from a word such as a token's name: some length, and more than one plain word."""
    text = value.constant
    return _literal(value) and isinstance(text, str) and len(text) >= 6 and _WORDS.fullmatch(text) is None


def _compared(node: ast.Compare) -> bool:
    if len(node.ops) != 1 or not isinstance(node.ops[0], ast.Eq | ast.NotEq):
        return False
    for left, right in ((node.left, node.comparators[0]), (node.comparators[0], node.left)):
        if isinstance(right, ast.Constant) and isinstance(right.value, str) and _SECRET.fullmatch(_name(left)):
            text = right.value
            return (
                len(text) >= 6 and _PLACEHOLDER.fullmatch(text) is None and not re.fullmatch(r"<.*>|\[.*\]|\W*", text)
            )
    return False


def _name(node: ast.expr) -> str:
    if isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Constant):
        return str(node.slice.value).replace("-", "_")
    if isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
        return str(node.args[0].value).replace("-", "_")
    return node.id if isinstance(node, ast.Name) else getattr(node, "attr", "")
