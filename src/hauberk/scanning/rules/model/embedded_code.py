"""Program code inside a model file: TorchScript and native libraries."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import ClassVar

from hauberk.core.card import Card
from hauberk.scanning.artifact import Artifact, Draft, Note

_REACHING = re.compile(
    r"\b(?:torch|aten|ops\.aten)\.(?:from_file|save|load)\b|\bload_library\b|\bops\.inductor\b|\bprim\.(?:PythonOp|CallPython)\b"
)


class EmbeddedCode:
    """Report code that a model file brings along.

    What: a TorchScript program (low), one that reads or writes files (high), or a native library (high).
    Why: TorchScript runs when the model is called and can open files; a native library runs with every right.
    Fix: load the weights into a model whose code you have; drop the library.
    """

    card: ClassVar[Card] = Card(
        title="Code inside a model file",
        summary="The model file carries a TorchScript program or a native library.",
        paper="CWE-506; CWE-829; torch security policy, TorchScript",
        threats=("CWE-829", "AML.T0010", "AML.T0011"),
        severity="high",
    )

    def check(self, artifact: Artifact) -> Iterator[Draft]:
        """Yield one draft for the program as a whole, and one for each part of it that reaches out."""
        programs = [fact.value for fact in artifact.references if fact.kind == "torchscript"]
        if programs:
            yield Draft(
                message=f"carries a TorchScript program of {len(programs)} file(s), such as {programs[0][:120]}",
                fix="load the weights into a model whose code you have",
                severity="low",
            )
        for note in artifact.notes:
            if note.name.startswith("code:"):
                yield from _reaching(note)
        for fact in artifact.references:
            if fact.kind == "native-code":
                yield Draft(
                    message=f"carries native code: {fact.value[:200]!r}",
                    fix="do not load it unless you built it; ask for the model without it",
                )


def _reaching(note: Note) -> Iterator[Draft]:
    for number, line in enumerate(note.text.splitlines(), 1):
        if _REACHING.search(line):
            yield Draft(
                message=f"its TorchScript program reaches files or libraries ({note.name[5:]}, line {number})",
                fix="do not run it; load the weights into a model whose code you have",
                trace=(line.strip()[:200],),
            )
