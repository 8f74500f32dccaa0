"""Pages of HTML: one file each, no script, nothing fetched, every foreign character escaped."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import jinja2
from markupsafe import Markup

from hauberk.assurance import wording
from hauberk.assurance.escaping import clipped, plain
from hauberk.assurance.reading import Bar

_TEMPLATES = Path(__file__).parent / "templates"
_REFERENCES = (
    (re.compile(r"CWE-(\d{1,5})"), "https://cwe.mitre.org/data/definitions/{}.html"),
    (re.compile(r"(CVE-\d{4}-\d{4,9})"), "https://www.cve.org/CVERecord?id={}"),
    (re.compile(r"(GHSA(?:-[0-9a-z]{4}){3})"), "https://github.com/advisories/{}"),
    (re.compile(r"(AML\.T\d{4}(?:\.\d{3})?)"), "https://atlas.mitre.org/techniques/{}"),
)
"""References whose page can be named from their id alone; a link is a link, nothing is fetched."""


@cache
def environment() -> jinja2.Environment:
    """Set up the templates: everything is escaped, every text made plain, an unknown name is an error."""
    made = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_finalize,
    )
    made.globals.update(wording=wording, bar=bar, link=link, code=wrapped)
    made.filters.update(clip=clipped, prose=prose)
    return made


def _finalize(value: object) -> object:
    return value if isinstance(value, Markup) or not isinstance(value, str) else plain(value)


def page(template: str, **names: object) -> bytes:
    """Fill a template."""
    text = environment().get_template(template).render(**names)
    return re.sub(r"\n\s*\n+", "\n", text).encode("utf-8", "backslashreplace")


def bar(row: Bar | None) -> Markup:
    """Draw an interval as a small drawing: the track, the interval on it, the value, the policy's bound.

    The same figures stand beside it as text, so it is hidden from screen readers.
    """
    if row is None:
        return Markup("")
    at = "{:.2f}%".format
    width = max(0.6, 100 * (row.high - row.low))
    start = min(100 - width, 100 * row.low)
    parts = [
        Markup('<svg class="bar" aria-hidden="true" focusable="false">'),
        Markup('<rect class="track" x="0" y="10" width="100%" height="2" rx="1"/>'),
        Markup('<rect class="span" x="{}" y="6" width="{}" height="10" rx="2"/>').format(at(start), at(width)),
    ]
    for bound in row.bounds:
        x = at(100 * bound)
        parts.append(Markup('<line class="bound" x1="{}" x2="{}" y1="1" y2="21"/>').format(x, x))
    parts.append(Markup('<circle class="dot" cx="{}" cy="11" r="3.5"/></svg>').format(at(100 * row.value)))
    return Markup("").join(parts)


def link(reference: str) -> Markup:
    """Link a standard's id to its page; any other text stays text."""
    for pattern, address in _REFERENCES:
        found = pattern.fullmatch(reference)
        if found:
            href = address.format(found[1])
            return Markup('<a href="{}" rel="noreferrer noopener">{}</a>').format(href, reference)
    return Markup("<span>{}</span>").format(plain(reference))


def prose(text: str) -> Markup:
    """Set what stands between `backticks` as code; all of it is escaped."""
    parts = re.split(r"`([^`]+)`", plain(text))
    made = ((Markup("<code>{}</code>") if index % 2 else Markup("{}")).format(p) for index, p in enumerate(parts))
    return Markup("").join(made)


def wrapped(text: str) -> Markup:
    """Put text into <code> that may break after a slash, a dot or an underscore."""
    broken = Markup("").join(
        Markup("{}<wbr>").format(part) if part[-1:] in "/!._:-" else Markup("{}").format(part)
        for part in re.split(r"(?<=[/!._:-])", plain(text))
        if part
    )
    return Markup("<code>{}</code>").format(broken)
