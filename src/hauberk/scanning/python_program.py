"""A Python program as rules read it: every call with its resolved name, literal arguments and who steers them.

One reading per source, kept as long as its syntax tree lives, shared by all code rules.
"""

from __future__ import annotations

import ast
from collections.abc import Sequence
from weakref import WeakKeyDictionary

from hauberk.core.errors import LimitExceeded
from hauberk.core.limits import DEFAULT_LIMITS, Limits
from hauberk.scanning.artifact import Artifact
from hauberk.scanning.python_reader import Reader
from hauberk.scanning.python_values import NOTHING_KNOWN, Known, Program
from hauberk.scanning.watch import Watch

_EMPTY = Program()
_READ: WeakKeyDictionary[ast.Module, Program] = WeakKeyDictionary()
_READ_KNOWING: WeakKeyDictionary[ast.Module, Program] = WeakKeyDictionary()


def program_of(artifact: Artifact) -> Program:
    """Return the artifact's program; an empty one where it holds none or the text does not parse."""
    source = artifact.source
    if source is None or source.tree is None:
        return _EMPTY
    if source.known is not None and source.known != NOTHING_KNOWN:
        return _read_knowing(source.tree, source.known)
    found = _READ.get(source.tree)
    return found if found is not None else read([source.tree])[0]


def read(trees: Sequence[ast.Module], limits: Limits = DEFAULT_LIMITS) -> list[Program]:
    """Read the cells of one notebook, or the one module of a file; raises LimitExceeded."""
    programs = Reader(trees, Watch(limits)).run()
    for tree, program in zip(trees, programs, strict=True):
        _READ[tree] = program
    return programs


def _read_knowing(tree: ast.Module, known: Known) -> Program:
    """Read a module again with what the project's other modules say of it; within the limits, as it was before."""
    found = _READ_KNOWING.get(tree)
    if found is None:
        try:
            found = Reader([tree], Watch(DEFAULT_LIMITS), known).run()[0]
        except LimitExceeded:
            found = _READ.get(tree, _EMPTY)
        _READ_KNOWING[tree] = found
    return found
