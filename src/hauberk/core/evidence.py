"""Evidence: what an engine found, measured, showed or could not look at. Frozen, hashable, strict JSON both ways."""

from __future__ import annotations

from typing import Literal, TypeAlias

import msgspec

Severity: TypeAlias = Literal["info", "low", "medium", "high", "critical"]
Confidence: TypeAlias = Literal["low", "medium", "high"]
Scalar: TypeAlias = str | int | float | bool | None
SEVERITIES: tuple[Severity, ...] = ("info", "low", "medium", "high", "critical")

Role: TypeAlias = Literal["headline", "curve", "stage", "control", "diagnostic"]
"""headline: judged by the policy. curve: a point of a series. stage: survivors after one attack of a cascade.
control: the same attack on the deliberately weak control model. diagnostic: helps to read the others."""

IntervalMethod: TypeAlias = Literal[
    "clopper-pearson", "wilson", "beta-mixture-sequence", "bootstrap", "delong", "mover", "exact", "none"
]
"""How [low, high] was computed; "delong": of an area under a ROC curve; "mover": of a difference of two estimates;
"exact": the value is counted on the whole population; "none": low = high = value."""


class _Record(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Base of every record: frozen, hashable, unknown fields refused."""


class Digest(_Record, frozen=True):
    """A named content digest, such as ("model", "sha256:…")."""

    name: str
    value: str


class Setting(_Record, frozen=True):
    """One named setting of a recipe."""

    name: str
    value: Scalar


class Provenance(_Record, frozen=True):
    """Where a piece of evidence comes from, so that anyone can make it again.

    recipe: the plug-in or engine that produced it, such as "evasion.pgd" or "model.pickle".
    time: RFC 3339, UTC.
    """

    tool: str
    version: str
    recipe: str
    time: str
    settings: tuple[Setting, ...] = ()
    seed: int | None = None
    digests: tuple[Digest, ...] = ()


class Location(_Record, frozen=True):
    """Where in the project: a POSIX path relative to its root, and where inside the file.

    part: the nested member, such as "archive/data.pkl" of a zip or "cell 4" of a notebook; members nest with "!".
    line, column: 1-based, of text. offset: byte offset in the (innermost) binary.
    """

    path: str
    part: str = ""
    line: int | None = None
    column: int | None = None
    end_line: int | None = None
    offset: int | None = None

    def __str__(self) -> str:
        inner = f"!{self.part}" if self.part else ""
        if self.line is not None:
            return f"{self.path}{inner}:{self.line}"
        return f"{self.path}{inner}" + (f"@{self.offset}" if self.offset is not None else "")


class Finding(_Record, frozen=True, tag="finding"):
    """Something static that is wrong.

    rule: the rule's plug-in name, such as "model.pickle_call". fix: what to do, in the imperative.
    trace: how the rule got there, one step a line (a decompiled payload, a taint path).
    references: standard ids or titles, such as "CWE-502", "OWASP-LLM05", "CVE-2025-1716", "AML.T0010".
    ignored: why it does not count: the reason written beside it in the file, or the baseline that knew it; else empty.
    """

    rule: str
    severity: Severity
    confidence: Confidence
    location: Location
    message: str
    fix: str
    provenance: Provenance
    trace: tuple[str, ...] = ()
    references: tuple[str, ...] = ()
    ignored: str = ""


class Indicator(_Record, frozen=True):
    """One self-check of a measurement.

    passed: None where the check could not be made.
    detail: what was seen, in one sentence with the number.
    """

    name: str
    passed: bool | None
    detail: str


class Measurement(_Record, frozen=True, tag="measurement"):
    """A number with its uncertainty.

    name: the quantity in the field's word, such as "robust_accuracy". subject: what was measured (the target's name).
    value, low, high: in `unit`; [low, high] covers the truth with probability `level` (e.g. 0.95) by `method`.
    n: samples measured. population: samples there were to measure.
    threat: the threat's name in the project file; norm and radius repeat its ball so that curves can be drawn.
    along, at: for a curve that does not run along the radius, what it runs along ("queries") and where this point lies.
    better: which direction is good for the defender.
    indicators: self-checks; a robustness figure without them is labelled as unchecked.
    note: what a reader must know before quoting the number.
    """

    name: str
    subject: str
    value: float
    low: float
    high: float
    level: float
    method: IntervalMethod
    n: int
    unit: str
    better: Literal["higher", "lower", "neither"]
    provenance: Provenance
    role: Role = "headline"
    population: int | None = None
    threat: str = ""
    norm: str = ""
    radius: float | None = None
    along: str = ""
    at: float | None = None
    indicators: tuple[Indicator, ...] = ()
    note: str = ""


class Skipped(_Record, frozen=True, tag="skipped"):
    """What was not looked at, and why. kind:

    "limit" of safety, missing "power", "scope" of the policy, "interrupted", "error".

    subject: a path, a plug-in name or a threat. fix: what would let it be looked at; empty where nothing would.
    """

    subject: str
    reason: str
    provenance: Provenance
    kind: Literal["limit", "power", "scope", "interrupted", "error"] = "scope"
    fix: str = ""


class Exhibit(_Record, frozen=True, tag="exhibit"):
    """One example a person can look at: a clean input, its adversarial twin, and what the model said of both.

    clean, adversarial: row-major float32 bytes (little-endian) of `shape`, in input units within `bounds`.
    layout: "chw" image with c in (1, 3), or "row" of a table, with `columns` naming the features.
    """

    subject: str
    threat: str
    layout: Literal["chw", "row"]
    shape: tuple[int, ...]
    bounds: tuple[float, float]
    clean: bytes
    adversarial: bytes
    label: str
    predicted_clean: str
    predicted_adversarial: str
    distance: float
    norm: str
    provenance: Provenance
    columns: tuple[str, ...] = ()


class Checkpoint(_Record, frozen=True, tag="checkpoint"):
    """A finished part of long work, acknowledged by the store, from which a resumed run goes on.

    step: the key of the work: a digest of recipe, settings, seed, model, data and version. part: its index in the step.
    state: what the engine needs to go on, canonical JSON of its own record.
    """

    step: str
    part: int
    state: str
    provenance: Provenance


Evidence: TypeAlias = Finding | Measurement | Skipped | Exhibit
Entry: TypeAlias = Finding | Measurement | Skipped | Exhibit | Checkpoint
"""What a store keeps: evidence, and the checkpoints of long work."""


def severity_rank(severity: Severity) -> int:
    """Order severities: 0 for "info" up to 4 for "critical"."""
    return SEVERITIES.index(severity)
