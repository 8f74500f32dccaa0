"""Making secrets with a predictable generator, and splits that nobody can repeat."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from typing import ClassVar

from hauberk.core.card import Card
from hauberk.scanning.artifact import Artifact, Draft
from hauberk.scanning.python_program import program_of
from hauberk.scanning.python_values import CallSite

_WEAK = re.compile(
    r"random\.(random|randint|randrange|choice|choices|sample|getrandbits|uniform|randbytes|shuffle)"
    r"|random\.Random\(\)\.\w+|numpy\.random\.(rand|randint|random|choice|bytes|uniform)|uuid\.uuid1"
)
_SECRET = re.compile(
    r"(?i)(.*_)?(api_?key|key|token|secret|password|passwd|otp|pin|nonce|salt|iv|session(_?id)?|csrf|captcha|code|credential"
    r"|csrf_?token|verification_?code|invite_?code|passphrase)s?(_.*)?"
)
_VERBS = re.compile(
    r"(?i).*(token|password|secret|api_?key|otp|session_?id|nonce|salt|csrf|credential|passcode|invite).*"
)
_NOT_SECRET = re.compile(
    r"(?i).*(token_?(ids?|length|count|embed)|keys?_?(frame|point|word)|max_tokens|num_tokens|mask|n_tokens|tokens|zip_?code|dict_key|country_code).*"
)
_SPLITS = ("sklearn.model_selection.train_test_split",)

_SHUFFLES = ("random.shuffle", "numpy.random.shuffle", "numpy.random.permutation")
_SEED = re.compile(r"(?:.*\.)?(?:seed|manual_seed|seed_everything|set_seed|set_random_seed)")
_SPLITTING = re.compile(r"(?i)(?:^|[._:])(?:\w*_)?(?:split|holdout|partition|train_test|train_val)\w*$")


class WeakRandomness:
    """Find keys, tokens and session numbers made with random or numpy.random, and splits without a seed.

    The Mersenne twister is predicted from some of its outputs: an attacker computes the next key. Use the secrets
    module. A split without a seed differs each run, so that test rows leak into later training sets: pass random_state.

    Bad:

        api_key = "".join(random.choice(LETTERS) for _ in range(32))

    Good:

        api_key = secrets.token_urlsafe(32)
    """

    card: ClassVar[Card] = Card(
        title="Weak randomness",
        summary="A secret is made with a predictable generator, or a split has no seed.",
        paper="CWE-338, CWE-330",
        threats=("CWE-338", "CWE-330"),
        severity="medium",
        reads=("source",),
    )

    def check(self, artifact: Artifact) -> Iterator[Draft]:
        """Judge calls of weak generators by what their result is called."""
        program = program_of(artifact)
        weak = [site for site in program.calls if _WEAK.fullmatch(site.path)]
        tree = artifact.source.tree if artifact.source is not None else None
        named = _named(tree) if weak and tree is not None else {}
        for site in weak:
            what = named.get((site.place.line or 0, site.place.column or 0), "")
            function = site.function.rsplit(".", 1)[-1].lstrip(":")
            if not what and _VERBS.fullmatch(function) and not _NOT_SECRET.fullmatch(function):
                what = function
            if what:
                yield Draft(
                    message=f"{what} is made with {site.path}, whose outputs can be predicted",
                    fix="use the secrets module",
                    place=site.place,
                )
        if not any(_SEED.fullmatch(site.path) for site in program.calls):
            for site in program.named(*_SHUFFLES):
                if _SPLITTING.search(site.function):
                    yield Draft(
                        message=f"{site.path} without a seed before a split: test rows drift into training",
                        fix="shuffle with random.Random(seed), or numpy.random.default_rng(seed)",
                        confidence="medium",
                        place=site.place,
                    )
        for site in program.named(*_SPLITS):
            if _unseeded(site):
                yield Draft(
                    message="the split has no random_state: it differs each run, and test rows drift into training",
                    fix="pass random_state",
                    severity="low",
                    place=site.place,
                )


def _unseeded(site: CallSite) -> bool:
    state = site.keyword("random_state")
    return not site.open and site.says("shuffle") is not False and (state is None or state.constant is None)


def _named(tree: ast.Module) -> dict[tuple[int, int], str]:
    """Map every call inside an assignment to a name that says it is a secret."""
    found: dict[tuple[int, int], str] = {}
    for node in ast.walk(tree):
        name, value = "", None
        if isinstance(node, ast.Assign):
            name, value = _name(node.targets[0]), node.value
        elif isinstance(node, ast.AnnAssign | ast.NamedExpr):
            name, value = _name(node.target), node.value
        elif isinstance(node, ast.keyword):
            name, value = node.arg or "", node.value
        if value is None or not _SECRET.fullmatch(name) or _NOT_SECRET.fullmatch(name):
            continue
        for item in ast.walk(value):
            if isinstance(item, ast.Call):
                found[item.lineno, item.col_offset + 1] = name
    return found


def _name(node: ast.expr) -> str:
    if isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Constant):
        return str(node.slice.value)
    return node.id if isinstance(node, ast.Name) else getattr(node, "attr", "")
