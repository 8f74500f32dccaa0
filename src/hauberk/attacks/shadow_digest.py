"""What a reference model depends on, as one digest: models of the same digest are kept and used again."""

from __future__ import annotations

import hashlib
import inspect
from types import FunctionType

from torch import nn

from hauberk.attacks.recording import Samples
from hauberk.attacks.shadow_training import Recipe
from hauberk.core.encoding import canonical
from hauberk.core.protocols import Target


def digest_of(
    scheme: tuple[int, int],
    recipe: Recipe,
    target: Target,
    module: nn.Module | None,
    identity: str | None,
    pool: Samples,
) -> bytes:
    """Digest scheme and seed, recipe, architecture or trainer, and the records.

    module: trained by the recipe; None where identity, the text of a trainer, or the target's own digest stands for it.
    """
    state = hashlib.sha256(canonical((*scheme, target.spec.shape, target.spec.classes)))
    if identity is not None:
        state.update(identity.encode())
    elif module is not None:
        state.update(repr(recipe).encode())
        state.update(_architecture(module).encode())
    else:
        state.update(f"{target.spec.kind}:{target.spec.digest or target.spec.name}".encode())
    for part in pool:
        state.update(str(tuple(part.shape)).encode())
        state.update(part.contiguous().numpy().tobytes())
    return state.digest()


def _architecture(module: nn.Module) -> str:
    """Describe a network: its parts, the shapes of its state, and the source of every class that is not torch's."""
    kinds = {type(part) for part in module.modules()}
    own = sorted(_source(kind) for kind in kinds if not kind.__module__.startswith("torch."))
    shapes = [f"{name}:{tuple(value.shape)}:{value.dtype}" for name, value in module.state_dict().items()]
    return "\n".join((repr(module), *shapes, *own))


def _source(kind: type) -> str:
    """Return a class's name and the source of its functions; found by their files, whatever module has its name now."""
    functions = [row for _, row in sorted(vars(kind).items()) if inspect.isfunction(row)]
    return "\n".join((f"{kind.__module__}.{kind.__qualname__}", *map(_text, functions)))


def _text(function: FunctionType) -> str:
    try:
        return inspect.getsource(function)
    except (OSError, TypeError):
        return function.__qualname__
