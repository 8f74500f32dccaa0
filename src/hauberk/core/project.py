"""The project file hauberk.toml: its sections, one record each, and how they are read."""

from __future__ import annotations

import datetime as dt
import tomllib
from fractions import Fraction
from pathlib import Path
from typing import Literal, TypeAlias

import msgspec

from hauberk.core.errors import ProjectError, nearest
from hauberk.core.evidence import Scalar
from hauberk.core.policy import Policy
from hauberk.core.project_faults import place, record_fault, toml_fault
from hauberk.core.run_section import RunSection as RunSection
from hauberk.core.schema import ColumnKind, Layout
from hauberk.core.threat import PRESETS, Ball, Family, Knowledge, Norm, Patch, Threat, Transform

Profile: TypeAlias = Literal["quick", "standard", "full"]
FILE_NAME = "hauberk.toml"


class _Section(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Base of every section: unknown keys are refused."""


class HttpSection(_Section, frozen=True):
    """[model.http]: how to speak to a remote model.

    protocol: "json" (template) or "oip" (Open Inference Protocol v2). request: JSON text with {{inputs}} in it.
    response: dotted path to the scores, such as "outputs.0.scores". headers: name → value; $NAME reads the environment.
    model: the OIP model name. binary: OIP binary tensors. rate: requests a second at most. batch: inputs a request.
    """

    protocol: Literal["json", "oip"] = "json"
    request: str = '{"inputs": {{inputs}}}'
    response: str = "outputs"
    headers: dict[str, str] = {}
    model: str = ""
    binary: bool = False
    rate: float | None = None
    batch: int = 64
    retries: int = 3


class ModelSection(_Section, frozen=True):
    """[model]: how to reach the model under test.

    source: "module:callable", a .safetensors (with factory), .pt2, .onnx, .skops, .joblib or .pkl (with trust) file,
    .json, .ubj, .txt or .cbm trees, or an http(s) URL.
    kind: the target plug-in; guessed from the source where empty. factory: "module:callable" that builds the torch
    module.
    bounds: [low, high] of every input value. mean, std: per channel, applied by the target before the model.
    shape: of one input. classes: how many. labels: their names. answers: what the model gives.
    timeout: seconds one answer may take. queries: in all, over every attack. trust: load files that run code on load.
    """

    source: str
    kind: str = ""
    factory: str = ""
    name: str = ""
    bounds: tuple[float, float] | None = None
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    shape: tuple[int, ...] = ()
    classes: int | None = None
    labels: tuple[str, ...] = ()
    answers: Literal["logits", "probabilities", "labels"] | None = None
    timeout: float = 60.0
    queries: int | None = None
    trust: bool = False
    http: HttpSection = HttpSection()


class ColumnSection(_Section, frozen=True):
    """[data.columns.NAME]: what one column is and may become; whatever is not said is read from the data.

    What the data audit holds every row against: low, high, categories (no other value), pattern (a regular expression
    the whole text fits), unique, missing: the largest share of rows without a value, ordered: never falls ("up") or
    rises ("down") from row to row, longest: characters of a text.
    """

    kind: ColumnKind | None = None
    low: float | None = None
    high: float | None = None
    categories: tuple[str, ...] = ()
    immutable: bool = False
    sensitive: bool = False
    direction: Literal["up", "down"] | None = None
    group: str = ""
    ignore: bool = False
    pattern: str = ""
    unique: bool = False
    missing: float | None = None
    ordered: Literal["up", "down"] | None = None
    longest: int | None = None


class DataSection(_Section, frozen=True):
    """[data]: labelled data the model is attacked with.

    source: "bundled:digits", "bundled:mnist5k", a .npz, .csv or .parquet file, an image folder, or "module:callable"
    → (x, y).
    train: what the model was trained on, where it is a file of its own; else `test_share` of the source is held out
    with `seed`.
    label: the label column of a table. classes: label values in the order of the model's outputs. size: (h, w) of
    images.
    scale: divide raw input values by it (255 for bytes). columns: the table's columns.
    relations: what holds between them, such as "total == a + b" or "low <= high".
    layout: what arrays hold, where their shape does not tell: (n, d) are rows of a table unless it says "wave" or
    "tokens".
    audit: whether `hauberk check` audits the data too. earlier: a version of it that the audit measures drift against.
    """

    source: str
    kind: str = ""
    train: str = ""
    label: str = ""
    classes: tuple[str, ...] = ()
    test_share: float = 0.3
    seed: int = 0
    size: tuple[int, int] | None = None
    scale: float | None = None
    columns: dict[str, ColumnSection] = {}
    relations: tuple[str, ...] = ()
    layout: Layout | None = None
    audit: bool = True
    earlier: str = ""


class ThreatSection(_Section, frozen=True):
    """[threats.NAME]: an attacker, and how hard we try to be him.

    preset: start from a preset such as "linf-8/255". radius: a number or a fraction such as "8/255".
    patch: {size, place}: a sticker instead of a ball. transform: ranges such as {rotation = [-30, 30]}: the image as a
    whole is turned, moved or relit instead.
    attacks: plug-in names; empty for the family's default cascade (`profile`: "quick", "standard" or "full").
    samples: at most so many. precision: stop when the interval's half-width is below it. decide: stop once the figure
    lies clearly on one side of the policy's bound. curve: more radii for the chart, or more poison rates.
    detectors: plug-in names such as "detection.mahalanobis"; each is fitted and attacked together with the model. Under
    a threat of poisoning, "poison.…" and "repair.…": each is tried on the backdoor that was planted.
    partitions: under a threat of poisoning, prove what training in so many shares that vote would withstand; 0: do not.
    spread: how many learners see each row: 1 is deep partition aggregation, more finite aggregation, so many times the
    work.
    price: what one query costs, in any currency, under a threat of extraction; 0 where it is not known.
    settings: per attack or detector, such as settings."evasion.pgd".steps = 40, or settings."evasion.pgd".driving.draws
    = 20.
    """

    family: Family | None = None
    preset: str = ""
    knowledge: Knowledge | None = None
    norm: Norm | None = None
    radius: float | str | None = None
    changed: int | None = None
    patch: Patch | None = None
    transform: Transform | None = None
    queries: int | None = None
    poison_rate: float | None = None
    target_class: int | None = None
    price: float = 0.0
    partitions: int = 0
    spread: int = 1
    attacks: tuple[str, ...] = ()
    detectors: tuple[str, ...] = ()
    profile: Profile = "quick"
    samples: int = 500
    precision: float | None = None
    decide: bool = False
    curve: tuple[float | str, ...] = ()
    settings: dict[str, dict[str, Scalar | dict[str, Scalar]]] = {}

    def threat(self, name: str) -> Threat:
        """Build the threat of this section; raises ValueError with what is missing."""
        base = PRESETS.get(self.preset, Threat(name=name, family=self.family or "evasion"))
        if self.preset and self.preset not in PRESETS:
            raise ValueError(f'no preset "{self.preset}"; {nearest(self.preset, PRESETS)}')
        changes: dict[str, object] = {"name": name}
        if self.patch is not None or self.transform is not None:
            changes |= {"ball": None, "constraints": None}
        for key in ("family", "knowledge", "patch", "transform", "queries", "poison_rate", "target_class"):
            value = getattr(self, key)
            if value is not None:
                changes[key] = value
        if self.norm is not None or self.radius is not None:
            norm = self.norm or (base.ball.norm if base.ball else None)
            radius = self.radius if self.radius is not None else (base.ball.radius if base.ball else None)
            if norm is None or radius is None:
                raise ValueError("a ball needs both norm and radius")
            if number(radius) <= 0:
                raise ValueError(f"the radius is {radius}")
            changes["ball"] = Ball(norm, number(radius))
        return msgspec.structs.replace(base, **changes)

    def radii(self) -> tuple[float, ...]:
        """Return the curve's radii as numbers."""
        return tuple(number(radius) for radius in self.curve)


class ScanSection(_Section, frozen=True):
    """[scan]: what is looked at.

    exclude: path patterns. rules_off: rule names or patterns. max_seconds: of one file. ignores: whether a file's own
    `# hauberk: ignore[RULE] reason` counts; switch it off for what others wrote. baseline: a file of findings that were
    there before (`hauberk scan --write-baseline`). digests: of every file, for a bill of materials.
    history: also look for secrets in the git history. general: also run ruff's general Python
    security rules, where ruff is installed beside hauberk (extra "code").
    """

    include: tuple[str, ...] = (".",)
    exclude: tuple[str, ...] = ()
    rules_off: tuple[str, ...] = ()
    max_seconds: float | None = None
    ignores: bool = True
    baseline: str = ""
    digests: bool = False
    history: bool = False
    general: bool = False


class TrustSection(_Section, frozen=True):
    """[[seal.trust]]: one signer that is trusted, and for what.

    One of: key: a public key in PEM; roots: certificate authorities in PEM; trusted_root: Sigstore's trusted_root.json,
    which needs identity and issuer. identity: the certificate's name, * wildcards allowed. issuer: of the identity.
    paths: what it may sign. statements: "seal", "provenance", "revocations"; empty for seal and provenance.
    until: last day it is trusted.
    """

    name: str = ""
    key: str = ""
    roots: str = ""
    trusted_root: str = ""
    identity: str = ""
    issuer: str = ""
    paths: tuple[str, ...] = ("*",)
    statements: tuple[Literal["seal", "provenance", "revocations"], ...] = ()
    until: dt.date | None = None


class SealSection(_Section, frozen=True):
    """[seal]: whose seal the model must bear (`hauberk seal`) before it is loaded. Paths are relative to the project.

    required: refuse a model whose seal does not hold. keys: public keys that are trusted. roots: certificate
    authorities; identity, issuer: what a certificate must name. trust: signers who may sign only some things.
    seal: where the seal lies, if not beside the model. signatures: so many different signers. provenance: a provenance
    statement is asked for too. revocations: a signed list (`hauberk seal --revoke`). quick: the loader holds BLAKE3
    alone where the seal has it.
    """

    required: bool = False
    keys: tuple[str, ...] = ()
    roots: tuple[str, ...] = ()
    identity: str = ""
    issuer: str = ""
    trust: tuple[TrustSection, ...] = ()
    seal: str = ""
    signatures: int = 1
    provenance: bool = False
    revocations: str = ""
    quick: bool = False


class PrivacySection(_Section, frozen=True):
    """[privacy]: the budget of differential privacy, and reference models that membership attacks compare with.

    epsilon: that all private releases of this data together may cost, at delta (None: rows^-1.1). unit: what is
    protected ("patient"). rows_per_unit: how many rows one may have.

    references: how many (even); 0 for none, then attacks ask the model alone. seconds: begin no new one after so long.
    trainer: "module:callable" (x, y, seed) → a model trained on arrays x, y as yours was; without it a torch module is
    trained anew with Adam and cross-entropy, many at once, and any other model is refitted.
    epochs: over its half of the records; 0 until the references remember as much as the model does. batch: records a
    step. rate: Adam's. weight_decay: an L2 penalty. records: at most so many members, and as many others, are audited.
    keep: the folder of trained references, used again while nothing they depend on changes; empty keeps none.
    """

    epsilon: float | None = None
    delta: float | None = None
    unit: str = "record"
    rows_per_unit: int = 1
    references: int = 0
    seconds: float | None = None
    trainer: str = ""
    epochs: int = 0
    batch: int = 64
    rate: float = 1e-3
    weight_decay: float = 0.0
    records: int = 5000
    keep: str = ".hauberk/references"


class ReportSection(_Section, frozen=True):
    """[report]: what is written and where. formats: output plug-in names."""

    folder: str = "hauberk-report"
    formats: tuple[str, ...] = ("html", "json", "sarif")
    exhibits: int = 12


class StoreSection(_Section, frozen=True):
    """[store]: where evidence is kept; "postgresql://…" for a server. $NAME parts are read from the environment."""

    url: str = "sqlite:///.hauberk/evidence.db"


class Project(_Section, frozen=True):
    """hauberk.toml. Without [model] or [data] only the scan runs, and the report says so."""

    name: str = ""
    model: ModelSection | None = None
    data: DataSection | None = None
    threats: dict[str, ThreatSection] = {}
    policy: Policy = Policy()
    scan: ScanSection = ScanSection()
    seal: SealSection = SealSection()
    privacy: PrivacySection = PrivacySection()
    report: ReportSection = ReportSection()
    store: StoreSection = StoreSection()
    run: RunSection = RunSection()


def number(value: float | str) -> float:
    """Read a number or a fraction such as "8/255"; raises ValueError."""
    return float(Fraction(value.replace(" ", ""))) if isinstance(value, str) else float(value)


def read(folder: Path) -> Project:
    """Read the project file of a folder (or the file itself); raises ProjectError that names file, line and key."""
    path = folder / FILE_NAME if folder.is_dir() else folder
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ProjectError(
            f"no {FILE_NAME} here", where=str(folder), fix="run `hauberk init` in the project's folder"
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise ProjectError(f"cannot be read: {error}", where=str(path)) from error
    return parse(text, str(path))


def parse(text: str, where: str = FILE_NAME) -> Project:
    """Parse the text of a project file; raises ProjectError that names line, key path, expectation and nearest key."""
    try:
        raw = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise toml_fault(error, text, where) from error
    try:
        project = msgspec.convert(raw, Project, strict=True)
    except msgspec.ValidationError as error:
        raise record_fault(error, raw, Project, text, where) from error
    _check(project, text, where)
    return project


def _check(project: Project, text: str, where: str) -> None:
    """Refuse what types cannot: impossible threats, and requirements that name a threat that is not there."""
    for name, section in project.threats.items():
        try:
            section.threat(name)
            section.radii()
        except (ValueError, ZeroDivisionError) as error:
            given = [key for key in ("preset", "patch", "transform") if getattr(section, key) and key in str(error)]
            key = given[0] if given else "radius"
            raise ProjectError(
                f"threats.{name}: {error}",
                where=place(text, where, ("threats", name, key)),
                fix="take one of them away"
                if key in ("patch", "transform")
                else 'a radius is a number above 0 in input units, or a fraction such as "8/255"',
            ) from error
    for row, trust in enumerate(project.seal.trust):
        fault = _trust_fault(trust)
        if fault:
            raise ProjectError(
                f"seal.trust.{row}: {fault}",
                where=place(text, where, ("seal", "trust", row)),
                fix="name one of key, roots, trusted_root; the last with identity and issuer",
            )
    for row, requirement in enumerate(project.policy.require):
        if requirement.threat and requirement.threat not in project.threats:
            raise ProjectError(
                f'policy.require.{row}.threat: no threat "{requirement.threat}"',
                where=place(text, where, ("policy", "require", row, "threat")),
                fix=nearest(requirement.threat, project.threats),
            )


def _trust_fault(trust: TrustSection) -> str:
    """Say what makes a row of the trust policy mean nothing, or anybody."""
    given = [name for name in ("key", "roots", "trusted_root") if getattr(trust, name)]
    if len(given) != 1:
        return f"it names {' and '.join(given)}" if given else "it names no signer"
    if trust.trusted_root and not (trust.identity.strip("*") and trust.issuer):
        return "anyone with an account could sign: identity and issuer are missing"
    if trust.key and (trust.identity or trust.issuer):
        return "a bare key has no identity"
    return ""
