"""Files named like a model or an archive whose bytes begin like none: said, because no other format reads them."""

from __future__ import annotations

from typing import ClassVar

from hauberk.core.card import Card
from hauberk.core.limits import Limits
from hauberk.scanning.artifact import Artifact, Blob, Descend, Place, Problem, Reference
from hauberk.scanning.tar_records import BLOCK, checksum_right
from hauberk.scanning.text import is_text

_ZIP = (b"PK\x03\x04", b"PK\x05\x06", b"PK\x07\x08", b"PK00PK")
_ANY = (
    *_ZIP, b"\x1f\x8b", b"BZh", b"\xfd7zXZ\x00", b"7z\xbc\xaf\x27\x1c", b"\x28\xb5\x2f\xfd", b"\x04\x22\x4d\x18",
    b"\x02\x21\x4c\x18", b"]\x00\x00", b"\x89HDF\r\n\x1a\n", b"\x93NUMPY", b"GGUF", b"Rar!", b"MSCF", b"ZF",
    *(bytes([0x80, protocol]) for protocol in range(6)), b"x\x01", b"x\x5e", b"x\x9c", b"x\xda",
)  # fmt: skip
"""How files begin that other formats read or name, whatever they are called."""
_TABLE = b"\x57\xfb\x80\x8b\x24\x75\x47\xdb"
"""The end of a TensorFlow 1 checkpoint, which is a table and begins in any way."""
_TITLES = {
    **dict.fromkeys((".pt", ".pth", ".ptl", ".ckpt"), "PyTorch file"),
    **dict.fromkeys((".pt2", ".npz", ".zip", ".whl", ".egg", ".mlpackage", ".skops", ".keras"), "zip archive"),
    **dict.fromkeys((".nemo", ".mar"), "model archive"),
    **dict.fromkeys((".tar", ".tgz"), "tar archive"),
    **dict.fromkeys((".gz", ".bz2", ".xz", ".lzma", ".zst", ".lz4", ".7z"), "compressed file"),
    ".npy": "NumPy array",
}
_CARRIERS = (
    *_TITLES, ".bin", ".model", ".safetensors", ".onnx", ".gguf", ".h5", ".hdf5", ".pb", ".tflite", ".pkl", ".pickle",
    ".joblib", ".sav", ".mlmodel", ".weights", ".params", ".json", ".txt", ".csv", ".yaml", ".yml", ".md", ".png",
    ".llamafile", ".jpg", ".jpeg", ".gif", ".bmp", ".webp", ".wav", ".mp3", ".npy",
)  # fmt: skip
"""Endings under which nobody expects a program."""
_ACTUALLY = (b"MZqFpD='", b"jartsr='")
_PROGRAMS = (*_ACTUALLY, b"\x7fELF", b"MZ", b"\xce\xfa\xed\xfe", b"\xcf\xfa\xed\xfe", b"\xfe\xed\xfa")
_POINTER = b"version https://git-lfs.github.com/spec/"


class ClaimedModel:
    """State that a name promises a model, an archive or data and the bytes are something else that nothing reads."""

    card: ClassVar[Card] = Card(
        title="Named like a model",
        summary="Files with a model's or archive's ending that begin like none, and programs under such names.",
        suffixes=(".pt", ".pth", ".ckpt", ".npy", ".npz", ".zip", ".tar", ".gz", ".7z", ".nemo", ".mar", ".whl"),
    )

    def sniff(self, blob: Blob) -> bool:
        """Accept what begins like a program, or like nothing its ending stands for."""
        if not blob.name.endswith(_CARRIERS) or not blob.head:
            return False
        return bool(_program(blob)) or (bool(_title(blob)) and not _known(blob))

    def parse(self, blob: Blob, limits: Limits, descend: Descend) -> Artifact:  # noqa: ARG002
        """State it."""
        program = _program(blob)
        message = f"it begins like no {_title(blob) or 'file of its name'}"
        if blob.head.startswith(_POINTER):
            message = "it is only a pointer to a file kept elsewhere (Git LFS)"
        problem = Problem(kind="malformed", message=message, place=Place(offset=0))
        return Artifact(
            path=blob.path,
            part=blob.part,
            format="claimed_model",
            size=blob.size,
            references=(Reference(kind="native-code", value=f"{blob.name} is {program}"),) if program else (),
            problems=() if program else (problem,),
        )


def _title(blob: Blob) -> str:
    return next((title for ending, title in _TITLES.items() if blob.name.endswith(ending)), "")


def _program(blob: Blob) -> str:
    """Name the kind of program the bytes are from their first one on; empty where they are none."""
    if not blob.head.startswith(_PROGRAMS):
        return ""
    if blob.head.startswith(_ACTUALLY):
        return "a program of every system (APE)"
    from hauberk.scanning.payloads import in_bytes

    return next((title for title, place in in_bytes(blob.head) if place == 0 and title.endswith("program")), "")


def _known(blob: Blob) -> bool:
    """Say whether another format reads the bytes, or they are text, which those endings have other uses for."""
    head = blob.head
    if head.startswith(_POINTER):
        return False
    if head.startswith(_ANY) or checksum_right(head[:BLOCK]) or (is_text(head) and not blob.name.endswith(".npy")):
        return True
    with blob.open() as stream:
        stream.seek(max(0, blob.size - (1 << 16)))
        tail = stream.read()
    return tail.endswith(_TABLE) or _ZIP[1] in tail
