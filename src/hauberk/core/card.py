"""A plug-in's card: its metadata, written as a literal so that catalogues are listed without importing the plug-in."""

from __future__ import annotations

import msgspec


class Card(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a catalogue shows of a plug-in. Every field must be a literal (constants, tuples):

    it is also read from the source text.

    title: the field's standard name. summary: one sentence, what it does and when to choose it.
    paper: the source, such as "Madry et al. 2018, arXiv:1706.06083"; for rules the standard behind them.
    needs: powers a target must have ("scores", "gradients", "module", "refit", "trees"). norms: balls it works in.
    sets: what else it works in, "constraints", "patch" or "transform"; an evasion attack with neither norms nor sets
    is for tables.
    inputs: layouts it works on, such as "chw". nearest: it finds the nearest error rather than any inside the ball.
    reads: of a rule, the facts of an artifact it looks at; it is not even imported for one that has none of them.
    A dotted one ("table.classes", "seal.faults") is no file's: the engine that has it runs the rule.
    by_name: of a format, True where the name alone decides: only files ending in `suffixes` are its.
    begins: of a format, the bytes (as Latin-1) such files begin with; a file that neither begins so nor ends in one of
    `suffixes` is not its. (skip, bytes) where something stands before them. The format is imported for no other file.
    ends: of a format with `begins`, marks one of which stands in the last 64 KiB of files that begin otherwise.
    threats: ids such as "AML.T0043" (ATLAS), "CWE-502", "OWASP-ML01".
    severity: default severity of a rule's findings. suffixes: file endings a format usually has;
    "/" is a folder. prefixes: how a source begins that a target or data set opens, such as "https://".
    wraps: dotted types whose objects a target or data set takes. extra: the optional dependency group it needs.
    """

    title: str
    summary: str
    paper: str = ""
    needs: tuple[str, ...] = ()
    norms: tuple[str, ...] = ()
    sets: tuple[str, ...] = ()
    inputs: tuple[str, ...] = ()
    nearest: bool = False
    reads: tuple[str, ...] = ()
    by_name: bool = False
    begins: tuple[str | tuple[int, str], ...] = ()
    ends: tuple[str, ...] = ()
    threats: tuple[str, ...] = ()
    severity: str = ""
    suffixes: tuple[str, ...] = ()
    prefixes: tuple[str, ...] = ()
    wraps: tuple[str, ...] = ()
    extra: str = ""
