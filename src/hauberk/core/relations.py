"""Linear relations between a table's columns, as a project writes them: "total == a + b", "low <= high"."""

from __future__ import annotations

import re
from typing import Literal

import msgspec

_TOKEN = re.compile(r"\s*(?:(?P<number>\d+\.?\d*(?:[eE][+-]?\d+)?|\.\d+)|(?P<name>[^\W\d]\w*|`[^`]+`)|(?P<sign>[+*-]))")
_SENSE = re.compile(r"<=|>=|==|=|≤|≥")

TOLERANCE = 1e-6
"""A relation holds where its two sides differ by at most this share of its terms' sizes: float32 is no finer."""


class Relation(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Σ weight · column ≤ value, or = value. text: as it was written."""

    columns: tuple[str, ...]
    weights: tuple[float, ...]
    sense: Literal["<=", "=="]
    value: float
    text: str = ""


def relation(text: str) -> Relation:
    """Read "2*a - b + 1 <= c", "a + b == total" or "`two words` >= 3"; raises ValueError that says what is wrong."""
    senses = _SENSE.findall(text)
    if len(senses) != 1:
        raise ValueError(f'"{text}" has {len(senses)} of <=, >= and ==; write one')
    left, right = _SENSE.split(text)
    terms, constant = _side(left, text)
    for name, weight in _side(right, text)[0].items():
        terms[name] = terms.get(name, 0.0) - weight
    constant -= _side(right, text)[1]
    flip = -1.0 if senses[0] in (">=", "≥") else 1.0
    terms = {name: flip * weight for name, weight in terms.items() if weight}
    if not terms:
        raise ValueError(f'"{text}" names no column')
    return Relation(
        columns=tuple(terms),
        weights=tuple(terms.values()),
        sense="==" if senses[0] in ("==", "=") else "<=",
        value=0.0 - flip * constant,
        text=text,
    )


def _side(text: str, whole: str) -> tuple[dict[str, float], float]:
    """Read one side: sums and differences of numbers, columns, and numbers times columns."""
    terms: dict[str, float] = {}
    constant = 0.0
    for sign, factors in _terms(_tokens(text, whole), whole):
        names = [value for kind, value in factors if kind == "name"]
        weight = sign
        for kind, value in factors:
            weight *= float(value) if kind == "number" else 1.0
        if len(names) > 1:
            raise ValueError(f'"{whole}" multiplies {" and ".join(names)}; only linear relations are known')
        if names:
            terms[names[0]] = terms.get(names[0], 0.0) + weight
        else:
            constant += weight
    return terms, constant


def _tokens(text: str, whole: str) -> list[tuple[str, str]]:
    found, place, text = [], 0, text.rstrip()
    while place < len(text):
        match = _TOKEN.match(text, place)
        if match is None:
            raise ValueError(f'"{whole}" is not read beyond "{text[place:].strip()}"; use + - * , columns and numbers')
        kind = match.lastgroup or ""
        found.append((kind, match[kind].strip("`")))
        place = match.end()
    if not found:
        raise ValueError(f'"{whole}" has an empty side')
    return found


def _terms(tokens: list[tuple[str, str]], whole: str) -> list[tuple[float, list[tuple[str, str]]]]:
    """Cut a side into signed products."""
    terms: list[tuple[float, list[tuple[str, str]]]] = []
    sign, factors, open_end = 1.0, [], True
    for kind, value in tokens:
        if kind != "sign":
            if not open_end:
                raise ValueError(f'"{whole}" lacks a sign before "{value}"')
            factors.append((kind, value))
            open_end = False
        elif value == "*":
            if open_end:
                raise ValueError(f'"{whole}" has a * that multiplies nothing')
            open_end = True
        else:
            if factors and open_end:
                raise ValueError(f'"{whole}" has a * that multiplies nothing')
            if factors:
                terms.append((sign, factors))
                sign, factors = 1.0, []
            sign, open_end = sign * (-1.0 if value == "-" else 1.0), True
    if open_end:
        raise ValueError(f'"{whole}" ends in a sign')
    return [*terms, (sign, factors)]
