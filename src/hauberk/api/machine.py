"""What a run ran on, without host names or paths."""

from __future__ import annotations

import platform
from importlib import metadata

from hauberk.core.report import Machine

LIBRARIES = ("torch", "numpy", "scikit-learn", "onnxruntime", "onnx", "skops", "polars", "msgspec", "cryptography")


def machine() -> Machine:
    """Name system, processor, Python and the libraries that compute numbers."""
    found = []
    for name in LIBRARIES:
        try:
            found.append(f"{name}=={metadata.version(name)}")
        except metadata.PackageNotFoundError:
            continue
    return Machine(
        system=f"{platform.system()} {platform.release().partition('-')[0]}",
        processor=platform.machine(),
        python=platform.python_version(),
        libraries=tuple(found),
    )
