"""Running what a language model wrote."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from hauberk.core.card import Card
from hauberk.scanning.artifact import Artifact, Draft
from hauberk.scanning.python_program import program_of
from hauberk.scanning.python_values import CallSite, Taint, Value
from hauberk.scanning.tainted_drafts import sink_of, tainted_draft

_CODE = frozenset(
    ["exec", "eval", "compile", "runpy.run_path", "runpy.run_module", "code.interact", "pandas.eval",
     "numexpr.evaluate", "importlib.import_module", "__import__", "pickle.loads", "dill.loads", "cloudpickle.loads",
     "yaml.unsafe_load",
     "sympy.sympify", "sympy.parsing.sympy_parser.parse_expr", "asteval.Interpreter().eval"]
)  # fmt: skip
_CODE_TAILS = frozenset(["run_cell", "runcode", "runsource", "exec_command"])
_SHELL = frozenset(
    ["os.system", "os.popen", "subprocess.getoutput", "subprocess.getstatusoutput", "asyncio.create_subprocess_shell",
     "pty.spawn", "os.execl", "os.execv", "os.execvp", "os.spawnl", "os.startfile", "commands.getoutput",
     "pexpect.spawn"]
)  # fmt: skip
_PROCESS = frozenset(
    ["subprocess.run", "subprocess.call", "subprocess.check_call", "subprocess.check_output", "subprocess.Popen",
     "asyncio.create_subprocess_exec"]
)  # fmt: skip
_INTERPRETERS = frozenset(
    ["bash", "sh", "zsh", "dash", "python", "python3", "python2", "perl", "ruby", "node", "php", "cmd", "cmd.exe",
     "powershell", "pwsh", "env", "xargs", "ssh", "eval", "osascript"]
)  # fmt: skip


class ModelOutputExecuted:
    """Follow what a language model answers, or an agent fills into a tool, to exec, eval, a shell or a process.

    Whoever can put words before the model (a user, a web page, a document it reads) then runs code on the machine. Run
    generated code in a sandbox without network and secrets; let tools take checked values, hold commands against a list
    of allowed ones, and pass arguments as a list without a shell.
    """

    card: ClassVar[Card] = Card(
        title="Model output executed",
        summary="What a language model answers reaches exec, eval, a shell or the choice of a program.",
        paper="CWE-94, CWE-78; OWASP LLM05 and LLM06; MITRE ATLAS AML.T0050",
        threats=("CWE-94", "CWE-78", "OWASP-LLM05", "OWASP-LLM06", "AML.T0050"),
        severity="critical",
        reads=("source",),
    )

    def check(self, artifact: Artifact) -> Iterator[Draft]:
        """Judge every call that runs code or a command."""
        for site in program_of(artifact).calls:
            taint = _reaches(site)
            if taint is None:
                continue
            yield tainted_draft(
                site.place,
                taint,
                sink_of(site),
                f"what a language model wrote is run by {site.path.replace('?', '').lstrip('.')}",
                "run it in a sandbox without network and secrets, or hold it against a list of allowed values",
                "critical",
            )


def _reaches(site: CallSite) -> Taint | None:
    if site.path in _CODE or site.tail in _CODE_TAILS:
        return site.argument(0).tainted("model")
    if site.path in _SHELL:
        return site.argument(0).tainted("model", "shell")
    if site.path in _PROCESS:
        return _process(site, site.argument(0, "args"))
    return None


def _process(site: CallSite, command: Value) -> Taint | None:
    """Find the taint that chooses the program or its script; arguments of a fixed program are the program's matter."""
    if site.says("shell") is True:
        return command.tainted("model", "shell")
    parts = [value for _, value in command.entries]
    if site.path == "asyncio.create_subprocess_exec":
        parts = list(site.arguments)
    if not parts:
        return command.tainted("model")
    program = parts[0].constant
    name = program.replace("\\", "/").rsplit("/", 1)[-1] if isinstance(program, str) else ""
    if name in _INTERPRETERS or parts[0].path == "sys.executable":
        rows = [taint for part in parts[1:] if (taint := part.tainted("model", "shell"))]
        return rows[0] if rows else None
    return parts[0].tainted("model")
