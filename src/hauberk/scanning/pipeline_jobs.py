"""Commands of GitHub workflows, composite actions and GitLab pipelines, as instructions."""

from __future__ import annotations

from collections.abc import Iterator

from hauberk.scanning.artifact import Instruction, Place
from hauberk.scanning.compose_services import environment
from hauberk.scanning.document_tree import Document, Node

_GITLAB_OWN = frozenset(["variables", "stages", "include", "default", "workflow", "image", "services", "cache"])


def steps(document: Document) -> Iterator[tuple[str, Node, Node]]:
    """Yield job name, job and step of a workflow, or of a composite action (whose job is the action itself)."""
    if document.kind == "workflow":
        for name, job in document.root.get("jobs").fields.items():
            yield from ((name, job, step) for step in job.get("steps").items if step.kind == "mapping")
    elif document.kind == "action":
        runs = document.root.get("runs")
        yield from (("action", runs, step) for step in runs.get("steps").items if step.kind == "mapping")


def pipeline_instructions(document: Document) -> Iterator[Instruction]:
    """Yield RUN for every command and ENV for every variable of a pipeline."""
    if document.kind == "gitlab":
        yield from _gitlab(document.root)
        return
    for name, _, step in steps(document):
        run = step.get("run")
        if run.kind == "scalar":
            yield Instruction(keyword="RUN", value=run.text, stage=name, place=Place(line=run.line))
        yield from environment(step.get("env"), name)
    if document.kind == "workflow":
        yield from environment(document.root.get("env"), "workflow")
        for name, job in document.root.get("jobs").fields.items():
            yield from environment(job.get("env"), name)
            image = job.get("container", "image") or job.get("container")
            if image.kind == "scalar":
                yield Instruction(keyword="IMAGE", value=image.text, stage=name, place=Place(line=image.line))


def _gitlab(root: Node) -> Iterator[Instruction]:
    yield from environment(root.get("variables"), "variables")
    for name, job in root.fields.items():
        if name in _GITLAB_OWN and name not in ("default", "image"):
            continue
        image = job if name == "image" else job.get("image")
        image = image.get("name") or image
        if image.kind == "scalar" and image.text:
            yield Instruction(keyword="IMAGE", value=image.text, stage=name, place=Place(line=image.line))
        yield from environment(job.get("variables"), name)
        for key in ("before_script", "script", "after_script"):
            script = job.get(key)
            for item in script.items or ((script,) if script.kind == "scalar" else ()):
                yield Instruction(keyword="RUN", value=item.text, stage=name, place=Place(line=item.line))
