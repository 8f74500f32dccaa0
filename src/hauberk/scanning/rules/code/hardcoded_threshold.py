"""A number in the code that decides who gets in, or what is blocked."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from typing import ClassVar

from hauberk.core.card import Card
from hauberk.scanning.artifact import Artifact, Draft, Place

_SCORE = re.compile(
    r"(?i).*(toxic|fraud|spam|risk|anomal|malware|malicious|phish|threat|abuse|moderation|injection|jailbreak|nsfw|liveness"
    r"|similarity|distance|match_?score|face|voice|biometric|trust_?score|suspicio|attack|unsafe|hate|violence|deepfake).*"
)
_WEAK_SCORE = re.compile(r"(?i)(.*_)?(score|prob|probability|confidence|prediction)(_.*)?")
_ACT = re.compile(
    r"(?i).*(grant|deny|block|reject|abort|allow|permit|ban|unlock|log_?in|authenticat|authori[sz]e|refuse|quarantine|flag_"
    r"|approve|forbid|suspend|access|verif).*"
)
_FLAGS = re.compile(
    r"(?i).*(allowed|blocked|denied|authenticated|authori[sz]ed|approved|is_safe|is_fraud|is_attack|access|verified|rejected).*"
)


_DECIDES = re.compile(
    r"(?i)_?(is_|check_|verify|authenticat|authori[sz]|moderat|detect_|guard|screen|login|log_in|unlock|match_(face|voice)|can_"
    r"|allow|block|filter_(prompt|input|output)|validate_(user|face|prompt|input)|recogni[sz]e_(face|user)).*"
)
_GUARDS = re.compile(
    r"(?i)injection|jailbreak|toxic|fraud|spam|nsfw|moderat|malware|phish|abuse|liveness|face|voice|biometric|prompt|threat"
)
_FRACTION = re.compile(r"[<>]=?\s*0?\.\d|\b0?\.\d+\s*[<>]")


class HardcodedThreshold:
    """Find a literal limit on a security score (face match, toxicity, fraud) that decides whether to let through.

    Such a limit depends on the model: after each retraining the same number lets other people in. Nobody sees it in the
    configuration, and the attacker who finds it by probing stays under it for good. Keep it in the settings beside the
    model's version, and measure its error rates.

    Bad:

        if distance(face, stored) < 0.6: grant_access()

    Good:

        if distance(face, stored) < settings.face_threshold: grant_access()
    """

    card: ClassVar[Card] = Card(
        title="Hard-coded threshold",
        summary="A literal number decides a security question that depends on the model.",
        paper="CWE-547, CWE-1188; OWASP ML01; MITRE ATLAS AML.T0015",
        threats=("CWE-547", "OWASP-ML01", "AML.T0015"),
        severity="medium",
        reads=("source",),
    )

    def check(self, artifact: Artifact) -> Iterator[Draft]:
        """Judge tests of a score against a fraction that lead to letting through or refusing."""
        source = artifact.source
        if source is None or source.tree is None or _FRACTION.search(source.text) is None:
            return
        seen: set[int] = set()
        for function in (*_functions(source.tree), source.tree):
            deciding = isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef) and _DECIDES.fullmatch(
                function.name
            )
            guards = bool(deciding) and _GUARDS.search(_names(function)) is not None
            for node in ast.walk(function):
                draft = _judge(node, bool(deciding), guards)
                if draft is not None and draft.place.line not in seen:
                    seen.add(draft.place.line or 0)
                    yield draft


def _functions(tree: ast.Module) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    """Yield functions whose name says that they decide."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and _DECIDES.fullmatch(node.name):
            yield node


def _judge(node: ast.AST, deciding: bool, guards: bool) -> Draft | None:
    test = node.test if isinstance(node, ast.If | ast.IfExp) else None
    if deciding and isinstance(node, ast.Return):
        test = node.value
    compared = _fraction(test) if test is not None else None
    if compared is None:
        return None
    names = _names(compared)
    named = _SCORE.fullmatch(names) is not None
    likely = _WEAK_SCORE.fullmatch(names) is not None
    acts = deciding or (isinstance(node, ast.If | ast.IfExp) and _acts(node))
    if not acts or not (named or likely):
        return None
    return Draft(
        message="a literal number decides what is let through; it is right for one model at most",
        fix="keep it in the settings beside the model's version, and measure its error rates",
        severity="medium" if named or guards else "low",
        confidence="medium",
        place=Place(line=compared.lineno, column=compared.col_offset + 1),
    )


def _fraction(test: ast.expr) -> ast.expr | None:
    """Return what is compared with a literal between 0 and 1."""
    for node in (test, *(test.values if isinstance(test, ast.BoolOp) else ())):
        if isinstance(node, ast.Compare) and len(node.ops) == 1:
            left, right = node.left, node.comparators[0]
            for one, other in ((left, right), (right, left)):
                if isinstance(one, ast.Constant) and isinstance(one.value, float) and 0 < one.value < 1:
                    return other
    return None


def _names(node: ast.AST) -> str:
    """Join the names in an expression."""
    words = []
    for item in ast.walk(node):
        if isinstance(item, ast.Name):
            words.append(item.id)
        elif isinstance(item, ast.Attribute):
            words.append(item.attr)
        elif isinstance(item, ast.Constant) and isinstance(item.value, str):
            words.append(item.value)
    return " ".join(words)[:200]


def _acts(node: ast.If | ast.IfExp) -> bool:
    """Tell whether the branches let through or refuse: a call, a flag or an answer that says so."""
    branches: list[ast.AST] = [*node.body, *node.orelse] if isinstance(node, ast.If) else [node.body, node.orelse]
    for branch in branches:
        for item in ast.walk(branch):
            if isinstance(item, ast.Call):
                name = item.func.id if isinstance(item.func, ast.Name) else getattr(item.func, "attr", "")
                if _ACT.fullmatch(name) or name == "HTTPException":
                    return True
            stored = isinstance(item, ast.Name | ast.Attribute) and isinstance(item.ctx, ast.Store)
            if stored and _FLAGS.fullmatch(item.id if isinstance(item, ast.Name) else getattr(item, "attr", "")):
                return True
            if isinstance(item, ast.Raise):
                return True
            if isinstance(item, ast.Constant) and isinstance(item.value, str) and _FLAGS.fullmatch(item.value[:40]):
                return True
    return False
