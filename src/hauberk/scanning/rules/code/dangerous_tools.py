"""Giving an agent tools that run anything."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import ClassVar

from hauberk.core.card import Card
from hauberk.core.evidence import Severity
from hauberk.scanning.artifact import Artifact, Draft, Edit
from hauberk.scanning.fixing import set_keyword
from hauberk.scanning.python_program import program_of
from hauberk.scanning.python_values import CallSite, Value, tail_of

_LIBRARIES = re.compile(
    r"(langchain|langgraph|llama_index|autogen|ag2|smolagents|crewai|haystack|semantic_kernel|interpreter|phi|agno|agents"
    r"|transformers|camel|metagpt|pandasai|swarms|strands|google\.adk|qwen_agent|\.|\?)"
)
_RUNNERS: dict[str, tuple[str, Severity]] = {
    "PythonREPL": ("a Python interpreter", "high"),
    "PythonREPLTool": ("a Python interpreter", "high"),
    "PythonAstREPLTool": ("a Python interpreter", "high"),
    "PythonInterpreterTool": ("a Python interpreter", "medium"),
    "PythonInterpreter": ("a Python interpreter", "medium"),
    "PythonTools": ("a Python interpreter", "high"),
    "ShellTools": ("a shell", "high"),
    "ShellTool": ("a shell", "high"),
    "LocalShellTool": ("a shell", "high"),
    "BashProcess": ("a shell", "high"),
    "BashTool": ("a shell", "high"),
    "Terminal": ("a shell", "high"),
    "create_python_agent": ("a Python interpreter", "high"),
    "create_pandas_dataframe_agent": ("a Python interpreter", "high"),
    "create_csv_agent": ("a Python interpreter", "high"),
    "create_spark_dataframe_agent": ("a Python interpreter", "high"),
    "create_xorbits_agent": ("a Python interpreter", "high"),
    "LLMBashChain": ("a shell", "high"),
    "LLMMathChain": ("an evaluator of expressions", "medium"),
    "PALChain": ("a Python interpreter", "high"),
    "CPALChain": ("a Python interpreter", "high"),
    "LocalCommandLineCodeExecutor": ("a shell on this machine", "high"),
    "JupyterCodeExecutor": ("a Python interpreter on this machine", "high"),
    "LocalPythonExecutor": ("a Python interpreter in this process", "medium"),
    "CodeInterpreterTool": ("a Python interpreter", "medium"),
    "CodeInterpreterToolSpec": ("a Python interpreter", "high"),
    "PandasQueryEngine": ("pandas code run with eval", "high"),
    "PolarsQueryEngine": ("polars code run with eval", "high"),
    "SQLDatabaseChain": ("the whole database", "medium"),
    "NLSQLTableQueryEngine": ("the whole database", "medium"),
    "create_sql_agent": ("the whole database", "medium"),
    "SQLDatabaseToolkit": ("the whole database", "medium"),
    "GraphCypherQAChain": ("the whole database", "medium"),
    "FileManagementToolkit": ("the file system", "medium"),
    "JsonToolkit": ("any file", "low"),
}
_RUNNING_TOOLS = frozenset(
    ["python_repl", "terminal", "requests_all", "bash", "shell", "requests_post", "requests_delete", "llm-math-python",
     "pal-math", "requests", "requests_put", "requests_patch"]
)  # fmt: skip
_SWITCHES = frozenset(
    ["allow_dangerous_code", "allow_dangerous_requests", "allow_dangerous_deserialization", "allow_dangerous_tools",
     "allow_code_execution", "allow_unsafe_code", "enable_code_execution", "allow_delegation_to_shell"]
)  # fmt: skip
_SYSTEM = ("*", "os", "subprocess", "sys", "shutil", "socket", "importlib", "builtins", "pathlib", "ctypes", "requests")


class DangerousTools:
    """Find tools, agents and switches that let a language model run any code, command or request.

    An agent does what the text it reads tells it, a web page's or a document's too. Give it narrow tools with checked
    arguments; run code tools in a container without network, secrets or the host's files; ask a person before acts that
    cannot be undone; leave every allow_dangerous_… switch off.

    Bad:

        create_react_agent(llm, [ShellTool()])
        FAISS.load_local(folder, embeddings, allow_dangerous_deserialization=True)

    Good:

        create_react_agent(llm, [find_order, opening_hours])
    """

    card: ClassVar[Card] = Card(
        title="Dangerous tools",
        summary="An agent is given a shell, an interpreter, a whole database, or a dangerous switch is on.",
        paper="OWASP LLM06 Excessive Agency; CWE-250; MITRE ATLAS AML.T0053",
        threats=("OWASP-LLM06", "CWE-250", "AML.T0053"),
        severity="high",
        reads=("source",),
    )

    def check(self, artifact: Artifact) -> Iterator[Draft]:
        """Judge every call by name and switches."""
        for site in program_of(artifact).calls:
            found = _judge(site)
            if found is not None:
                edits = _edits(site)
                yield Draft(message=found[0], fix=found[1], severity=found[2], place=site.place, edits=edits)


_NARROW = "give narrow tools with checked arguments, or run it in a container without network and secrets"


def _judge(site: CallSite) -> tuple[str, str, Severity] | None:
    for name, value in site.keywords:
        if (name in _SWITCHES or name.startswith("allow_dangerous_")) and value.constant is True:
            return (f"{name}=True switches a protection off", f"drop {name} and give narrower tools or data", "high")
    name = tail_of(site.path.rpartition(".")[0]) if site.tail.startswith("from_") else site.tail
    if name in _RUNNERS and _LIBRARIES.match(site.path) and not _confined(site):
        what, severity = _RUNNERS[name]
        return (f"{name} gives a language model {what}", _NARROW, severity)
    if site.tail == "load_tools":
        named = [item.constant for _, item in site.argument(0).entries if item.constant in _RUNNING_TOOLS]
        if named:
            return (f'load_tools gives a language model "{named[0]}"', _NARROW, "high")
    return _switches(site)


def _confined(site: CallSite) -> bool:
    """Tell a file tool that is kept to a folder and to reading."""
    root = site.keyword("root_dir")
    return site.tail == "FileManagementToolkit" and root is not None and site.keyword("selected_tools") is not None


def _switches(site: CallSite) -> tuple[str, str, Severity] | None:
    if site.says("code_execution_mode") == "unsafe":
        return ("the agent runs code it writes", _NARROW, "high")
    execution = site.keyword("code_execution_config")
    if execution is not None and _without_container(execution):
        return ("the agent runs code it writes on this machine (use_docker=False)", "set use_docker=True", "high")
    if site.says("use_docker") is False:
        return ("the agent runs code it writes on this machine (use_docker=False)", "set use_docker=True", "high")
    imports = site.keyword("additional_authorized_imports")
    if imports is not None and (
        imports.constant == "*" or any(item.constant in _SYSTEM for _, item in imports.entries)
    ):
        return ("the code agent may import modules that reach the system", "list only harmless modules", "high")
    if site.path.endswith(".auto_run =") and site.arguments[0].constant is True:
        return ("the interpreter runs commands without asking", "leave auto_run off", "high")
    return None


def _without_container(execution: Value) -> bool:
    held = execution.get("use_docker")
    return held is not None and held.constant is False


def _edits(site: CallSite) -> tuple[Edit, ...]:
    return set_keyword(site, "use_docker", "True") if site.says("use_docker") is False else ()
