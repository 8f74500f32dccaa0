"""Keeping models and data under a name in /tmp that anyone can take first."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import ClassVar

from hauberk.core.card import Card
from hauberk.scanning.artifact import Artifact, Draft
from hauberk.scanning.python_program import program_of
from hauberk.scanning.python_values import CallSite, Value

_SHARED = re.compile(r"(/tmp|/var/tmp|/dev/shm)/[^\s]*")
_FILE_CALLS = frozenset(
    ["open", "io.open", "torch.save", "torch.load", "joblib.dump", "joblib.load", "numpy.save", "numpy.load",
     "pickle.dump", "shutil.copy", "shutil.move", "urllib.request.urlretrieve", "safetensors.torch.save_file",
     "numpy.savez", "onnx.save", "torch.onnx.export", "sqlite3.connect", "pandas.read_pickle", "os.makedirs"]
)  # fmt: skip
_FILE_TAILS = frozenset(
    ["write_text", "write_bytes", "save_pretrained", "save_model", "to_csv", "to_parquet", "to_pickle", "save",
     "savefig", "read_text", "read_bytes", "save_weights", "load_weights", "from_pretrained", "load_model", "to_json"]
)  # fmt: skip


class InsecureTemporaryFile:
    """Find tempfile.mktemp, and files of models or data under fixed names in /tmp.

    Another user of the machine creates the name first, as a link or as a pickle of theirs, and the program writes over
    a file or loads their model. Use tempfile.TemporaryDirectory or mkdtemp: the folder is the program's own.

    Bad:

        torch.save(net.state_dict(), "/tmp/checkpoint.pt")

    Good:

        with tempfile.TemporaryDirectory() as folder:
            torch.save(net.state_dict(), Path(folder) / "checkpoint.pt")
    """

    card: ClassVar[Card] = Card(
        title="Insecure temporary file",
        summary="A file stands in a shared folder under a name that others can take first.",
        paper="CWE-377, CWE-379",
        threats=("CWE-377", "CWE-379"),
        severity="medium",
        reads=("source",),
    )

    def check(self, artifact: Artifact) -> Iterator[Draft]:
        """Judge every call that makes or names a file."""
        for site in program_of(artifact).calls:
            if site.path in ("tempfile.mktemp", "os.tempnam", "os.tmpnam"):
                yield _draft(f"{site.path} returns a name that others can take before the program does", site)
            elif (site.path in _FILE_CALLS or site.tail in _FILE_TAILS) and _in_shared(site):
                yield _draft("a file has a fixed name in a folder that every user can write", site)


def _draft(message: str, site: CallSite) -> Draft:
    return Draft(message=message, fix="use tempfile.TemporaryDirectory() or tempfile.mkdtemp()", place=site.place)


def _in_shared(site: CallSite) -> bool:
    values: list[Value] = [*site.arguments[:3], site.receiver]
    values += [
        value
        for name, value in site.keywords
        if name in ("path", "file", "filename", "filepath", "f", "save_directory")
    ]
    return any(_SHARED.match(value.text) for value in values)
