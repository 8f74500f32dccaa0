"""Reading what a user sends whole, whatever its size."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import ClassVar

from hauberk.core.card import Card
from hauberk.scanning.artifact import Artifact, Draft
from hauberk.scanning.python_program import program_of
from hauberk.scanning.python_values import CallSite, Program

_LIMITS = re.compile(
    r"(?i).*(MAX_CONTENT_LENGTH|max_upload|client_max_size|max_request|DATA_UPLOAD_MAX|content_length|max_size|max_bytes"
    r"|MAX_FILE_SIZE|size_limit|LimitUpload|RequestSizeLimit).*"
)
_LENGTH = re.compile(r"\blen\(|\.size\b|content[-_]length|MAX_|_LIMIT|max_size|max_bytes", re.I)


class UnboundedUpload:
    """Find uploads that an endpoint reads whole without a bound, where nothing in the file sets one.

    One request fills the memory of a model server, and an image of a few kilobytes may unpack to gigabytes. Read at
    most a fixed number of bytes, and set the framework's own limit.

    Bad:

        image = Image.open(io.BytesIO(await file.read()))

    Good:

        data = await file.read(LIMIT + 1)
        if len(data) > LIMIT: raise HTTPException(413)
    """

    card: ClassVar[Card] = Card(
        title="Unbounded upload",
        summary="An upload or request body is read whole, whatever its size.",
        paper="CWE-770, CWE-400; OWASP LLM10; MITRE ATLAS AML.T0029",
        threats=("CWE-770", "CWE-400", "OWASP-LLM10", "AML.T0029"),
        severity="medium",
        reads=("source",),
    )

    def check(self, artifact: Artifact) -> Iterator[Draft]:
        """Judge reads of uploads, unless the file sets a limit anywhere."""
        program = program_of(artifact)
        text = artifact.source.text if artifact.source is not None else ""
        if _limited(program, text):
            return
        for site in program.calls:
            if _reads_whole(site):
                yield Draft(
                    message="an upload is read whole, whatever its size",
                    fix="read at most a fixed number of bytes and refuse what is longer",
                    place=site.place,
                )


def _limited(program: Program, text: str) -> bool:
    return _LENGTH.search(text) is not None or any(_LIMITS.fullmatch(site.path) for site in program.calls)


def _reads_whole(site: CallSite) -> bool:
    if site.tail not in ("read", "getvalue") or site.arguments or site.keywords:
        return False
    held = site.receiver.path
    uploaded = "UploadFile" in held or ".files" in held or "file_uploader" in held or held.endswith(".file")
    return uploaded and site.receiver.tainted("request") is not None
