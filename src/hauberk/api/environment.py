"""Where an environment keeps what is installed in it: found by looking, nothing of it is imported or run."""

from __future__ import annotations

import os
import sysconfig
from pathlib import Path

from hauberk.core.errors import UsageError

METADATA = ("*.dist-info/METADATA", "*.egg-info/PKG-INFO")
"""What to look at below the folder: each package's own word of its name, version and licence."""


def site_packages(named: str | os.PathLike[str] | None = None) -> Path:
    """Return the site-packages folder of an environment.

    named: that folder, or an environment's; None for the active environment ($VIRTUAL_ENV), else the one that runs us.
    """
    place = named or os.environ.get("VIRTUAL_ENV") or sysconfig.get_path("purelib")
    folder = Path(place)
    inside = [*sorted(folder.glob("lib/python*/site-packages")), folder / "Lib" / "site-packages"]
    found = next((path for path in inside if path.is_dir()), folder)
    if not any(next(found.glob(pattern), None) for pattern in METADATA):
        raise UsageError("no installed packages are there", where=str(place), fix="name a site-packages folder")
    return found
