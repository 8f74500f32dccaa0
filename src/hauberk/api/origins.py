"""What a provenance statement says, gathered from flags, seals and the git checkout."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from hauberk.core.errors import UsageError
from hauberk.crypto.file_digests import digest_file
from hauberk.sealing import provenance, statement
from hauberk.sealing.bundle import decode
from hauberk.sealing.faults import Malformed
from hauberk.sealing.places import bundle_bytes, seal_file


def origin(
    folder: Path,
    *,
    parameters: Sequence[str] = (),
    data: Sequence[str] = (),
    run: str = "",
    started: str = "",
    builder: str = "",
) -> provenance.Origin:
    """Put an origin together. folder: whose git revision counts. parameters: name=value.

    data: NAME=PATH of a sealed folder or of a file, or NAME=SHA256. Raises UsageError.
    """
    for moment in filter(None, [started]):
        try:
            statement.moment(moment)
        except Malformed as error:
            raise UsageError(str(error), where="--started", fix="write it as 2026-01-31T12:00:00Z") from error
    return provenance.Origin(
        parameters=dict(_pair(text, "--parameter") for text in parameters),
        data={name: _digest(value) for name, value in (_pair(text, "--data") for text in data)},
        code=provenance.revision(folder),
        run=run,
        started=started,
        builder=builder or "urn:hauberk:local",
    )


def _pair(text: str, where: str) -> tuple[str, str]:
    name, mark, value = text.partition("=")
    if not mark or not name.strip():
        raise UsageError(f'"{text}" is not name=value', where=where)
    return name.strip(), value


def _digest(value: str) -> str:
    """Return the digest of a sealed folder, of a file, or the one that was given."""
    bare = value.lower().removeprefix("sha256:")
    if len(bare) == 64 and not bare.strip("0123456789abcdef"):
        return bare
    path = Path(value)
    seal = seal_file(path)
    try:
        if seal.is_file():
            return statement.decode(decode(bundle_bytes(seal)).payload).root
        if path.is_file():
            return digest_file(path, ("sha256",), follow=True).values["sha256"]
    except (Malformed, OSError) as error:
        raise UsageError(f"its digest cannot be had: {error}", where=value) from error
    what = "is a folder without a seal" if path.is_dir() else "is neither a file, a sealed folder nor a SHA-256"
    raise UsageError(what, where=f"--data {value}", fix="seal the folder first")
