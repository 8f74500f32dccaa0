"""What a worker does: open the project's own model and data, once, and carry out parts of a job on them."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

import msgspec
import torch

from hauberk.api.subject import open_subject
from hauberk.api.threats_plan import plan_of, threat_of
from hauberk.attacks.chunks import Outcome
from hauberk.attacks.engine import outcome_of
from hauberk.core.encoding import canonical, decode
from hauberk.core.errors import HauberkError, MeasurementError
from hauberk.core.executing import Done, Fault, Job, Order
from hauberk.core.project import Project
from hauberk.core.version import __version__


class EvasionRecipe(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """All that a chunk's outcome depends on.

    project: with one threat, and without its store. folder: of the project, absolute. model, data: digests of what the
    caller opened; a worker that finds other files refuses.
    """

    version: str
    project: Project
    folder: str
    exhibits: int
    threads: int
    model: str
    data: str


def evasion_job(project: Project, folder: Path, threat: str, exhibits: int, model: str, data: str) -> Job:
    """Write down the job of one threat."""
    sent = Project(
        name=project.name,
        model=project.model,
        data=project.data,
        threats={threat: project.threats[threat]},
        policy=project.policy,
        seal=project.seal,
        run=project.run,
    )
    recipe = EvasionRecipe(
        version=__version__,
        project=sent,
        folder=str(folder.resolve()),
        exhibits=exhibits,
        threads=project.run.threads or 1,
        model=model,
        data=data,
    )
    return Job("evasion", canonical(recipe))


def carry_out(order: bytes) -> bytes:
    """Do what an Order in canonical JSON asks; return a Done in canonical JSON, whatever happens."""
    wanted = decode(order, Order)
    try:
        state = canonical(_prepared(wanted.job)(wanted.part)).decode()
        return canonical(Done(wanted.part, state))
    except HauberkError as error:
        return canonical(Done(wanted.part, fault=Fault.of(error)))
    except Exception as error:  # noqa: BLE001 - a worker answers; what an attack's own code raised is told
        what = f"{type(error).__name__}: {error}"
        return canonical(Done(wanted.part, fault=Fault("MeasurementError", what, where="a worker")))


@lru_cache(maxsize=2)
def _prepared(job: Job) -> Callable[[int], Outcome]:
    """Open what a job is about; kept, for its next part comes to the same worker."""
    recipe = decode(job.recipe, EvasionRecipe)
    if recipe.version != __version__:
        raise MeasurementError(
            f"a worker has hauberk {__version__}, the run {recipe.version}", fix="install one version on every node"
        )
    torch.set_num_threads(recipe.threads)
    folder = Path(recipe.folder)
    if not folder.is_dir():
        raise MeasurementError(
            f"a worker finds no folder {folder.name}", where=str(folder), fix="share it with every node, at this path"
        )
    subject = open_subject(recipe.project, folder)
    seen = (subject.target.spec.digest, subject.dataset.spec.digest)
    if seen != (recipe.model, recipe.data):
        raise MeasurementError("a worker finds another model or other data", where=str(folder), fix="share one folder")
    ((name, section),) = recipe.project.threats.items()
    threat = threat_of(name, section, subject.dataset)
    plan = plan_of(recipe.project.run, recipe.project.policy, threat, section, recipe.exhibits)
    return outcome_of(subject.target, subject.dataset, threat, plan, recipe.project.run.seed)
