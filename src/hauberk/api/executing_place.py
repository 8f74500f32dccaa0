"""Where a worker stands: the project's folder, with the model and the data that the caller opened."""

from __future__ import annotations

from pathlib import Path

import msgspec
import torch

from hauberk.api.subject import Subject, open_subject
from hauberk.core.errors import MeasurementError
from hauberk.core.project import Project
from hauberk.core.version import __version__


class Place(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What every job of a project depends on.

    project: without its store. folder: of the project, absolute. model, data: digests of what the caller opened; a
    worker that finds other files refuses.
    """

    version: str
    project: Project
    folder: str
    threads: int
    model: str
    data: str

    def subject(self) -> Subject:
        """Open the project here; raises MeasurementError where it is not what the caller opened."""
        if self.version != __version__:
            raise MeasurementError(
                f"a worker has hauberk {__version__}, the run {self.version}", fix="install one version on every node"
            )
        torch.set_num_threads(self.threads)
        folder = Path(self.folder)
        if not folder.is_dir():
            raise MeasurementError(
                f"a worker finds no folder {folder.name}",
                where=str(folder),
                fix="share it with every node, at this path",
            )
        subject = open_subject(self.project, folder)
        if (subject.target.spec.digest, subject.dataset.spec.digest) != (self.model, self.data):
            raise MeasurementError(
                "a worker finds another model or other data", where=str(folder), fix="share one folder"
            )
        return subject
