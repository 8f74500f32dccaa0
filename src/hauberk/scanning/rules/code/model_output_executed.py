"""Running what a language model wrote."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from hauberk.core.card import Card
from hauberk.scanning.artifact import Artifact, Draft
from hauberk.scanning.python_program import program_of
from hauberk.scanning.python_sinks import run_by, unpickled_by
from hauberk.scanning.tainted_drafts import sink_of, tainted_draft


class ModelOutputExecuted:
    """Follow what a language model answers, or an agent fills into a tool, to exec, eval, a shell, a process, a pickle.

    Whoever can put words before the model (a user, a web page, a document it reads) then runs code on the machine. Run
    generated code in a sandbox without network and secrets; let tools take checked values, hold commands against a list
    of allowed ones, and pass arguments as a list without a shell.

    Bad:

        exec(client.responses.create(model="m", input=question).output_text)

    Good:

        choice = client.responses.create(model="m", input=question).output_text
        if choice not in COMMANDS: raise ValueError(choice)
        subprocess.run(COMMANDS[choice], check=True)
    """

    card: ClassVar[Card] = Card(
        title="Model output executed",
        summary="What a language model answers reaches exec, eval, a shell, a pickle or the choice of a program.",
        paper="CWE-94, CWE-78, CWE-502; OWASP LLM05 and LLM06; MITRE ATLAS AML.T0050",
        threats=("CWE-94", "CWE-78", "OWASP-LLM05", "OWASP-LLM06", "AML.T0050"),
        severity="critical",
        reads=("source",),
    )

    def check(self, artifact: Artifact) -> Iterator[Draft]:
        """Judge every call that runs code or a command, or makes objects."""
        for site in program_of(artifact).calls:
            taint = run_by(site, "model") or unpickled_by(site, "model")
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
