"""The ledger of a private defense applied by `hauberk harden`."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, TypeVar, cast

from hauberk.api.assembling import Frame
from hauberk.api.ledger import LedgerPurse, StoredPurse
from hauberk.api.subject import Subject
from hauberk.core.encoding import canonical
from hauberk.core.plugins import settings_of
from hauberk.core.project import PrivacySection
from hauberk.core.protocols import Dataset
from hauberk.core.provenance import Clock, Stamp
from hauberk.core.version import __version__
from hauberk.defenses.private_defense import PrivateDefense
from hauberk.stores.evidence import EvidenceStore, RunHeader, open_store

_Rule = TypeVar("_Rule")


def data_digest(dataset: Dataset) -> str:
    """Return the digest the ledger knows a data set by: its own, or that of its training rows."""
    if dataset.spec.digest:
        return dataset.spec.digest
    found = hashlib.sha256()
    for part in dataset.train:
        found.update(part.tobytes())
    return f"sha256:{found.hexdigest()}"


def run_header(frame: Frame) -> RunHeader:
    """Return what the log says when the run begins."""
    return RunHeader(
        run=frame.run,
        project=frame.name,
        command=frame.command,
        started=frame.started.isoformat(timespec="seconds"),
        version=__version__,
        digests=frame.digests,
        settings=canonical(frame.project).decode(),
    )


def promising(rule: _Rule, section: PrivacySection) -> _Rule:
    """Give a private defense that names no δ of its own the one of [privacy]; any other as it is."""
    if section.delta is None or not isinstance(rule, PrivateDefense) or getattr(rule, "delta", None) != 0:
        return rule
    return cast(_Rule, replace(cast(Any, rule), delta=section.delta))


def purse_for(
    rule: object, name: str, frame: Frame, root: Path, subject: Subject, stamp: Stamp, clock: Clock
) -> StoredPurse | None:
    """Return the purse of the project's data; None for a defense that spends no privacy. name: of the defense."""
    if not isinstance(rule, PrivateDefense):
        return None
    section, data = frame.project.privacy, data_digest(subject.dataset)
    provenance = stamp.of(f"defenses.{name}", settings_of(rule))
    part = secrets.randbelow(2**31)

    def make(kept: EvidenceStore) -> LedgerPurse:
        return LedgerPurse(
            kept,
            data,
            frame.run,
            provenance,
            subject=subject.target.spec.name,
            limit=section.epsilon,
            delta=section.delta,
            part=part,
        )

    opened = partial(open_store, frame.project.store.url, root, clock=clock)
    return StoredPurse(opened, run_header(frame), make)
