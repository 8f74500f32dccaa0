"""`hauberk: ignore[RULE] reason` in a comment: which findings it takes out, and what is wrong with the comment."""

from __future__ import annotations

import io
import re
import tokenize
from collections.abc import Iterable, Iterator, Sequence
from fnmatch import fnmatchcase
from typing import NamedTuple

from hauberk.core.evidence import Finding
from hauberk.scanning.artifact import Draft
from hauberk.scanning.rules.scan.ignore_without_reason import IgnoreWithoutReason
from hauberk.scanning.rules.scan.unused_ignore import UnusedIgnore

_HASH = re.compile(r"#\s*hauberk:\s*ignore\b(?:\[([^\]\n]*)\])?[ \t:–-]*([^\n]*)")
_MARKUP = re.compile(r"<!--\s*hauberk:\s*ignore\b(?:\[([^\]\n]*)\])?[ \t:–-]*([^\n]*?)\s*-->")
_MARKUP_ENDINGS = (".md", ".markdown", ".html", ".htm", ".xml", ".svg")
_WORDS = re.compile(r"\w{2,}")
_MOST = 10_000
WITHOUT_REASON = "scan.ignore_without_reason"
UNUSED = "scan.unused_ignore"


class Ignore(NamedTuple):
    """One comment. rules: names or patterns; reason: what it says after them. first, last: the lines it covers."""

    line: int
    rules: tuple[str, ...]
    reason: str
    first: int
    last: int

    @property
    def valid(self) -> bool:
        """Whether it names rules and says why."""
        return bool(self.rules) and _WORDS.search(self.reason) is not None


class Applied(NamedTuple):
    """What is left. kept: findings that stay; dropped: those a comment took out, with the comment.

    notes: what is wrong with comments, by the rule it is reported under (WITHOUT_REASON, UNUSED).
    """

    kept: tuple[Finding, ...]
    dropped: tuple[tuple[Finding, Ignore], ...]
    notes: tuple[tuple[str, Draft], ...]


def suppressions(text: str, name: str = "") -> tuple[Ignore, ...]:
    """Read the comments of one text; a comment alone on its line covers the next line that says something.

    name: of the file; it decides how comments are written. In Python a string that looks like a comment is none.
    """
    if "hauberk:" not in text:
        return ()
    lines = text.split("\n")
    comments = _python_comments(text) if name.endswith((".py", ".pyw")) else None
    pattern = _MARKUP if name.lower().endswith(_MARKUP_ENDINGS) else _HASH
    found = []
    for number, line in enumerate(lines, 1):
        match = pattern.search(line)
        if match is None or (comments is not None and (number, match.start()) not in comments):
            continue
        found.append(_ignore(number, match, lines))
        if len(found) >= _MOST:
            break
    return tuple(found)


def _ignore(number: int, match: re.Match[str], lines: Sequence[str]) -> Ignore:
    rules = tuple(rule.strip() for rule in (match[1] or "").split(",") if rule.strip())
    alone = not lines[number - 1][: match.start()].strip()
    last = number
    if alone:
        last = next((at for at in range(number + 1, min(len(lines), number + 50) + 1) if _says(lines[at - 1])), number)
    return Ignore(number, rules, match[2].strip(), number, last)


def _says(line: str) -> bool:
    return bool(line.strip()) and not line.lstrip().startswith(("#", "<!--"))


def _python_comments(text: str) -> set[tuple[int, int]] | None:
    """Return where comments begin; None where the text cannot be cut into tokens, so that any line may be one."""
    found = set()
    try:
        for token in tokenize.generate_tokens(io.StringIO(text).readline):
            if token.type == tokenize.COMMENT:
                at = token.string.find("hauberk:")
                start = token.string.rfind("#", 0, at) if at > 0 else 0
                found.add((token.start[0], token.start[1] + start))
    except (tokenize.TokenError, SyntaxError):
        return None
    return found


def apply(findings: Iterable[Finding], ignores: Sequence[Ignore]) -> Applied:
    """Take out the findings of one text that a valid comment covers; say which comments have no reason or no use."""
    kept, dropped, used = [], [], set()
    for finding in findings:
        covering = next((ignore for ignore in ignores if ignore.valid and _covers(ignore, finding)), None)
        if covering is None:
            kept.append(finding)
        else:
            dropped.append((finding, covering))
            used.add(covering.line)
    return Applied(tuple(kept), tuple(dropped), tuple(_notes(ignores, used)))


def _covers(ignore: Ignore, finding: Finding) -> bool:
    line = finding.location.line
    if line is None or not any(_names(rule, finding.rule) for rule in ignore.rules):
        return False
    return ignore.first <= (finding.location.end_line or line) and line <= ignore.last


def _names(pattern: str, rule: str) -> bool:
    """Match a rule by its whole name, its last part, or a pattern such as "code.*"."""
    return fnmatchcase(rule, pattern) or rule.rpartition(".")[2] == pattern


def _notes(ignores: Sequence[Ignore], used: set[int]) -> Iterator[tuple[str, Draft]]:
    for ignore in ignores:
        if not ignore.valid:
            yield from ((WITHOUT_REASON, draft) for draft in IgnoreWithoutReason().check(ignore))
        elif ignore.line not in used:
            yield from ((UNUSED, draft) for draft in UnusedIgnore().check(ignore))
