"""Python source files: text, syntax tree, and every call read once for all rules."""

from __future__ import annotations

import re
from typing import ClassVar

from hauberk.core.card import Card
from hauberk.core.limits import Limits
from hauberk.scanning.artifact import Artifact, Blob, Descend, Source
from hauberk.scanning.python_text import decode_python, parse, understand
from hauberk.scanning.text import read_text

_SHEBANG = re.compile(rb"#![^\n]*\bpython[\d.]*\b")


class PythonSource:
    """Read .py files, stubs and scripts that begin with a Python shebang; nothing is imported or run."""

    card: ClassVar[Card] = Card(
        title="Python source",
        summary="Modules and scripts, parsed with the running interpreter's grammar and never executed.",
        paper="The Python Language Reference; PEP 263",
        suffixes=(".py", ".pyw"),
        begins=("#!",),
    )

    def sniff(self, blob: Blob) -> bool:
        """Accept by ending, or by shebang where there is no ending."""
        return blob.name.endswith((".py", ".pyw")) or _SHEBANG.match(blob.head) is not None

    def parse(self, blob: Blob, limits: Limits, descend: Descend) -> Artifact:  # noqa: ARG002 - one module, no parts
        """Decode, parse and read the calls."""
        read = read_text(blob, limits)
        text, encoding = decode_python(read.data)
        tree, syntax = parse(text)
        unread = understand([tree], limits) if tree is not None else None
        if unread is not None and tree is not None and unread.message.startswith("more than"):
            tree = None
        return Artifact(
            path=blob.path,
            part=blob.part,
            format="python_source",
            size=blob.size,
            digest=read.digest,
            source=Source(text, tree),
            problems=tuple(problem for problem in (encoding, syntax, unread) if problem is not None),
        )
