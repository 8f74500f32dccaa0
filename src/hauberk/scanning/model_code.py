"""What a model's own Python should never do: start programs, run text, talk to hosts; how grave each is."""

from __future__ import annotations

import re
from typing import NamedTuple

from hauberk.core.evidence import Severity

_PROGRAMS = re.compile(
    r"os\.(?:system|popen|exec\w+|spawn\w+|posix_spawnp?|startfile)|subprocess\.\w+|pty\.spawn|commands\.\w+"
    r"|asyncio\.create_subprocess_\w+|ctypes\.(?:CDLL|PyDLL|WinDLL|OleDLL|cdll\.\w+)"
    r"|torch\.(?:ops|classes)\.load_library"
)
_NETWORK = re.compile(
    r"socket\.(?:socket|create_connection|create_server)|urllib\.request\.(?:urlopen|urlretrieve|Request)"
    r"|(?:requests|httpx|aiohttp)\.\w+|http\.client\.\w+|ftplib\.\w+|smtplib\.\w+|paramiko\.\w+|telnetlib\.\w+"
)
_RUNS = re.compile(r"(?:builtins\.)?(?:exec|eval)|marshal\.loads?|runpy\.run_\w+")


class Grade(NamedTuple):
    """Calls, what they do in words, and how grave that is at import and inside a function."""

    calls: re.Pattern[str]
    words: str
    at_import: Severity
    inside: Severity


GRADES = (
    Grade(_PROGRAMS, "starts a program or a native library", "high", "medium"),
    Grade(_RUNS, "runs code that is put together at run time", "high", "medium"),
    Grade(_NETWORK, "talks to a host", "high", "low"),
)
