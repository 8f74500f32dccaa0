"""Sending what a language model wrote to a database as SQL."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from hauberk.core.card import Card
from hauberk.scanning.artifact import Artifact, Draft
from hauberk.scanning.python_program import program_of
from hauberk.scanning.python_sinks import queried_by
from hauberk.scanning.tainted_drafts import sink_of, tainted_draft


class ModelOutputInSql:
    """Follow what a language model answers into the text of an SQL statement; bound parameters are fine.

    A prompt injection then reads or destroys the database. Bind values as parameters; where the model must write whole
    queries, give it a read-only role on views made for it, and a parser that refuses all but SELECT.

    Bad:

        cursor.execute(f"SELECT * FROM shops WHERE city = '{answer}'")

    Good:

        cursor.execute("SELECT * FROM shops WHERE city = %s", (answer,))
    """

    card: ClassVar[Card] = Card(
        title="Model output in SQL",
        summary="What a language model answers becomes part of an SQL statement.",
        paper="CWE-89; OWASP LLM05",
        threats=("CWE-89", "OWASP-LLM05", "AML.T0051"),
        severity="high",
        reads=("source",),
    )

    def check(self, artifact: Artifact) -> Iterator[Draft]:
        """Judge the statement, not the parameters, of every query."""
        for site in program_of(artifact).calls:
            taint = queried_by(site, "model")
            if taint is not None:
                yield tainted_draft(
                    site.place,
                    taint,
                    sink_of(site),
                    f"what a language model wrote is run as SQL by {site.path.replace('?', '').lstrip('.')}",
                    "bind values as parameters; let model-written queries run only under a read-only role",
                    "high",
                )
