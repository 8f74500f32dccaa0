"""The base image may change under the same name."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from hauberk.core.card import Card
from hauberk.scanning.artifact import Artifact, Draft
from hauberk.scanning.build_instructions import image_of


class UnpinnedBase:
    """Find images without a tag, with `latest`, or without a digest: of builds, services, pods and pipelines.

    What: an image named by what its owner may move.
    Why: tomorrow's start holds another Python, another CUDA or another owner's code.
    Bad: `FROM python:latest`, `image: vllm/vllm-openai`.
    Good: `FROM python:3.12-slim@sha256:…`.
    Fix: pin a version and its digest; let a bot propose new ones.
    """

    card: ClassVar[Card] = Card(
        title="Unpinned base image",
        summary="The base image may change under the same name.",
        paper="CWE-1357; CIS Docker Benchmark 4.2",
        threats=("CWE-1357", "AML.T0010"),
        severity="medium",
        reads=("instructions",),
    )

    def check(self, artifact: Artifact) -> Iterator[Draft]:
        """Judge every FROM."""
        stages: set[str] = set()
        for item in artifact.instructions:
            if item.keyword not in ("FROM", "IMAGE"):
                continue
            image = image_of(item.value)
            known = image.lower() in stages or image == "scratch" or "$" in image or not image
            what = "base image" if item.keyword == "FROM" else "image"
            stages.add(item.stage)
            if known or "@sha256:" in image:
                continue
            tag = image.rsplit("/", 1)[-1].partition(":")[2]
            moving = tag in ("", "latest", "nightly", "main", "master", "edge", "dev")
            yield Draft(
                message=f"the {what} {image} "
                + ("moves with every release" if moving else "is not pinned to a digest"),
                fix="pin a version and its digest: image:version@sha256:…",
                severity="medium" if moving else "info",
                place=item.place,
            )
