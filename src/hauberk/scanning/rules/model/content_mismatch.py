"""Files whose content is not what their name says."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from hauberk.core.card import Card
from hauberk.scanning.artifact import Artifact, Draft

_CLAIMS = {
    ".safetensors": ("safetensors",),
    ".onnx": ("onnx_graph",),
    ".npy": ("numpy_array",),
    ".npz": ("zip_archive",),
    ".gguf": (),
    ".h5": (),
    ".hdf5": (),
    **dict.fromkeys((".png", ".jpg", ".jpeg", ".gif", ".bmp", ".webp", ".tiff", ".wav", ".mp3", ".mp4", ".pdf"), ()),
    **dict.fromkeys((".txt", ".md", ".rst", ".csv", ".tsv", ".json", ".jsonl", ".yaml", ".yml", ".toml", ".xml"), ()),
    **dict.fromkeys((".html", ".log", ".ini", ".cfg", ".py", ".ipynb"), ()),
}
_RUNS = ("pickle_stream", "zip_archive", "tar_archive")
"""Formats whose presence under another name hides something: those that can carry code."""


class ContentMismatch:
    """Report a pickle or an archive that goes by another name.

    What: the bytes are a pickle, a zip or a tar, and the name says image, text or a format that cannot carry code.
    Why: tools choose their check by the name and loaders by the content, so a renamed pickle walks past the check.
    Fix: find out who renamed it; do not load it.
    """

    card: ClassVar[Card] = Card(
        title="Content contradicts the name",
        summary="A pickle or archive is named like a file that cannot carry code.",
        paper="CWE-434; CWE-646; CVE-2025-1889",
        threats=("CWE-646", "AML.T0010", "CVE-2025-1889"),
        severity="high",
    )

    def check(self, artifact: Artifact) -> Iterator[Draft]:
        """Yield a draft where the format is none of those the ending stands for."""
        name = (artifact.part.rsplit("!", 1)[-1] or artifact.path).lower()
        ending = f".{name.rsplit('.', 1)[-1]}" if "." in name.rsplit("/", 1)[-1] else ""
        claimed = _CLAIMS.get(ending)
        if claimed is None or artifact.format not in _RUNS or artifact.format in claimed:
            return
        title = artifact.format.replace("_", " ")
        yield Draft(
            message=f"named {ending} but also readable as a {title}",
            fix="find out where it comes from; do not load it",
            confidence="high" if artifact.calls else "medium",
        )
