"""Program code inside a model file: TorchScript, expressions a loader evaluates, and native libraries."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from typing import ClassVar

from hauberk.core.card import Card
from hauberk.scanning.artifact import Artifact, Draft, Note

_TEXT = re.compile(r"\"(?:[^\"\\\n]|\\.)*\"|'(?:[^'\\\n]|\\.)*'|#[^\n]*")
_DOTS = re.compile(r"(?:\s|\\\n)*\.(?:\s|\\\n)*")
_REACHING = re.compile(
    r"\b(?:torch|aten|ops\.aten)\.(?:from_file|save|_save|load)\b|\bload_library\b|\bops\.inductor\b"
    r"|\bprim\.(?:PythonOp|CallPython)\b|\b(?:ops\.)?(?:prims?|aten)\.rpc_\w+|\btorch\.(?:ops\.load|classes\.load)\w*"
)
_OPERATORS = re.compile(r"\bops\.(\w+)\.\w+")
_CLASSES = re.compile(r"__torch__\.torch\.classes\.(\w+)\.\w+")
_LIBRARIES = frozenset(
    {
        "aten", "prim", "prims", "quantized", "quantized_decomposed", "torchvision", "torchaudio", "_quantized",
        "image", "mkldnn", "mkldnn_prepacked", "xnnpack", "vulkan_prepack", "metal_prepack", "sparse", "profiler",
        "static_runtime", "tensorrt", "torchtext", "torch_scatter", "torch_sparse", "torch_cluster", "onednn",
        "torch_spline_conv", "pyg", "fbgemm", "_caffe2", "cuda", "rnn", "video_reader", "detectron2", "llama", "xla",
        "symm_mem", "inductor", "inductor_prims",
    }
)  # fmt: skip
_EVALUATED = re.compile(
    r"__\w+__|\b(?:import|eval|exec|compile|open|lambda|getattr|setattr|globals|locals|vars|breakpoint|input|os|sys|subprocess)\b"
    r"|\.(?:system|popen|__)"
)
_FIX = "do not run it; load the weights into a model whose code you have"


class EmbeddedCode:
    """Report code that a model file brings along.

    What: a TorchScript program (low), one that reads or writes files or calls other processes (high), one that needs
    operators of an unknown library (medium); an exported program's expression that is no arithmetic (high), since the
    loader evaluates it; or a native library (high).
    Why: TorchScript runs when the model is called and can open files, also under `weights_only` of torch before 2.6
    (CVE-2025-32434); a native library runs with every right.
    Bad: `torch.from_file("/etc/passwd", …)` in code/__torch__.py. Good: `torch.conv2d(x, w, …)`.
    Fix: load the weights into a model whose code you have; drop the library.
    """

    card: ClassVar[Card] = Card(
        title="Code inside a model file",
        summary="The model file carries a TorchScript program, an evaluated expression or a native library.",
        paper="CWE-506; CWE-829; CWE-95; torch security policy, TorchScript; CVE-2025-32434; CVE-2026-24747",
        threats=("CWE-829", "CWE-95", "OWASP-ML06", "OWASP-LLM03", "AML.T0010", "AML.T0011", "CVE-2025-32434"),
        severity="high",
        reads=("references", "notes"),
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
                yield from _program(note)
            elif note.name.startswith("expression:") and _EVALUATED.search(note.text):
                yield Draft(
                    message="an expression that the loader evaluates is no arithmetic",
                    fix="do not load it; export the program anew",
                    trace=(note.text[:200],),
                )
        for fact in artifact.references:
            if fact.kind == "native-code":
                yield Draft(
                    message=f"carries native code: {fact.value[:200]!r}",
                    fix="do not load it unless you built it; ask for the model without it",
                )


def _program(note: Note) -> Iterator[Draft]:
    """Judge a program's names; what stands in its texts and comments is none."""
    lines = _DOTS.sub(".", _TEXT.sub('""', note.text)).split("\n")
    written = note.text.split("\n")
    unknown: Counter[str] = Counter()
    told = 0
    for number, line in enumerate(lines, 1):
        if told < 20 and _REACHING.search(line):
            told += 1
            shown = written[number - 1] if len(written) == len(lines) else line
            yield Draft(
                message=f"its TorchScript program reaches files or libraries ({note.name[5:]}, line {number})",
                fix=_FIX,
                trace=(shown.strip()[:200],),
            )
        unknown.update(name for name in _OPERATORS.findall(line) if name not in _LIBRARIES)
        unknown.update(name for name in _CLASSES.findall(line) if name not in _LIBRARIES)
    for name, count in sorted(unknown.items()):
        yield Draft(
            message=f"its TorchScript program needs the library {name!r} ({count} times, {note.name[5:]})",
            fix="know where that library comes from and pin it",
            severity="medium",
            confidence="medium",
        )
