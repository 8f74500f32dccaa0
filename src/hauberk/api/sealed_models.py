"""The loader's gate: where the policy says so a model opens only under a seal that holds; its state as evidence."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from hauberk.api.verifying import Held, Trust, held
from hauberk.core.errors import HauberkError, TargetError
from hauberk.core.evidence import Digest, Evidence, Finding, Location, Measurement, Severity, Skipped
from hauberk.core.project import Project
from hauberk.core.provenance import Clock, Stamp, utc_now
from hauberk.core.sources import is_named
from hauberk.scanning.rules.seal.broken import SealBroken
from hauberk.scanning.rules.seal.missing import SealMissing
from hauberk.scanning.rules.seal.untrusted import SealUntrusted
from hauberk.sealing.faults import FaultKind, shown
from hauberk.sealing.hashing import place
from hauberk.sealing.places import nearest_seal
from hauberk.sealing.tree import WHOLE, below, unchanged

_RULES: dict[str, type[SealBroken] | type[SealUntrusted] | type[SealMissing]] = {
    "seal.broken": SealBroken,
    "seal.untrusted": SealUntrusted,
    "seal.missing": SealMissing,
}
MAX_NAMED = 20


@contextmanager
def gate(project: Project, folder: Path, *, clock: Clock = utc_now) -> Iterator[None]:
    """Verify the model's seal before it is opened, where [seal] required says so; raises TargetError.

    Frameworks open files by name, so the bytes they read cannot be the very ones that were digested. Instead every file
    is held again after loading, by inode, size and times in nanoseconds: whoever swaps a file between is found, though
    only after the framework has read it. A model's code ("module:callable", a factory) is covered only where it lies in
    the sealed folder.
    """
    if not project.seal.required or project.model is None:
        yield
        return
    found = _verified(project, folder, clock)
    if found.result.status != "met":
        fault = found.result.faults[0]
        more = f" (and {len(found.result.faults) - 1} more)" if len(found.result.faults) > 1 else ""
        rule = _rule_of(fault.kind)[0]
        raise TargetError(
            f"is not opened, its seal does not hold: {fault.kind}: {fault.path}: {fault.message}{more}",
            where=shown(project.model.source),
            fix=_RULES[rule].fix,
        )
    yield
    for name, still in found.states.items():
        if not unchanged(Path(place(found.root, name)), still, follow=True):
            raise TargetError(
                f"{shown(name)} changed while the model was loaded",
                where=shown(project.model.source),
                fix="see who writes there; load a copy that nobody else can write to",
            )


def evidence(project: Project, folder: Path, stamp: Stamp) -> Iterator[Evidence]:
    """State the seal of the project's model: Findings of what is wrong, or a Measurement of the files it covers.

    Nothing where the project speaks neither of trust nor of a seal, or has no model in a file.
    """
    section = project.seal
    if project.model is None or not (section.required or section.trust or section.keys or section.roots):
        return
    source = project.model.source
    made = stamp.of("seal.state")
    try:
        found = _verified(project, folder, stamp.clock)
    except HauberkError as error:
        reason = f"its seal could not be held: {error.what}"
        yield Skipped(subject=shown(source), reason=reason, kind="error", fix=error.fix, provenance=made)
        return
    made = msgspec.structs.replace(made, digests=(*made.digests, Digest(name="seal", value=found.result.digest)))
    for fault in found.result.faults[:MAX_NAMED]:
        if fault.kind == "unreadable":
            yield Skipped(subject=fault.path, reason=fault.message, kind="error", provenance=made)
            continue
        rule, severity = _rule_of(fault.kind)
        weight: Severity = severity if section.required or rule != "seal.missing" else "low"
        yield Finding(
            rule=rule,
            severity=weight,
            confidence="high",
            location=Location(path=source, part="" if fault.path in ("", WHOLE, source) else fault.path),
            message=f"{fault.kind}: {fault.path}: {fault.message}",
            fix=_RULES[rule].fix,
            provenance=made,
            references=_RULES[rule].card.threats,
        )
    if len(found.result.faults) > MAX_NAMED:
        reason = f"{len(found.result.faults) - MAX_NAMED} more faults of its seal are not named"
        yield Skipped(subject=shown(source), reason=reason, kind="limit", fix="hauberk verify", provenance=made)
    if found.result.status == "met":
        count = float(found.result.files)
        signers = ", ".join(sorted({one.signer for one in found.result.signatures}))
        yield Measurement(
            name="sealed_files",
            subject=shown(source),
            value=count,
            low=count,
            high=count,
            level=1.0,
            method="exact",
            n=found.result.files,
            unit="files",
            better="neither",
            role="diagnostic",
            note=f"signed by {signers}" if signers else "",
            provenance=made,
        )


def _rule_of(kind: FaultKind) -> tuple[str, Severity]:
    """Name the rule that speaks of a fault, and its weight."""
    named = ((name, rule.kinds[kind]) for name, rule in _RULES.items() if kind in rule.kinds)
    return next(named, ("seal.broken", "high"))


def _verified(project: Project, folder: Path, clock: Clock) -> Held:
    """Find the seal over the model's file and hold it; raises TargetError where the model lies in no file."""
    assert project.model is not None
    section, source = project.seal, project.model.source
    path = folder / source
    if "://" in source or (is_named(source) and not path.exists()):
        raise TargetError(
            "is not opened: it is no file, so no seal can cover it", where=shown(source), fix="name the model's file"
        )
    if not path.exists():
        raise TargetError("no such file or folder", where=shown(source))
    seal, covered = (folder / section.seal if section.seal else None), path
    if seal is not None and not seal.name.startswith(f"{path.name}."):
        above = seal.parent.resolve()
        covered = above if path.resolve().is_relative_to(above) else path
    elif seal is None and (near := nearest_seal(path, folder)) is not None:
        covered = near[0]
    found = held(covered, Trust.of(section, folder), seal=seal or "", quick=section.quick, clock=clock)
    whole, base = path.parent.resolve() / path.name, found.root.resolve()
    inside = whole.relative_to(base).as_posix() if whole.is_relative_to(base) and whole != base else WHOLE
    if inside != WHOLE and below(inside, found.result.left_out):
        raise TargetError("is not opened: the seal leaves it out", where=shown(source), fix="seal it too")
    return found
