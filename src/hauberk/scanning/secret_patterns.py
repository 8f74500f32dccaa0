"""What keys, tokens and passwords look like: prefix, length, alphabet, entropy, and a checksum where one is public.

Patterns follow the formats that providers publish, written from memory but for GitHub, whose checksum is verified.
A hit never carries the secret itself, only its first characters.
"""

from __future__ import annotations

import base64
import binascii
import json
import math
import re
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import NamedTuple

from hauberk.core.evidence import Confidence
from hauberk.scanning.artifact import NOWHERE, Artifact, Place

SHOWN = 4
MOST = 200
"""Secrets reported of one text: a file with more is a list of them."""
_WORD = r"(?<![A-Za-z0-9_-])"
_END = r"(?![A-Za-z0-9_-])"


class Pattern(NamedTuple):
    """A kind of secret. marks: literals one of which must be in the text. entropy: least bits a character."""

    name: str
    family: str
    marks: tuple[str, ...]
    regex: re.Pattern[str]
    entropy: float = 3.0
    check: Callable[[str], bool] | None = None


class Hit(NamedTuple):
    """A secret that was found. shown: its first characters. checked: a checksum holds (None where there is none)."""

    name: str
    family: str
    start: int
    end: int
    line: int
    column: int
    shown: str
    checked: bool | None

    @property
    def confidence(self) -> Confidence:
        """How sure it is a secret: a checksum that fails speaks for an invented one, a name alone is no proof."""
        if self.checked is False:
            return "low"
        return "medium" if self.family == "named_value" else "high"


class Piece(NamedTuple):
    """A text of an artifact. where: in words, for texts without lines of their own."""

    text: str
    place: Place
    where: str
    code: bool = False


def _crc_base62(token: str) -> bool:
    """Check the last six characters of a GitHub or npm token: CRC-32 of the 30 before them, in base 62."""
    body = token.rsplit("_", 1)[-1]
    number, digits = zlib.crc32(body[:-6].encode()), ""
    alphabet = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
    while number:
        number, digit = divmod(number, 62)
        digits = alphabet[digit] + digits
    return digits.rjust(6, "0") == body[-6:]


def _is_web_token(token: str) -> bool:
    """Tell whether the first part decodes to a JSON header with an algorithm."""
    head = token.split(".", 1)[0]
    try:
        header = json.loads(base64.urlsafe_b64decode(head + "=" * (-len(head) % 4)))
    except (ValueError, binascii.Error):
        return False
    return isinstance(header, dict) and "alg" in header


def _is_placeholder_web_token(token: str) -> bool:
    try:
        body = token.split(".")[1]
        return b"1234567890" in base64.urlsafe_b64decode(body + "=" * (-len(body) % 4))
    except (ValueError, binascii.Error, IndexError):
        return False


def _pattern(
    name: str, family: str, marks: str, body: str, entropy: float = 3.0, check: Callable[[str], bool] | None = None
) -> Pattern:
    return Pattern(name, family, tuple(marks.split()), re.compile(f"{_WORD}({body}){_END}"), entropy, check)


def _near(name: str, family: str, marks: str, value: str, entropy: float = 3.0) -> Pattern:
    """Make a pattern for a value without a prefix: it counts only where the provider's name stands before it."""
    words = tuple(marks.split())
    names = "|".join(word for word in words)
    regex = rf"(?i:{names})[\w .\-\[\]\"'(]{{0,40}}?[=:,(]\s*[\"']?{_WORD}({value}){_END}"
    return Pattern(name, family, tuple({*words, *(word.upper() for word in words)}), re.compile(regex), entropy)


_MODEL = "model_provider"
_CLOUD = "cloud"
_DEVELOPMENT = "development"
PATTERNS = (
    _pattern("OpenAI key", _MODEL, "sk-proj- sk-svcacct- sk-admin-", r"sk-(?:proj|svcacct|admin)-[\w-]{40,200}"),
    _pattern("OpenAI key", _MODEL, "T3BlbkFJ", r"sk-[A-Za-z0-9]{20}T3BlbkFJ[A-Za-z0-9]{20}"),
    _pattern("OpenAI key", _MODEL, "sk-", r"sk-[A-Za-z0-9]{48}"),
    _pattern("DeepSeek key", _MODEL, "sk-", r"sk-[0-9a-f]{32}"),
    _pattern("Anthropic key", _MODEL, "sk-ant-", r"sk-ant-(?:api|admin|sid)\d{2}-[A-Za-z0-9_-]{80,120}"),
    _pattern("Hugging Face token", _MODEL, "hf_ api_org_", r"(?:hf|api_org)_[A-Za-z]{34}"),
    _pattern("Replicate token", _MODEL, "r8_", r"r8_[A-Za-z0-9]{37}"),
    _pattern("Groq key", _MODEL, "gsk_", r"gsk_[A-Za-z0-9]{52}"),
    _pattern("Perplexity key", _MODEL, "pplx-", r"pplx-[A-Za-z0-9]{48}"),
    _pattern("OpenRouter key", _MODEL, "sk-or-", r"sk-or-v1-[0-9a-f]{64}"),
    _pattern("xAI key", _MODEL, "xai-", r"xai-[A-Za-z0-9]{80}"),
    _pattern("NVIDIA key", _MODEL, "nvapi-", r"nvapi-[A-Za-z0-9_-]{60,80}"),
    _pattern("Pinecone key", _MODEL, "pcsk_", r"pcsk_[A-Za-z0-9]{5,8}_[A-Za-z0-9]{50,70}"),
    _pattern("LangSmith key", _MODEL, "lsv2_", r"lsv2_(?:pt|sk)_[0-9a-f]{32}_[0-9a-f]{10}"),
    _pattern("Voyage key", _MODEL, "pa-", r"pa-[A-Za-z0-9_-]{43}", 4.0),
    _pattern("Google API key", _MODEL, "AIza", r"AIza[0-9A-Za-z_-]{35}"),
    _near("Weights & Biases key", _MODEL, "wandb", r"[0-9a-f]{40}"),
    _near("Cohere key", _MODEL, "cohere", r"[A-Za-z0-9]{40}", 4.0),
    _near("Mistral key", _MODEL, "mistral", r"[A-Za-z0-9]{32}", 4.0),
    _near("Together key", _MODEL, "together", r"[0-9a-f]{64}"),
    _near("Pinecone key", _MODEL, "pinecone", r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}"),
    _near("Kaggle key", _MODEL, "kaggle", r"[0-9a-f]{32}"),
    _pattern("AWS access key", _CLOUD, "AKIA ASIA", r"A(?:KIA|SIA)[A-Z2-7]{16}"),
    _near("AWS secret key", _CLOUD, "aws_secret secret_access_key secretaccesskey", r"[A-Za-z0-9+/]{40}", 4.0),
    Pattern(
        "Azure storage key", _CLOUD, ("AccountKey=",), re.compile(r"AccountKey=([A-Za-z0-9+/]{86}==)"), 4.0
    ),
    _near("Azure AI key", _CLOUD, "azure ocp-apim-subscription-key", r"[0-9a-f]{32}"),
    _pattern("Databricks token", _CLOUD, "dapi", r"dapi[0-9a-f]{32}(?:-\d)?"),
    _pattern("DigitalOcean token", _CLOUD, "dop_v1_", r"dop_v1_[0-9a-f]{64}"),
    _pattern("GitHub token", _DEVELOPMENT, "ghp_ gho_ ghu_ ghs_ ghr_", r"gh[pousr]_[A-Za-z0-9]{36}", 3.0, _crc_base62),
    _pattern("GitHub token", _DEVELOPMENT, "github_pat_", r"github_pat_[A-Za-z0-9]{22}_[A-Za-z0-9]{59}"),
    _pattern("GitLab token", _DEVELOPMENT, "glpat-", r"glpat-[A-Za-z0-9_-]{20,40}"),
    _pattern("npm token", _DEVELOPMENT, "npm_", r"npm_[A-Za-z0-9]{36}", 3.0, _crc_base62),
    _pattern("PyPI token", _DEVELOPMENT, "pypi-AgE", r"pypi-AgEIcHlwaS5vcmc[A-Za-z0-9_-]{50,300}"),
    _pattern("Docker Hub token", _DEVELOPMENT, "dckr_pat_", r"dckr_pat_[A-Za-z0-9_-]{27}"),
    _pattern("Slack token", _DEVELOPMENT, "xox", r"xox[abeprs]-(?:\d+-)*[A-Za-z0-9-]{20,120}"),
    _pattern("Stripe key", _DEVELOPMENT, "sk_live_ rk_live_", r"[sr]k_live_[0-9A-Za-z]{24,120}"),
    _pattern("SendGrid key", _DEVELOPMENT, "SG.", r"SG\.[A-Za-z0-9_-]{22}\.[A-Za-z0-9_-]{43}"),
    Pattern(
        "Slack webhook",
        _DEVELOPMENT,
        ("hooks.slack.com",),
        re.compile(r"(https://hooks\.slack\.com/services/T[A-Z0-9]{8,}/B[A-Z0-9]{8,}/[A-Za-z0-9]{20,})"),
    ),
    Pattern(
        "private key",
        "private_key",
        ("PRIVATE KEY",),
        re.compile(
            r"(-----BEGIN (?:[A-Z]+ )?PRIVATE KEY(?: BLOCK)?-----(?:\\[rn]|[\s\"',+])+"
            r"(?:[A-Za-z0-9+/=-][^-]{0,200}?)?"
            r"[A-Za-z0-9+/]{40})"
        ),
        0.0,
    ),
    Pattern(
        "JSON web token",
        "web_token",
        ("eyJ",),
        re.compile(rf"{_WORD}(eyJ[\w-]{{10,2000}}\.eyJ[A-Za-z0-9_-]{{10,4000}}\.[A-Za-z0-9_-]{{20,1000}}){_END}"),
        3.0,
        _is_web_token,
    ),
)  # fmt: skip
_KEY_NAME = r"(?:api_?-?key|secret|(?:secret|access|auth)_?-?key|token|passwd|password|passphrase)"
_QUOTED = re.compile(
    rf"(?i)({_KEY_NAME})[\"']?\]?\s{{0,4}}(?::\s{{0,4}}str\s{{0,4}})?[:=]\s{{0,4}}[\"']([^\"'\s]{{8,200}})[\"']"
)
_BARE = re.compile(
    r"(?im)^[ \t]{0,20}(?:export |set |ENV |ARG |- )?[\w.-]{0,40}?"
    rf"({_KEY_NAME})[ \t]{{0,4}}[:=][ \t]{{0,4}}([^\s\"'#,;]{{8,200}})[ \t]{{0,20}}$"
)
_IN_ADDRESS = re.compile(
    r"(?<![A-Za-z0-9+])[a-z][a-z0-9+]{2,20}://[^\s/:@\"'{}<>$]{1,60}:([^\s/@\"'{}<>$]{6,100})@[\w.-]"
)
_PLACEHOLDER = re.compile(
    r"(?i)x{4,}|\*{3,}|\.{3,}|example|placeholder|your|change.?me|replace|insert|dummy|fake|sample|redacted|todo|none|null"
    r"|(?:test|my|some|the|super)[_-]?(?:secret|key|token|password)|password|passwd|secret|s3cret|hunter2|tiger|<|\$\{|\{\{|%\("
    r"|1234567|abcdefg|deadbeef|0{6,}"
)  # fmt: skip
_PREFIXED_PLACEHOLDER = re.compile(
    r"(?i)x{5,}|\*{3,}|\.{3,}|example|placeholder|your[_-]?|changeme|12345678|abcdefgh|0{8,}"
)
_SHAPE = re.compile(r"[A-Za-z0-9+/_=.~!@%^&-]+")
_NOT_SECRET = re.compile(
    r"(?:[a-z]+[._-])*[a-z]+|[A-Z_]+|\d+|[a-z]+://.*|/.*|.*\.(?:json|pem|key|txt|py|yaml|yml|env|com|org)"
)


@lru_cache(maxsize=16)
def secrets_in(text: str, code: bool = False) -> tuple[Hit, ...]:
    """Find secrets, in the order of the text, a bounded number; of two that overlap the earlier pattern's.

    code: the text is a program, where a value without quotes is a name.
    """
    taken: list[tuple[int, int]] = []
    hits: list[Hit] = []
    for pattern in PATTERNS:
        if not any(mark in text for mark in pattern.marks):
            continue
        for match in pattern.regex.finditer(text):
            start, end = match.span(1)
            secret = match[1]
            if len(hits) >= MOST:
                break
            if _is_invented(pattern, secret) or any(start < stop and begin < end for begin, stop in taken):
                continue
            checked = None if pattern.check is None else pattern.check(secret)
            if pattern.family == "web_token" and (not checked or _is_placeholder_web_token(secret)):
                continue
            taken.append((start, end))
            hits.append(_hit(text, (pattern.name, pattern.family), start, end, checked))
    for start, end, name in _named(text, code):
        if len(hits) < MOST and not any(start < stop and begin < end for begin, stop in taken):
            taken.append((start, end))
            hits.append(_hit(text, (name, "named_value"), start, end, None))
    return tuple(sorted(hits, key=lambda hit: hit.start))


def pieces(artifact: Artifact) -> Iterator[Piece]:
    """Yield the texts of an artifact in which secrets are looked for; a notebook's magics stand in its cells' text."""
    if artifact.source is not None:
        yield Piece(artifact.source.text, Place(line=1), "", code=True)
    for note in artifact.notes:
        if note.name == "text":
            yield Piece(note.text, Place(line=1), "")
        elif not note.name.startswith(("%%", "magic", "option ")):
            yield Piece(note.text, note.place if note.name != "output" else NOWHERE, note.name)


def entropy(text: str) -> float:
    """Return Shannon's entropy in bits a character."""
    counts = Counter(text)
    return -sum(count / len(text) * math.log2(count / len(text)) for count in counts.values())


def _is_invented(pattern: Pattern, secret: str) -> bool:
    if pattern.family == "private_key":
        return False
    random = secret.rsplit("_", 1)[-1] if pattern.check is _crc_base62 else secret
    return _PREFIXED_PLACEHOLDER.search(secret) is not None or entropy(random) < pattern.entropy


def _named(text: str, code: bool) -> Iterator[tuple[int, int, str]]:
    """Find values that a name calls a key, token or password, and passwords inside addresses."""
    for regex in (_QUOTED,) if code else (_QUOTED, _BARE):
        for match in regex.finditer(text):
            name, value = match[1].lower(), match[2]
            password = name.endswith(("password", "passwd", "passphrase"))
            if _looks_random(value, password):
                yield (*match.span(2), "password" if password else "key or token")
    for match in _IN_ADDRESS.finditer(text):
        if not _PLACEHOLDER.search(match[1]) and entropy(match[1]) > 2.5:
            yield (*match.span(1), "password in an address")


def _looks_random(value: str, password: bool) -> bool:
    if _SHAPE.fullmatch(value) is None or _PLACEHOLDER.search(value) or _NOT_SECRET.fullmatch(value):
        return False
    mixed = any(char.isdigit() for char in value) and any(char.isalpha() for char in value)
    if password:
        return mixed and entropy(value) > 2.5
    return mixed and len(value) >= 16 and entropy(value) > 3.3 and "." not in value.strip(".")


def _hit(text: str, pattern: tuple[str, str], start: int, end: int, checked: bool | None) -> Hit:
    name, family = pattern
    line = text.count("\n", 0, start) + 1
    column = start - text.rfind("\n", 0, start)
    shown = "-----BEGIN…" if family == "private_key" else text[start : min(start + SHOWN, end)] + "…"
    return Hit(name, family, start, end, line, column, shown, checked)
