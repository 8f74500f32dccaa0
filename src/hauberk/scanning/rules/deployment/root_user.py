"""The container's process runs as root."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from hauberk.core.card import Card
from hauberk.scanning.artifact import Artifact, Draft, Instruction
from hauberk.scanning.build_instructions import image_of


class RootUser:
    """Find images whose last stage never leaves root.

    Whoever takes over the model server, by a pickle or a prompt, then owns the container and everything mounted into
    it. Make a user and switch to it: `RUN useradd app` and `USER app`.
    """

    card: ClassVar[Card] = Card(
        title="Root user",
        summary="The container's process runs as root.",
        paper="CWE-250; CIS Docker Benchmark 4.1",
        threats=("CWE-250",),
        severity="medium",
    )

    def check(self, artifact: Artifact) -> Iterator[Draft]:
        """Judge the last stage, following stages it is built from."""
        if artifact.format != "dockerfile":
            return
        bases = {item.stage: item for item in artifact.instructions if item.keyword == "FROM"}
        users = {item.stage: item for item in artifact.instructions if item.keyword == "USER"}
        if not bases:
            return
        stage = artifact.instructions[-1].stage
        seen: set[str] = set()
        while stage in bases and stage not in seen:
            seen.add(stage)
            user = users.get(stage)
            if user is not None:
                yield from _judge(user)
                return
            image = image_of(bases[stage].value)
            stage = image.lower()
        if "nonroot" not in image and image != "scratch":
            last = artifact.instructions[-1]
            yield Draft(
                message="no USER instruction: the container's process runs as root",
                fix="make a user and switch to it before CMD",
                place=last.place,
            )


def _judge(user: Instruction) -> Iterator[Draft]:
    name = user.value.split(":")[0].strip()
    if name in ("root", "0"):
        yield Draft(
            message=f"USER {name}: the container's process runs as root",
            fix="switch to a user without privileges before CMD",
            place=user.place,
        )
