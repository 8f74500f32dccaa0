"""Python text to syntax tree: every way it can fail becomes a problem, and every call in it is read once."""

from __future__ import annotations

import ast
import io
import tokenize
import warnings
from collections.abc import Sequence

from hauberk.core.errors import LimitExceeded
from hauberk.core.limits import Limits
from hauberk.scanning.artifact import Place, Problem
from hauberk.scanning.python_program import read
from hauberk.scanning.text import decode


def decode_python(data: bytes) -> tuple[str, Problem | None]:
    """Decode by byte-order mark or coding line (PEP 263); an unknown encoding is a problem and read as Latin-1."""
    try:
        encoding, _ = tokenize.detect_encoding(io.BytesIO(data).readline)
        text = data.decode(encoding).replace("\r\n", "\n").replace("\r", "\n")
    except (SyntaxError, UnicodeDecodeError, LookupError) as error:
        return decode(data, "latin-1"), Problem(kind="malformed", message=f"not decodable as Python: {error}")
    return text, None


def parse(text: str) -> tuple[ast.Module | None, Problem | None]:
    """Parse without running anything; text that does not parse, or is too deeply nested, is a problem."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # an invalid escape in a scanned file is not ours to warn of
            flags = ast.PyCF_ONLY_AST | ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
            tree = compile(text, "<scanned>", "exec", flags, dont_inherit=True)
    except SyntaxError as error:
        place = Place(line=max(1, error.lineno or 1))
        return None, Problem(kind="malformed", message=f"does not parse as Python 3: {error.msg}", place=place)
    except (RecursionError, MemoryError):
        return None, Problem(kind="limit", message="nested too deeply to be parsed")
    except ValueError as error:
        return None, Problem(kind="malformed", message=f"does not parse as Python 3: {error}")
    assert isinstance(tree, ast.Module)
    return tree, None


def understand(trees: Sequence[ast.Module], limits: Limits) -> Problem | None:
    """Read the calls of parsed cells once for all rules; what was not read is a problem."""
    try:
        programs = read(trees, limits)
    except LimitExceeded as error:
        return Problem(kind="limit", message=error.what)
    if any(program.too_deep for program in programs):
        return Problem(kind="limit", message="some expressions are nested too deeply and were not read")
    return None
