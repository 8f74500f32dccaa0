"""What a worker does: open the project's own model and data, once, and carry out parts of a job on them."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

from hauberk.api.executing_place import Place
from hauberk.api.executing_references import prepared as references
from hauberk.api.threats_plan import plan_of, threat_of
from hauberk.attacks.engine import outcome_of
from hauberk.core.encoding import canonical, decode
from hauberk.core.errors import HauberkError
from hauberk.core.executing import Done, Fault, Job, Order
from hauberk.core.project import Project
from hauberk.core.version import __version__


class EvasionRecipe(Place, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """All that a chunk's outcome depends on. project: with one threat."""

    exhibits: int


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
        state = _prepared(wanted.job)(wanted.part).decode()
        return canonical(Done(wanted.part, state))
    except HauberkError as error:
        return canonical(Done(wanted.part, fault=Fault.of(error)))
    except Exception as error:  # noqa: BLE001 - a worker answers; what an attack's own code raised is told
        what = f"{type(error).__name__}: {error}"
        return canonical(Done(wanted.part, fault=Fault("MeasurementError", what, where="a worker")))


@lru_cache(maxsize=2)
def _prepared(job: Job) -> Callable[[int], bytes]:
    """Open what a job is about; kept, for its next part comes to the same worker."""
    return references(job.recipe) if job.task == "references" else _evasion(job.recipe)


def _evasion(text: bytes) -> Callable[[int], bytes]:
    recipe = decode(text, EvasionRecipe)
    subject = recipe.subject()
    ((name, section),) = recipe.project.threats.items()
    threat = threat_of(name, section, subject.dataset)
    plan = plan_of(recipe.project.run, recipe.project.policy, threat, section, recipe.exhibits)
    attacked = outcome_of(subject.target, subject.dataset, threat, plan, recipe.project.run.seed)
    return lambda part: canonical(attacked(part))
