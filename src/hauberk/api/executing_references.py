"""Reference models trained elsewhere: a part of a plan's models each, sent back as arrays."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import msgspec

from hauberk.api.executing_place import Place
from hauberk.api.privacy_references import lender_for
from hauberk.api.subject import Subject
from hauberk.attacks.examining_privacy import pool_of
from hauberk.attacks.sending_models import packed
from hauberk.attacks.shadows import Assignment, Schools
from hauberk.core.encoding import canonical, decode
from hauberk.core.errors import MeasurementError
from hauberk.core.executing import Done, Executor, Job
from hauberk.core.project import Project
from hauberk.core.version import __version__


class ReferenceRecipe(Place, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """All that a part's models depend on. root: digest of it as the caller sees it. epochs: fixed by the caller."""

    seed: int
    root: str
    epochs: int


def schools_for(executor: Executor | None, project: Project, folder: Path | None, subject: Subject) -> Schools | None:
    """Have reference models trained by the executor; None where there is none, or no folder to open there."""
    if executor is None or folder is None:
        return None
    # Not the folder models are kept in: the caller keeps them.
    privacy = msgspec.structs.replace(project.privacy, keep="")
    sent = Project(
        name=project.name, model=project.model, data=project.data, privacy=privacy, seal=project.seal, run=project.run
    )

    def train(assignment: Assignment, parts: Sequence[int]) -> Iterator[Done]:
        recipe = ReferenceRecipe(
            version=__version__,
            project=sent,
            folder=str(folder.resolve()),
            threads=project.run.threads or 1,
            model=subject.target.spec.digest,
            data=subject.dataset.spec.digest,
            seed=project.run.seed,
            root=assignment.root,
            epochs=assignment.epochs,
        )
        return executor.map(Job("references", canonical(recipe)), parts)

    return train


def prepared(text: bytes) -> Callable[[int], bytes]:
    """Open what a recipe in canonical JSON is about; return what trains a part and writes it as JSON."""
    recipe = decode(text, ReferenceRecipe)
    subject = recipe.subject()
    lender = lender_for(recipe.project, Path(recipe.folder), subject.target, recipe.seed)
    if lender is None:
        raise MeasurementError("a worker is asked for reference models and the project has none")
    school = lender.school(subject.target, *pool_of(subject.dataset))
    if school.root.hex() != recipe.root:
        raise MeasurementError(
            "a worker would train other reference models",
            where=recipe.folder,
            fix="share one folder, and install the same packages on every node",
        )
    if recipe.epochs:
        school.fix(recipe.epochs)
    return lambda part: packed(school.taught(part))
