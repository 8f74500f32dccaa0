"""Unpacking a tar archive without a filter."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import ClassVar

from hauberk.core.card import Card
from hauberk.scanning.artifact import Artifact, Draft
from hauberk.scanning.python_program import program_of

_EXTRACTS = re.compile(r"tarfile\.(?:open|TarFile(?:\.\w+)?)\(\)\.(?:extractall|extract)")
_DOWNLOADS = re.compile(
    r"(?:requests|httpx)\.(?:\w+\.)?(?:get|stream|request)|urllib\.request\.(?:urlopen|urlretrieve)|wget\.download"
    r"|gdown\.(?:download|cached_download)|.*\.(?:download_file|download_fileobj|download_to_filename|hf_hub_download)"
)


class UnsafeExtraction:
    """Find tarfile's extract and extractall without filter="data", above all of what was downloaded.

    A member named "../../.ssh/authorized_keys", a link or a device leaves the folder it is unpacked to; Python before
    3.14 lets it. The filter "data" refuses such members.

    Bad:

        tarfile.open("model.tar.gz").extractall(target)

    Good:

        tarfile.open("model.tar.gz").extractall(target, filter="data")
    """

    card: ClassVar[Card] = Card(
        title="Unsafe extraction",
        summary="A tar archive is unpacked without a filter: its members may leave the folder.",
        paper="CWE-22; PEP 706; CVE-2007-4559; MITRE ATLAS AML.T0010.001",
        threats=("CWE-22", "AML.T0010.001"),
        severity="medium",
        reads=("source",),
    )

    def check(self, artifact: Artifact) -> Iterator[Draft]:
        """Judge every extraction; members that the program chose itself may have been looked at."""
        program = program_of(artifact)
        fetches = {site.function for site in program.calls if _DOWNLOADS.fullmatch(site.path)}
        for site in program.calls:
            if not _EXTRACTS.fullmatch(site.path) or site.open or site.guarded:
                continue
            chosen = site.keyword("members") is not None or len(site.arguments) > 1
            if site.keyword("filter") is not None and site.says("filter") not in ("fully_trusted", None):
                continue
            yield Draft(
                message="a tar archive"
                + (" from the network" if site.function in fetches else "")
                + " is unpacked without a filter: its members may leave the folder",
                fix='pass filter="data"',
                severity="low" if chosen or not fetches else "medium",
                place=site.place,
            )
