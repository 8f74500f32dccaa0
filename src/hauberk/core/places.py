"""Where this user's own files belong: caches that may be thrown away."""

from __future__ import annotations

import os
import sys
from pathlib import Path


def cache_folder() -> Path | None:
    """Return the folder for what can be made again (XDG_CACHE_HOME or the system's own); None without a home."""
    given = os.environ.get("HAUBERK_CACHE") or ""
    if given:
        return Path(given)
    if sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA") or ""
        return Path(base) / "hauberk" / "cache" if base else None
    xdg = os.environ.get("XDG_CACHE_HOME") or ""
    if xdg and Path(xdg).is_absolute():
        return Path(xdg) / "hauberk"
    try:
        home = Path.home()
    except RuntimeError:
        return None
    return home / ("Library/Caches/hauberk" if sys.platform == "darwin" else ".cache/hauberk")
