"""The container's process runs as root."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from hauberk.core.card import Card
from hauberk.scanning.artifact import Artifact, Draft, Instruction
from hauberk.scanning.build_instructions import image_of
from hauberk.scanning.containers import Container


class RootUser:
    """Find images whose last stage never leaves root, and containers started as root.

    What: no USER, `USER root`, `user: root`, `runAsUser: 0`, no `runAsNonRoot`.
    Why: whoever takes over the model server, by a pickle or a prompt, owns the container and what is mounted into it.
    Bad: `FROM python` and `CMD python serve.py`.
    Good: `RUN useradd app` and `USER app`; `runAsNonRoot: true`.
    Fix: make a user and switch to it before CMD.
    """

    card: ClassVar[Card] = Card(
        title="Root user",
        summary="The container's process runs as root.",
        paper="CWE-250; CIS Docker Benchmark 4.1",
        threats=("CWE-250",),
        severity="medium",
        reads=("instructions", "containers"),
    )

    def check(self, artifact: Artifact) -> Iterator[Draft]:
        """Judge the last stage, following stages it is built from; of other files each container."""
        for container in artifact.containers:
            yield from _judge_container(container)
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


def _judge_container(container: Container) -> Iterator[Draft]:
    if container.user.split(":")[0] in ("root", "0"):
        yield Draft(
            message=f"{container.owner} runs as root",
            fix="give it a user without privileges",
            severity="low" if container.task else "medium",
            place=container.place,
        )
    elif container.system == "kubernetes" and container.non_root is not True and not container.user and container.image:
        yield Draft(
            message=f"{container.owner} may run as root: runAsNonRoot is not set",
            fix="set runAsNonRoot: true and runAsUser",
            severity="low",
            place=container.place,
        )


def _judge(user: Instruction) -> Iterator[Draft]:
    name = user.value.split(":")[0].strip()
    if name in ("root", "0"):
        yield Draft(
            message=f"USER {name}: the container's process runs as root",
            fix="switch to a user without privileges before CMD",
            place=user.place,
        )
