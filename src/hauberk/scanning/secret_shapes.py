"""Real secret or stand-in: placeholders, textbook values, references, and values that only their name calls secret."""

from __future__ import annotations

import itertools
import math
import re
from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple

from hauberk.scanning.secret_checks import unwrapped

_STEMS = ("key", "token", "secret", "pass", "pwd", "credential", "bearer")
_OWNER = re.compile(
    r"(?i)(?:api|secret|access|auth|client|service|account|db|database|priv|private|master|encryption|signing|session|jwt"
    r"|admin|webhook|license|subscription)[_-]?\Z"
)
"""What must stand before "key" for its value to be a secret."""
_NAME = re.compile(r"(?i)(?:word|wd|phrase|code|s)?(?:_?(?:value|access|v?\d{1,2}))?(?=[\"'\]\s:=,])")
_PASSWORD = ("password", "passwd", "passphrase", "passcode", "pwd", "pass")
_VALUE = r"[^\"'\s]{6,200}"
_QUOTED = re.compile(
    r"[\"']?\]?\s{0,4}(?::\s{0,4}(?:str|SecretStr|Optional\[str\])\s{0,4})?(?:[:=]|=>|\]\s*=)\s{0,4}"
    rf"(?:\w{{1,30}}\(\s{{0,4}})?[bruBRU]{{0,2}}[\"']({_VALUE})[\"']"
)
_DEFAULT = re.compile(rf"[\"']\s{{0,4}},\s{{0,4}}(?:default\s{{0,2}}=\s{{0,2}})?[\"']({_VALUE})[\"']")
_CALL_BEFORE = re.compile(r"\w\(\s{0,4}[\"'][\w.-]{0,40}\Z")
"""`os.getenv("API_KEY", "value")`: the value that counts where nothing else is set."""
_BARE = re.compile(r"[ \t]{0,4}[:=][ \t]{0,4}([^\s\"'#,;]{6,200})[ \t]{0,20}(?=\n|\Z|#)")
_BARE_BEFORE = re.compile(r"(?:\A|\n)[ \t]{0,20}(?:export |set |ENV |ARG |- )?[\w.-]{0,40}\Z")
_FLAG = re.compile(r"(?:[ =]|\",\s?\")[\"']?([^\s\"',]{6,200})(?![^\s\"',])")
_FLAG_BEFORE = re.compile(r"(?:--|-e[ =]\"?)[\w-]{0,30}\Z")
"""`--api-key value` and `-e API_KEY=value` of a command line."""
_NETRC = re.compile(r"(?m)^\s{0,8}(?:machine\s+\S{1,200}\s+)?login\s+\S{1,200}\s+password\s+(\S{6,200})")
_IN_ADDRESS = re.compile(
    r"(?<![A-Za-z0-9+])[a-z][a-z0-9+]{2,20}://([^\s/:@\"'{}<>$]{0,60}):([^\s/@\"'{}<>$]{6,100})@[\w.\[-]"
)
_CURL = re.compile(r"\bcurl\b[^\n|;]{0,300}?\s(?:-u|--user)[ =]?[\"']?[^\s:\"'$]{1,60}:([^\s\"'$]{6,100})")
_BEARER = re.compile(r"(?i)authorization[\"']?\s{0,4}[:=]\s{0,4}[bf]?[\"']?bearer ([A-Za-z0-9_.~+/=-]{20,300})")
_PLACEHOLDER = re.compile(
    r"(?i)x{4,}|\*{3,}|\.{3,}|example|placeholder|your|change.?(?:me|it|this)|replace|insert|dummy|fake|sample|redacted|todo"
    r"|none|null|undefined|not.?(?:set|needed|required|used|a.?real)|^empty|^mock|^(?:unit|integration)?[_-]?test(?:ing)?[_-]"
    r"|(?:test|my|some|the|super|demo|default|local|dev|any|no|bad|wrong|invalid|random)[_-]?(?:secret|key|token|pass(?:word|wd)?)"
    r"|^(?:test|demo|dev|local)|<|\$\{|\$\(|\{\{|\}\}|\{\w*\}|%\(|%s|^\$|^!|^@|^#|\$[A-Z_]+$"
    r"|password|passwd|secret|s3cret|hunter2|correct.?horse|tiger|deadbeef|0{6,}|Eby8vdM02xNO|1234567|abcdefg|qwerty|letmein|foobar|lorem"
)  # fmt: skip
_STAND_IN = re.compile(
    r"(?i)x{5,}|\*{3,}|\.{3,}|example|placeholder|your[_-]?|change_?me|redacted|dummy|fake|not-?a?-?real|Eby8vdM02xNO"
)
_SHAPE = re.compile(r"[A-Za-z0-9+/_=.~!@%^&*#$?|:;,-]+")
_NOT_SECRET = re.compile(
    r"(?:[a-z]+[._:/-])*[a-z]+|[A-Z]+(?:_[A-Z0-9]+)*_?|\d+|[a-z]+://.*|/.*|\./.*|~/.*|[\w./-]*\.(?:json|pem|key|txt|py|ya?ml|env|com|org|io|crt)"
    r"|\w+(?:\.\w+)+\(?.*|[\w.]+[(\[].*|sha\d+[:-].*|.*(?:::|\?\.).*|arn:.*|(?:secret|vault|op|ssm|env|file|gcp|aws|sm|ref)[+:].*"
    r"|(?:[A-Za-z]+[_-])+[A-Za-z]+|[A-Z][a-z]+(?:[A-Z][a-z]+)*|[a-z]+(?:[A-Z][a-z]+)+"
)
_LOWER = {code: code + 32 for code in range(ord("A"), ord("Z") + 1)}
_RUN = 4
_SEQUENTIAL_SHARE = 0.4


class Named(NamedTuple):
    """A value that its name calls secret: where it stands and what to call it."""

    start: int
    end: int
    name: str


def entropy(text: str) -> float:
    """Return Shannon's entropy in bits a character."""
    counts = Counter(text)
    return -sum(count / len(text) * math.log2(count / len(text)) for count in counts.values())


def stands_in(secret: str) -> bool:
    """Tell a documentation's stand-in for a provider's secret: it says so, or counts up or repeats for long."""
    return _STAND_IN.search(secret) is not None or _sequential(secret) >= _SEQUENTIAL_SHARE * len(secret)


def _sequential(text: str) -> int:
    """Count the characters in runs such as "12345678", "abcdef", "aaaa"."""
    total = run = 0
    step = 0
    for before, after in itertools.pairwise(text):
        now = ord(after) - ord(before)
        if now in (0, 1) and (run == 0 or now == step):
            run, step = run + 1, now
            continue
        total += run + 1 if run + 1 >= _RUN else 0
        run, step = (1, now) if now in (0, 1) else (0, 0)
    return total + (run + 1 if run + 1 >= _RUN else 0)


def lowered(text: str) -> str:
    """Put a text in lower case without moving any character."""
    low = text.lower()
    return low if len(low) == len(text) else text.translate(_LOWER)


def named_values(text: str, low: str, code: bool) -> Iterator[Named]:
    """Find values that a name calls a key, token or password, and passwords inside addresses and command lines.

    low: the same text in lower case.
    """
    for stem in _STEMS:
        start = low.find(stem)
        while start >= 0:
            named = _assigned(text, start, stem, code)
            if named is not None:
                yield named
            start = low.find(stem, start + len(stem))
    for match in _NETRC.finditer(text) if not code and "login " in text else ():
        if _looks_random(match[1], True, quoted=True):
            yield Named(*match.span(1), "password")
    for match in _IN_ADDRESS.finditer(text) if "://" in text else ():
        user, value = match[1], match[2]
        if user != value and not _PLACEHOLDER.search(value) and entropy(value) > 2.0 and not value.isdigit():
            yield Named(*match.span(2), "password in an address")
    for match in _CURL.finditer(text) if "curl" in text else ():
        if _looks_random(match[1], True, quoted=True):
            yield Named(*match.span(1), "password")
    for match in _BEARER.finditer(text) if "earer " in text else ():
        if _looks_random(match[1], False, quoted=True):
            yield Named(*match.span(1), "bearer token")


def _assigned(text: str, start: int, stem: str, code: bool) -> Named | None:
    """Find the value given to the name that has this stem, where it looks like a secret."""
    name = _NAME.match(text, start + len(stem))
    end = name.end() if name is not None else start
    if name is None or (stem == "key" and _OWNER.search(text[max(0, start - 15) : start]) is None):
        return None
    before = text[max(0, start - 64) : start]
    value = _QUOTED.match(text, end) or (_DEFAULT.match(text, end) if _CALL_BEFORE.search(before) else None)
    quoted = value is not None
    if value is None and _FLAG_BEFORE.search(before):
        value = _FLAG.match(text, end)
    if value is None and not code and _BARE_BEFORE.search(before if start > 64 else "\n" + before):
        value = _BARE.match(text, end)
    password = text[start:end].lower().endswith(_PASSWORD)
    if value is None or not _looks_random(value[1], password, quoted):
        return None
    return Named(*value.span(1), "password" if password else "key or token")


def _looks_random(value: str, password: bool, quoted: bool) -> bool:
    """Tell a secret from a word, a name, a path, a call and a placeholder."""
    if _SHAPE.fullmatch(value) is None or _PLACEHOLDER.search(value) or _NOT_SECRET.fullmatch(value):
        return False
    if _sequential(value) > _SEQUENTIAL_SHARE * len(value) or _PLACEHOLDER.search(unwrapped(value)):
        return False
    digits, letters = any(char.isdigit() for char in value), any(char.isalpha() for char in value)
    symbols = any(char in "!@#$%^&*+=~" for char in value)
    if password:
        return letters and (digits or (symbols and quoted)) and entropy(value) > 2.2
    return digits and letters and len(value) >= 16 and entropy(value) > 3.2
