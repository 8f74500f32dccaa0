"""The base image may change under the same name."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from hauberk.core.card import Card
from hauberk.scanning.artifact import Artifact, Draft
from hauberk.scanning.build_instructions import image_of


class UnpinnedBase:
    """Find base images without a tag, with `latest`, or without a digest.

    Tomorrow's build then holds another Python, another CUDA or another owner's code. Pin a version, better a digest:
    `FROM python:3.12-slim@sha256:…`.
    """

    card: ClassVar[Card] = Card(
        title="Unpinned base image",
        summary="The base image may change under the same name.",
        paper="CWE-1357; CIS Docker Benchmark 4.2",
        threats=("CWE-1357", "AML.T0010"),
        severity="medium",
    )

    def check(self, artifact: Artifact) -> Iterator[Draft]:
        """Judge every FROM."""
        stages: set[str] = set()
        for item in artifact.instructions:
            if item.keyword != "FROM":
                continue
            image = image_of(item.value)
            known = image.lower() in stages or image == "scratch" or "$" in image or not image
            stages.add(item.stage)
            if known or "@sha256:" in image:
                continue
            tag = image.rsplit("/", 1)[-1].partition(":")[2]
            moving = tag in ("", "latest", "nightly", "main", "master", "edge", "dev")
            yield Draft(
                message=f"the base image {image} "
                + ("moves with every release" if moving else "is not pinned to a digest"),
                fix="pin a version and its digest: image:version@sha256:…",
                severity="medium" if moving else "info",
                place=item.place,
            )
