"""Name the rows of a table that are not what was sealed."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np

from hauberk.sealing.difference import difference, ranges
from hauberk.sealing.faults import Fault, Malformed
from hauberk.sealing.hashing import place
from hauberk.sealing.row_blocks import RowBlocks, Rows, blocks_of, decode, differing, rows_file
from hauberk.sealing.statement import Manifest
from hauberk.sealing.table_rows import Unreadable, rows_of


def with_rows(root: Path, seal: Path, manifest: Manifest | None, fault: Fault) -> Fault:
    """Say of a changed table which rows changed, as closely as the seal and what lies beside it can tell."""
    sealed = manifest.more.rows if manifest is not None and manifest.more is not None else {}
    if fault.kind != "changed" or fault.path not in sealed:
        return fault
    try:
        table = rows_of(Path(place(root, fault.path)))
    except Unreadable as error:
        return msgspec.structs.replace(fault, message=f"{fault.message}; its rows cannot be read: {error}")
    if table is None:
        return fault
    words = compared(sealed[fault.path], sealed_digests(seal, sealed).get(fault.path), table)
    return msgspec.structs.replace(fault, message=f"{fault.message}: {words}")


def compared(blocks: RowBlocks, digests: np.ndarray | None, table: Rows) -> str:
    """Word what changed from sealed rows to those of today; digests: of the sealed rows, where they are kept."""
    head = "" if blocks.columns == table.columns else "the header changed; "
    if digests is not None:
        return head + difference(digests, table.digests).words()
    found = differing(blocks, blocks_of(table, blocks.block))
    rows = [row for start, end in found for row in range(start, end)]
    return head + (f"somewhere in {ranges(rows)}" if rows else "the same rows")


def sealed_digests(seal: Path, sealed: dict[str, RowBlocks]) -> dict[str, np.ndarray]:
    """Read the digests of rows beside a seal, those that its blocks bear out; none where there are none."""
    try:
        return decode(rows_file(seal).read_bytes(), sealed)
    except (OSError, Malformed):
        return {}
