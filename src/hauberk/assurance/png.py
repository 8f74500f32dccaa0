"""A PNG of a few pixels, as a data URI: the smallest writer that is a valid file (PNG third edition, §5 and §11)."""

from __future__ import annotations

import base64
import struct
import zlib


def encode(width: int, height: int, channels: int, pixels: bytes) -> bytes:
    """Write 8-bit pixels, row-major and interleaved, of 1 (grey) or 3 (RGB) channels; raises ValueError on misfit."""
    if channels not in (1, 3) or width < 1 or height < 1 or len(pixels) != width * height * channels:
        raise ValueError(f"{len(pixels)} bytes are no picture of {width} × {height} × {channels}")
    stride = width * channels
    rows = b"".join(b"\0" + pixels[start : start + stride] for start in range(0, len(pixels), stride))
    header = struct.pack(">IIBBBBB", width, height, 8, 0 if channels == 1 else 2, 0, 0, 0)
    parts = (_chunk(b"IHDR", header), _chunk(b"IDAT", zlib.compress(rows, 9)), _chunk(b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def data_uri(png: bytes) -> str:
    """Write a picture as a data URI."""
    return "data:image/png;base64," + base64.b64encode(png).decode("ascii")
