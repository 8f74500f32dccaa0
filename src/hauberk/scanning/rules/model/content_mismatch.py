"""Files whose content is not what their name says."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from hauberk.core.card import Card
from hauberk.core.evidence import Severity
from hauberk.scanning.artifact import Artifact, Draft

_CLAIMS = {
    ".npz": ("zip_archive",),
    **dict.fromkeys((".safetensors", ".onnx", ".npy", ".gguf", ".h5", ".hdf5", ".pb", ".pbtxt", ".tflite", ".ort"), ()),
    **dict.fromkeys((".png", ".jpg", ".jpeg", ".gif", ".bmp", ".webp", ".tiff", ".wav", ".mp3", ".mp4", ".pdf"), ()),
    **dict.fromkeys((".txt", ".md", ".rst", ".csv", ".tsv", ".json", ".jsonl", ".yaml", ".yml", ".toml", ".xml"), ()),
    **dict.fromkeys((".html", ".log", ".ini", ".cfg", ".py", ".ipynb", ".jinja", ".svg", ".parquet", ".pmml"), ()),
}  # fmt: skip
_WEIGHT: dict[str, Severity] = {
    "pickle_stream": "high", "zip_archive": "high", "tar_archive": "high", "seven_zip": "high",
    "compressed": "medium", "hdf5_file": "medium", "unread_container": "medium",
}  # fmt: skip
"""Formats whose presence under another name hides something: those that can carry code or other files."""
_OWN = {"hdf5_file": (".h5", ".hdf5"), "compressed": (".svg", ".ipynb")}


class ContentMismatch:
    """Report a pickle or an archive that goes by another name.

    What: the bytes are a pickle, a zip, a tar or a 7z (high), or a compressed stream, an HDF5 file or a container that
    is not read (medium), and the name says image, text or a format that cannot carry code.
    Why: tools choose their check by the name and loaders by the content, so a renamed pickle walks past the check.
    Bad: `labels.txt` that is a pickle; `cat.png` with a zip behind the picture; `model.safetensors` that is a torch
    file. Good: `model.bin`, which may be anything.
    Fix: find out who renamed it; do not load it.
    """

    card: ClassVar[Card] = Card(
        title="Content contradicts the name",
        summary="A pickle or archive is named like a file that cannot carry code.",
        paper="CWE-434; CWE-646; CVE-2025-1889; CVE-2025-10155",
        threats=("CWE-646", "CWE-434", "OWASP-ML06", "AML.T0010", "CVE-2025-1889", "CVE-2025-10155"),
        severity="high",
    )

    def check(self, artifact: Artifact) -> Iterator[Draft]:
        """Yield a draft where the format is none of those the ending stands for."""
        name = (artifact.part.rsplit("!", 1)[-1] or artifact.path).lower()
        ending = f".{name.rsplit('.', 1)[-1]}" if "." in name.rsplit("/", 1)[-1] else ""
        claimed, severity = _CLAIMS.get(ending), _WEIGHT.get(artifact.format)
        if claimed is None or severity is None or artifact.format in claimed:
            return
        if ending in _OWN.get(artifact.format, ()):
            return
        yield Draft(
            message=f"named {ending} but also readable as a {artifact.format.replace('_', ' ')}",
            fix="find out where it comes from; do not load it",
            severity=severity,
            confidence="high" if artifact.calls else "medium",
        )
