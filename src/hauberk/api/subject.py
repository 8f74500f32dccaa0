"""What is attacked: a project's target and data, opened by name."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from hauberk.api.sealed_models import gate
from hauberk.attacks.threads import BATCH, settled
from hauberk.core.errors import DataError, ProjectError
from hauberk.core.evidence import Digest
from hauberk.core.project import Project
from hauberk.core.protocols import Dataset, Target
from hauberk.core.schema import Schema
from hauberk.core.threat import Constraints, Threat
from hauberk.datasets.opening import open_dataset
from hauberk.targets.opening import open_target


class Subject(NamedTuple):
    """A target and the data it is attacked with."""

    target: Target
    dataset: Dataset

    @property
    def digests(self) -> tuple[Digest, ...]:
        """What every piece of evidence about them names."""
        rows = (("model", self.target.spec.digest), ("data", self.dataset.spec.digest))
        return tuple(Digest(name=name, value=value) for name, value in rows if value)


def open_subject(project: Project, folder: Path) -> Subject:
    """Open data first, then the model with what the data says of its input; raises UsageError or TargetError."""
    if project.model is None or project.data is None:
        missing = "model" if project.model is None else "data"
        raise ProjectError(f"[{missing}] is missing", where=str(folder), fix="name it, or run `hauberk scan`")
    dataset = open_dataset(project.data, folder, bounds=project.model.bounds)
    spec = dataset.spec
    with gate(project, folder):
        target = open_target(
            project.model,
            folder,
            shape_hint=spec.shape,
            classes_hint=len(spec.classes),
            bounds_hint=spec.bounds,
            samples_hint=dataset.test.x[:2],
            device=project.run.device,
        )
    fitted(target, dataset)
    return Subject(target, dataset)


def fitted(target: Target, dataset: Dataset) -> None:
    """Refuse data that the model cannot be asked about."""
    model, data = target.spec, dataset.spec
    if model.shape != data.shape:
        raise DataError(
            f"the model takes {model.shape}, the data gives {data.shape}",
            where="[data]",
            fix="name the data the model was made for, or set model.shape",
        )
    if len(data.classes) > model.classes:
        raise DataError(
            f"the data has {len(data.classes)} classes, the model {model.classes}",
            where="[data] classes",
            fix="name the classes in the order of the model's outputs",
        )
    low, high = model.bounds
    if len(dataset.test.y) and (dataset.test.x.min() < low or dataset.test.x.max() > high):
        raise DataError(
            f"values run from {dataset.test.x.min():g} to {dataset.test.x.max():g}, "
            f"outside the model's bounds [{low:g}, {high:g}]",
            where="[model] bounds",
            fix="set model.bounds to the range of raw inputs, or scale the data with data.scale",
        )


@contextmanager
def threads_for(subject: Subject | None, wanted: int | None) -> Iterator[None]:
    """Give torch the threads that suit the target on this machine now, for as long as it is attacked."""
    if subject is None:
        yield
        return
    sample = torch.from_numpy(np.array(subject.dataset.test.x[:BATCH], dtype=np.float32))
    with settled(subject.target, sample, wanted):
        yield


def constrained(threat: Threat, changed: int | None, dataset: Dataset) -> Threat:
    """Give an evasion threat on a table its columns' constraints, where it has no ball."""
    import msgspec

    schema = dataset.spec.schema
    if threat.family != "evasion" or threat.kind:
        return threat
    if schema is None:
        raise ProjectError(
            "a threat of family evasion needs norm and radius: the data is not a table",
            where=f"[threats.{threat.name}]",
            fix='add norm = "linf" and radius = "8/255", a preset, a patch or a transform',
        )
    return msgspec.structs.replace(threat, constraints=_constraints(schema, changed))


def _constraints(schema: Schema, changed: int | None) -> Constraints:
    return Constraints(columns=schema.columns, changed=changed, relations=schema.relations)
