"""From a threat of the project file to work: each family's attacks and its examiner."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import NamedTuple, TypeAlias, TypedDict, cast

from hauberk.api.executing import chunk_of
from hauberk.api.executing_references import schools_for
from hauberk.api.executing_work import evasion_job
from hauberk.api.privacy_references import lender_for
from hauberk.api.running import States, Work, key_of
from hauberk.api.subject import Subject
from hauberk.api.threats_plan import plan_of, threat_of
from hauberk.attacks.adaptive import examine_adaptive
from hauberk.attacks.certifying_any import certificates
from hauberk.attacks.certifying_poisoning import examine_partitions
from hauberk.attacks.engine import Chunks, Plan, examine
from hauberk.attacks.examining_detection import examine_detection
from hauberk.attacks.examining_extraction import examine_extraction
from hauberk.attacks.examining_poisoning import examine_poisoning
from hauberk.attacks.examining_privacy import examine_privacy
from hauberk.attacks.examining_remedies import Remedy, examine_remedies
from hauberk.attacks.extraction_meter import Account
from hauberk.core.defending import Defended, Detection
from hauberk.core.errors import ProjectError
from hauberk.core.evidence import Entry
from hauberk.core.executing import Executor
from hauberk.core.plugins import build
from hauberk.core.poisoning import PoisonDetector, Poisoning
from hauberk.core.policy import Policy
from hauberk.core.project import Project, ThreatSection
from hauberk.core.protocols import Defense, EvasionAttack, ExtractionAttack, MembershipAttack, Progress, ReferenceAttack
from hauberk.core.provenance import Stamp
from hauberk.core.threat import Family, Threat
from hauberk.core.version import __version__

DEFAULTS: dict[Family, tuple[str, ...]] = {
    "poisoning": ("poisoning.badnets",),
    "privacy": ("privacy.loss_threshold",),
    "extraction": ("extraction.knockoff",),
}
"""What a threat without `attacks` is attacked with; evasion's cascade depends on the target's powers."""


class Shared(TypedDict):
    """What every examiner is given by name."""

    stamp: Stamp
    seed: int
    progress: Progress


class Setting(NamedTuple):
    """What all threats of a run share.

    clean_with: the threat that reports clean accuracy too; empty for each. policy: what a threat that is to be decided
    is decided against. project, folder: where [privacy] says how reference models are trained, and where they are kept.
    executor: attacks chunks of samples elsewhere, from the project in its folder; None: here.
    """

    subject: Subject
    stamp: Stamp
    seed: int
    progress: Progress
    exhibits: int = 12
    clean_with: str = ""
    policy: Policy = Policy()
    project: Project = Project()
    folder: Path | None = None
    executor: Executor | None = None

    @property
    def shared(self) -> Shared:
        """What every examiner is given by name."""
        return {"stamp": self.stamp, "seed": self.seed, "progress": self.progress}


DETECTORS: dict[Family, tuple[str, ...]] = {"evasion": ("detection.",), "poisoning": ("poison.", "repair.")}
"""How the names begin of what a threat may name as `detectors`."""

Examine: TypeAlias = Callable[[Setting, Threat, ThreatSection, str, States], Iterable[Entry]]


def _poisoning(run: Setting, threat: Threat, section: ThreatSection, _: str, __: States) -> Iterable[Entry]:
    target, data = run.subject
    names = section.attacks or DEFAULTS["poisoning"]
    attacks = [cast(Poisoning, build("attacks", name, section.settings.get(name))) for name in names]
    for attack in attacks:
        yield from examine_poisoning(
            target,
            data,
            attack,
            threat,
            **run.shared,
            rates=section.radii(),
        )
        if section.detectors:
            yield from _remedies(run, attack, threat, section)
    if section.partitions:
        cut = {"parts": section.partitions, "degree": section.spread}
        yield from examine_partitions(target, data, attacks, threat, **cut, **run.shared)


def _remedies(run: Setting, attack: Poisoning, threat: Threat, section: ThreatSection) -> Iterable[Entry]:
    """Try each remedy the threat names on the backdoor that `attack` plants."""
    target, data = run.subject
    named = [
        Remedy(name, cast(PoisonDetector | Defense, build("defenses", name, section.settings.get(name))))
        for name in section.detectors
    ]
    walk = cast(EvasionAttack, build("attacks", "evasion.pgd"))
    return examine_remedies(target, data, attack, named, threat, walk=walk, **run.shared)


def _privacy(run: Setting, threat: Threat, section: ThreatSection, _: str, __: States) -> Iterable[Entry]:
    private = run.project.privacy
    schools = schools_for(run.executor, run.project, run.folder, run.subject)
    lender = lender_for(run.project, run.folder, run.subject.target, run.seed, schools)
    for name in section.attacks or (("privacy.rmia",) if private.references else DEFAULTS["privacy"]):
        attack = build("attacks", name, section.settings.get(name))
        if not isinstance(attack, MembershipAttack | ReferenceAttack):
            raise ProjectError(f"{name} is no membership attack on a classifier", fix="see `hauberk privacy --help`")
        target, data = run.subject
        yield from examine_privacy(
            target,
            data,
            attack,
            threat,
            **run.shared,
            most=private.records,
            lender=lender,
        )


def _extraction(run: Setting, threat: Threat, section: ThreatSection, key: str, states: States) -> Iterable[Entry]:
    book = Account.resumed(key, states)
    for name in section.attacks or DEFAULTS["extraction"]:
        attack = cast(ExtractionAttack, build("attacks", name, section.settings.get(name)))
        target, data = run.subject
        yield from examine_extraction(
            target,
            data,
            attack,
            threat,
            **run.shared,
            price=section.price,
            book=book,
        )


def _evasion(run: Setting, threat: Threat, section: ThreatSection, key: str, states: States) -> Iterable[Entry]:
    clean = run.clean_with in ("", threat.name)
    plan = plan_of(run.project.run, run.policy, threat, section, run.exhibits, clean=clean)
    target, data = run.subject
    if isinstance(target, Defended) and threat.knowledge == "white-box":
        yield from _defended(run, target, threat, plan)
    else:
        yield from _plain(run, threat, plan, key, states)
    if threat.knowledge == "white-box":
        yield from certificates(target, data, threat, stamp=run.stamp, seed=run.seed, samples=section.samples)
        yield from _detectors(run, threat, section)


def _plain(run: Setting, threat: Threat, plan: Plan, key: str, states: States) -> Iterable[Entry]:
    target, data = run.subject
    return examine(
        target,
        data,
        threat,
        plan,
        **run.shared,
        step=key,
        resume=states,
        elsewhere=_elsewhere(run, threat),
    )


def _elsewhere(run: Setting, threat: Threat) -> Chunks | None:
    """Have a threat's chunks attacked by the executor, where there is one."""
    if run.executor is None or run.folder is None:
        return None
    target, data = run.subject
    digests = (target.spec.digest, data.spec.digest)
    return partial(run.executor.map, evasion_job(run.project, run.folder, threat.name, run.exhibits, *digests))


def _defended(run: Setting, target: Defended, threat: Threat, plan: Plan) -> Iterable[Entry]:
    """Examine a target behind a defense of inference time by attacks that know it: no other figure is reported."""
    return examine_adaptive(
        target,
        run.subject.dataset,
        threat,
        stamp=run.stamp,
        seed=run.seed,
        samples=plan.samples,
        profile=plan.profile,
        attacks=plan.attacks,
        clean=plan.clean,
        progress=run.progress,
    )


def _detectors(run: Setting, threat: Threat, section: ThreatSection) -> Iterable[Entry]:
    """Fit each detector the threat names and attack it together with the model."""
    target, data = run.subject
    walk = cast(EvasionAttack, build("attacks", "evasion.pgd", {"steps": 20, "driving.early_stop": False}))
    for name in section.detectors:
        detection = cast(Detection, build("defenses", name, section.settings.get(name)))
        yield from examine_detection(
            target,
            data,
            detection,
            walk,
            threat,
            **run.shared,
            most=section.samples,
        )


EXAMINERS: dict[Family, Examine] = {
    "evasion": _evasion,
    "poisoning": _poisoning,
    "privacy": _privacy,
    "extraction": _extraction,
}


def work(name: str, section: ThreatSection, run: Setting) -> Work:
    """Make the work of one threat; raises ProjectError for another family's attack, UnknownName for an unknown one."""
    threat = threat_of(name, section, run.subject.dataset)
    for attack in section.attacks:
        build("attacks", attack, section.settings.get(attack))  # a wrong name or setting is found before anything runs
        if attack.partition(".")[0] != threat.family:
            raise ProjectError(
                f"{attack} is no attack of family {threat.family}",
                where=f"[threats.{name}]",
                fix=f"name one of `hauberk list attacks` that begins with {threat.family}.",
            )
    if section.partitions and threat.family != "poisoning":
        raise ProjectError(
            f"partitions prove nothing under a threat of family {threat.family}",
            where=f"[threats.{name}]",
            fix="take them away, or set family",
        )
    for detector in section.detectors:
        build("defenses", detector, section.settings.get(detector))
        kinds = DETECTORS.get(threat.family, ())
        if not detector.startswith(kinds):
            raise ProjectError(
                f"{detector} is no detector of family {threat.family}",
                where=f"[threats.{name}]",
                fix=f"name one of `hauberk list defenses` that begins with {' or '.join(kinds)}"
                if kinds
                else "take it away",
            )
    target, dataset = run.subject
    clean = run.clean_with in ("", name)
    asked = run.policy.require if section.decide else ()
    private = run.project.privacy if threat.family == "privacy" else None
    rows: list[object] = [__version__, threat, section, run.seed, target.spec, dataset.spec.digest, run.exhibits]
    chunk = chunk_of(run.project.run, section)
    key = key_of(*rows, clean, asked, private, *((chunk,) if chunk else ()))
    examiner = EXAMINERS[threat.family]
    return Work(name, key, lambda states: examiner(run, threat, section, key, states))
