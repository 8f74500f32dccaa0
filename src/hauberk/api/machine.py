"""What a run ran on, without host names or paths."""

from __future__ import annotations

import platform
import sys

from hauberk.core.report import Machine

LIBRARIES = {
    "torch": "torch", "numpy": "numpy", "scikit-learn": "sklearn", "onnxruntime": "onnxruntime", "onnx": "onnx",
    "skops": "skops", "polars": "polars", "msgspec": "msgspec", "cryptography": "cryptography",
}  # fmt: skip
"""Distribution → module of what computes numbers."""


def machine() -> Machine:
    """Name system, processor, Python and the libraries that this process loaded; others are not looked for."""
    loaded = ((name, getattr(sys.modules.get(module), "__version__", "")) for name, module in LIBRARIES.items())
    return Machine(
        system=f"{platform.system()} {platform.release().partition('-')[0]}",
        processor=platform.machine(),
        python=platform.python_version(),
        libraries=tuple(f"{name}=={version}" for name, version in loaded if version),
    )
