"""Deployment files in YAML: Compose, Kubernetes and Helm, GitHub and GitLab pipelines, serving and monitoring."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import ClassVar

from hauberk.core.card import Card
from hauberk.core.errors import LimitExceeded
from hauberk.core.limits import Limits
from hauberk.scanning.artifact import Artifact, Blob, Descend, Instruction, Note, Problem
from hauberk.scanning.compose_services import compose_containers
from hauberk.scanning.containers import Container
from hauberk.scanning.document_kinds import kind_of, worth_reading
from hauberk.scanning.document_tree import Document, YamlTrees
from hauberk.scanning.kubernetes_manifests import pod_containers, pods, resources
from hauberk.scanning.pipeline_jobs import pipeline_instructions
from hauberk.scanning.secret_manifests import stored_values
from hauberk.scanning.serving_documents import serving_instructions
from hauberk.scanning.shell_lines import MOST_BYTES
from hauberk.scanning.text import read_text

_HEAD = 1 << 16
_MOST_BYTES = 8 << 20
_TEMPLATE = re.compile(r"^[ \t]*(?:-[ \t]+)?(?:\{\{[^\n]*\}\}[ \t]*)+(?:#[^\n]*)?$", re.M)
_TEMPLATE = re.compile(r"\"?\{\{-?[^{}\n]{0,1000}(?:\{[^{}\n]{0,200}\}[^{}\n]{0,200}){0,5}-?\}\}\"?")
_MARKER = "$templated"


class YamlDocuments:
    """Read what deploys, builds and serves; a template's own lines are set aside and its values count as unknown."""

    card: ClassVar[Card] = Card(
        title="Deployment YAML",
        summary="Compose, Kubernetes, Helm, KServe, Ray Serve, BentoML, GitHub and GitLab pipelines, Prometheus.",
        paper="Compose specification; Kubernetes API; GitHub workflow syntax; GitLab CI/CD YAML",
        suffixes=(".yml", ".yaml"),
        by_name=True,
    )

    def sniff(self, blob: Blob) -> bool:
        """Accept by the keys such files have at their left edge."""
        if not blob.name.endswith((".yml", ".yaml")) or b"\x00" in blob.head:
            return False
        if worth_reading(blob.name, blob.head) or blob.size <= len(blob.head):
            return worth_reading(blob.name, blob.head)
        with blob.open() as stream:
            return worth_reading(blob.name, stream.read(_HEAD))

    def parse(self, blob: Blob, limits: Limits, descend: Descend) -> Artifact:  # noqa: ARG002 - no parts
        """Read every document."""
        if blob.size > _MOST_BYTES:
            raise LimitExceeded(f"{blob.size} bytes are more than the {_MOST_BYTES} of a deployment file")
        read = read_text(blob, limits)
        helm = "{{" in read.text and "/templates/" in f"/{blob.path}"
        trees = YamlTrees(_plain(read.text) if "{{" in read.text else read.text, limits)
        facts = _Facts()
        problems: list[Problem] = []
        try:
            for root in trees.documents():
                facts.take(Document(kind_of(f"{blob.path}!{blob.part}" if blob.part else blob.path, root), root))
        except LimitExceeded as error:
            problems.append(Problem(kind="limit", message=error.what))
        if trees.fault and not helm:
            problems.append(Problem(kind="malformed", message=f"not read to its end: {trees.fault}"))
        return Artifact(
            path=blob.path,
            part=blob.part,
            format="yaml_documents",
            size=blob.size,
            digest=read.digest,
            instructions=tuple(facts.instructions),
            containers=tuple(facts.containers),
            documents=tuple(facts.documents),
            notes=tuple(facts.notes),
            problems=tuple(problems),
        )


class _Facts:
    """What the documents of one file say."""

    def __init__(self) -> None:
        self.documents: list[Document] = []
        self.containers: list[Container] = []
        self.instructions: list[Instruction] = []
        self.notes: list[Note] = []

    def take(self, document: Document) -> None:
        """Read one document; raises LimitExceeded where its commands and settings are more than anybody writes."""
        if not document.kind:
            return
        self.documents.append(document)
        for container, instructions in _containers(document):
            self.containers.append(container)
            if container.image:
                image = Instruction(
                    keyword="IMAGE", value=container.image, stage=container.owner, place=container.image_place
                )
                self.instructions.append(image)
            self.instructions.extend(instructions)
        self.instructions.extend(pipeline_instructions(document))
        self.instructions.extend(serving_instructions(document))
        self.notes.extend(stored_values(document))
        if sum(len(item.value) for item in self.instructions) > MOST_BYTES:
            self.instructions = []
            raise LimitExceeded(f"more than {MOST_BYTES} bytes of commands and settings")


def _containers(document: Document) -> Iterator[tuple[Container, tuple[Instruction, ...]]]:
    if document.kind == "compose":
        yield from compose_containers(document.root)
    elif document.kind == "kubernetes":
        for resource in resources(document.root):
            for pod in pods(resource):
                yield from pod_containers(pod)


def _plain(text: str) -> str:
    """Set a template's own lines aside and put a marker in place of its values; GitHub's expressions stay."""
    lines = text.replace("${{", "\0").split("\n")
    kept = "\n".join("" if _of_template(line.strip()) else line for line in lines)
    return _TEMPLATE.sub(_MARKER, kept).replace("\0", "${{")


def _of_template(line: str) -> bool:
    """Tell a line that is nothing but a template's statement, such as `{{- if .Values.x }}`."""
    bare = line.removeprefix("- ")
    return bare.startswith("{{") and bare.endswith("}}") and "}}:" not in bare
