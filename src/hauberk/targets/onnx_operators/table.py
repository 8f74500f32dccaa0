"""All ONNX operators that are known, by type."""

from __future__ import annotations

from hauberk.targets.onnx_operators import elementwise, layers, reducing, shaping
from hauberk.targets.onnx_operators.attributes import Operator

OPERATORS: dict[str, Operator] = {
    **elementwise.OPERATORS,
    **layers.OPERATORS,
    **reducing.OPERATORS,
    **shaping.OPERATORS,
}
