"""The operations a module performs on an example, in order, recorded as torch dispatches them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

Tensor = torch.Tensor

EXAMPLE = -1
"""The call that a `Result` names when it is the example itself."""


@dataclass(frozen=True, slots=True)
class Result:
    """What a call gave. call: its place in the list of calls, or EXAMPLE. index: which of its results, from 0."""

    call: int
    index: int = 0


@dataclass(frozen=True, slots=True)
class Call:
    """One operation. name: as torch spells it, without its overload; one that writes in place is named as its twin.

    args, kwargs: what it was given; tensors that depend on the example are a `Result`, all others are themselves.
    """

    name: str
    args: tuple[object, ...]
    kwargs: Mapping[str, object]

    def results(self) -> set[Result]:
        """Return what it was given of earlier results."""
        return _results((self.args, *self.kwargs.values()))


@dataclass(frozen=True, slots=True)
class Recording:
    """The calls whose result depends on the example, in order, and the answer: a `Result`, or what does not depend."""

    calls: tuple[Call, ...]
    answer: object


def recorded(module: nn.Module, example: Tensor) -> Recording:
    """Run a module on an example (n, *shape) without gradients and write down what it does.

    Python in it runs as it is; a branch that hangs on a value shows as the call `_local_scalar_dense`.
    """
    # Not torch's own make_fx: importing that takes longer than many a certificate.
    with torch.no_grad(), _Recorder(example) as recorder:
        answer = module(example)
    return Recording(tuple(recorder.calls), recorder.named(answer))


class _Recorder(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Sees every operation while it is entered. Tensors are told apart by identity, so all results are kept alive."""

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """Nothing is compiled inside; saying so spares the import of torch's compiler."""
        return False

    def __init__(self, example: Tensor) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.calls: list[Call] = []
        self._kept = [example]
        self._known = {id(example): Result(EXAMPLE)}

    def named(self, value: object) -> object:
        """Put results in the place of the tensors that are some; deep in lists and tuples too."""
        if isinstance(value, Tensor):
            return self._known.get(id(value), value)
        if isinstance(value, list | tuple):
            return [self.named(part) for part in value]
        return value

    def __torch_dispatch__(
        self,
        function: Callable[..., object],
        types: Sequence[type],
        args: tuple[object, ...] = (),
        kwargs: Mapping[str, object] | None = None,
    ) -> object:
        """Run an operation and write it down if it looks at the example or what became of it."""
        given = kwargs or {}
        call = Call(
            name=str(getattr(function, "_opname", function)).removesuffix("_"),
            args=tuple(self.named(part) for part in args),
            kwargs={key: self.named(part) for key, part in given.items()},
        )
        out = function(*args, **given)
        if call.results():
            for index, part in enumerate(out if isinstance(out, list | tuple) else (out,)):
                if isinstance(part, Tensor):
                    self._known[id(part)] = Result(len(self.calls), index)
                    self._kept.append(part)
            self.calls.append(call)
        return out


def _results(value: object) -> set[Result]:
    if isinstance(value, Result):
        return {value}
    if isinstance(value, list | tuple):
        return {result for part in value for result in _results(part)}
    return set()
