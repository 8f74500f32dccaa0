"""Sending what a language model wrote to a database as SQL."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import ClassVar

from hauberk.core.card import Card
from hauberk.scanning.artifact import Artifact, Draft
from hauberk.scanning.python_program import program_of
from hauberk.scanning.python_values import CallSite
from hauberk.scanning.tainted_drafts import sink_of, tainted_draft

_EXECUTE = (
    "execute",
    "executemany",
    "executescript",
    "exec_driver_sql",
    "raw",
    "fetch",
    "fetchall",
    "fetchrow",
    "query",
    "sql",
)
_READ = (
    "pandas.read_sql",
    "pandas.read_sql_query",
    "polars.read_database",
    "duckdb.sql",
    "duckdb.query",
    "duckdb.execute",
)
_DATABASE = re.compile(
    r"(?i)(sqlite3|psycopg|sqlalchemy|duckdb|mysql|pymysql|asyncpg|aiosqlite|databases|bigquery|snowflake|clickhouse|pyodbc"
    r"|cursor|(^|[?._:])(cur|conn|connection|db|database|engine|session|con|tx|transaction)(\b|_))"
)
_STATEMENT = re.compile(
    r"(?i)\b(select\s.+\sfrom|insert\s+into|update\s.+\sset|delete\s+from|drop\s|create\s+table)\b", re.S
)


class ModelOutputInSql:
    """Follow what a language model answers into the text of an SQL statement; bound parameters are fine.

    A prompt injection then reads or destroys the database. Bind values as parameters; where the model must write whole
    queries, give it a read-only role on views made for it, and a parser that refuses all but SELECT.
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
            if not _is_query(site):
                continue
            taint = site.argument(0, "sql").tainted("model", "sql")
            if taint is not None:
                yield tainted_draft(
                    site.place,
                    taint,
                    sink_of(site),
                    f"what a language model wrote is run as SQL by {site.path.replace('?', '').lstrip('.')}",
                    "bind values as parameters; let model-written queries run only under a read-only role",
                    "high",
                )


def _is_query(site: CallSite) -> bool:
    if site.path in _READ:
        return True
    if site.tail not in _EXECUTE or "." not in site.path:
        return False
    holder = site.path.rsplit(".", 1)[0]
    return _DATABASE.search(holder) is not None or _STATEMENT.search(site.argument(0).text) is not None
