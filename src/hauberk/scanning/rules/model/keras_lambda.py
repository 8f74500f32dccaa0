"""Program code inside a keras file: Lambda layers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from hauberk.core.card import Card
from hauberk.core.evidence import Severity
from hauberk.scanning.artifact import Artifact, Draft, Lookup

_ACTING = frozenset(
    """os sys posix nt subprocess system popen Popen exec eval compile __import__ import_module importlib open
    socket urllib requests urlopen urlretrieve http getattr setattr globals locals builtins __builtins__ ctypes
    pickle cloudpickle dill marshal base64 b64decode codecs zlib pty shutil pathlib tempfile runpy pip environ
    getenv check_output check_call spawn fork remove unlink rmtree write_text read_text write_bytes webbrowser
    platform threading multiprocessing asyncio inspect FunctionType CodeType breakpoint __class__ __subclasses__
    __mro__ __globals__ __dict__ __code__ __bases__ __base__ __init__ __getattribute__ py_function
    numpy_function py_func load_op_library load_library read_file write_file gfile load_model get_file connect
    sendall recv loads load fromfile tofile savetxt save memmap DataSource ftplib smtplib telnetlib paramiko
    winreg atexit gc""".split()  # noqa: SIM905
)
_SPELLED = (
    "/bin/",
    "cmd.exe",
    "powershell",
    "http://",
    "https://",
    "/etc/",
    "curl ",
    "wget ",
    "__import__",
    "__builtins__",
    "__globals__",
    "__subclasses__",
    "exec(",
)


class KerasLambda:
    """Report Lambda layers: Python byte code that the file carries and the model runs.

    What: the code names things that run, reach files, processes or the network (critical); is not readable as code of
    any Python (high); or does arithmetic on tensors as far as its names tell (medium).
    Why: byte code in base64 runs with the rights of whoever loads the model: at once in keras 2 and in .h5 files, which
    know no safe mode (CVE-2024-3660, CVE-2025-9905). The names and texts of the code are shown; it is not run.
    Bad: `Lambda(lambda x: __import__("os").system("id") or x)`
    Good: `Rescaling(1 / 255)`, or a registered layer of your own
    Fix: replace it by a layer class in your own code and save the model again.
    """

    card: ClassVar[Card] = Card(
        title="Lambda layer",
        summary="The keras file carries Python byte code that runs when it is loaded or called.",
        paper="CWE-502; CWE-94; CVE-2024-3660; CVE-2025-9905; OWASP ML06:2023; MITRE ATLAS AML.T0011",
        threats=("CWE-502", "CWE-94", "OWASP-ML06", "AML.T0010", "AML.T0011", "CVE-2024-3660"),
        severity="critical",
        reads=("lookups",),
    )

    def check(self, artifact: Artifact) -> Iterator[Draft]:
        """Yield one draft for each piece of code, and one for a Lambda without any."""
        codes = [fact for fact in artifact.lookups if fact.verb.endswith("lambda")]
        for fact in codes:
            yield _judged(fact)
        layers = [fact for fact in artifact.lookups if fact.kind == "keras" and fact.name == "Lambda"]
        if layers and not codes:
            yield Draft(
                message=f"has a Lambda layer that calls a function by name (at {layers[0].where[:120]})",
                fix="replace it by a layer class in your own code",
                severity="low",
                place=layers[0].place,
            )


def _judged(fact: Lookup) -> Draft:
    names = fact.name.split()
    acting = [name for name in names if any(step in _ACTING for step in name.split("."))]
    spelled = [text for text in _SPELLED if text in fact.arguments]
    unread = fact.verb != "lambda"
    severity: Severity = "critical" if acting or spelled else "high" if unread else "medium"
    if acting or spelled:
        what = f"that reaches {', '.join((acting or spelled)[:6])}"
    else:
        what = (
            "that is not readable as code of any Python" if unread else "that only computes, as far as its names tell"
        )
    return Draft(
        message=f"carries byte code {what} (at {fact.where[:120]})",
        fix="do not load it; replace the layer by a class in your own code and save the model again",
        severity=severity,
        confidence="high" if severity == "critical" else "medium",
        place=fact.place,
        trace=(f"names: {', '.join(names[:40])}"[:300], f"texts: {fact.arguments}"[:300]),
    )
