"""Book-keeping: clipped sums with one forward pass, one backward pass of activations, and one product a layer.

Parameters ask for no gradient while it runs, so that autograd computes those of activations alone; what went into each
layer and the gradient of what came out give norms and weighted sums. The module is not wrapped: hooks are set for one
pass and taken off. Bu et al. 2023, arXiv:2210.00038.
"""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import nn
from torch.func import functional_call, vjp, vmap

from hauberk.numeric.clipped_sums import ExampleLoss, Flat, NotFinite, Outcome, Unfit, owners
from hauberk.numeric.clipping import Clipping
from hauberk.numeric.layer_gradients import REPEATABLE, Piece, Rule, Slots, rule_of


class _Root(torch.autograd.Function):
    """Make a tensor that needs no gradient the root of a graph, in place: later in-place operations stay allowed."""

    @staticmethod
    def forward(ctx: Any, value: torch.Tensor, token: torch.Tensor) -> torch.Tensor:  # noqa: ARG004
        ctx.mark_dirty(value)
        return value

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[None, None]:  # noqa: ARG004
        return None, None


class _Fresh(torch.autograd.Function):
    """Give a view's values as a tensor of its own, without a copy: hooks on views break when they change in place.

    For outputs that the layer itself does not need for its gradient.
    """

    @staticmethod
    def forward(ctx: Any, value: torch.Tensor, token: torch.Tensor) -> torch.Tensor:  # noqa: ARG004
        return value.data

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor, None]:  # noqa: ARG004
        return gradient, None


class _Call(NamedTuple):
    """What went into a layer: all arguments, and the version of the first, by which a later change shows."""

    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    version: int


class Site:
    """A layer, or a part of the network computed as a whole where it owns parameters and has no rule."""

    def __init__(self, name: str, module: nn.Module) -> None:
        self.name, self.module = name or "the network itself", module
        self.rule: Rule | None = rule_of(module)
        trained = {key: value for key, value in module.named_parameters() if value.requires_grad}
        if self.rule is not None and not trained.keys() <= {"weight", "bias"}:
            self.rule = None  # a reparametrised layer
        self.trained = trained
        self.clear()

    def clear(self) -> None:
        """Forget the last pass."""
        self.calls: list[_Call] = []
        self.outs: dict[int, torch.Tensor] = {}
        self.piece: Piece | None = None

    def slots(self, into: Flat) -> Slots:
        """Return where its gradients go."""
        return {key: into.of(value) for key, value in self.trained.items()}

    def finish(self, into: Flat) -> None:
        """Make the piece from what was seen."""
        for call in self.calls:
            if call.args and call.args[0]._version != call.version:
                raise Unfit(f"what goes into {self.name} is changed in place afterwards")
        calls = [self.calls[index] for index in sorted(self.outs)]
        outs = [_single(self.outs[index]) for index in sorted(self.outs)]
        if self.rule is None:
            self.piece = _whole(self, calls, outs, self.slots(into))
        else:
            ins = [_single(call.args[0]) for call in calls]
            if len({len(part) for part in (*ins, *outs)}) != 1:
                raise Unfit(f"{self.name} does not see examples along the first dimension")
            self.piece = self.rule(self.module, ins, outs, self.slots(into))
        self.calls, self.outs = [], {}


def sites_of(module: nn.Module) -> list[Site]:
    """Find the layers that hold trained parameters; raises Unfit where two of them share one."""
    found = [Site(name, layer) for name, layer in owners(module)]
    seen: dict[int, str] = {}
    for site in found:
        for value in site.trained.values():
            other = seen.setdefault(id(value), site.name)
            if other != site.name:
                raise Unfit(f"{other} and {site.name} share a parameter")
    return found


class BookKeeping:
    """Adds clipped sums of batches to a buffer.

    mixed: forward and backward in bfloat16, norms and sums in float32 of the same values, so that the bound holds.
    Raises Unfit, at once or at the first batch, for what must go the slow way.
    """

    def __init__(self, module: nn.Module, loss: ExampleLoss, *, mixed: bool = False) -> None:
        self._module, self._loss, self.mixed = module, loss, mixed
        self._sites = sites_of(module)
        self.layers = len(self._sites)
        for site in self._sites:
            if site.module is module and site.rule is None:
                raise Unfit("the network itself holds parameters, so that no layer can be taken alone")

    @property
    def slow_parts(self) -> tuple[str, ...]:
        """Name the layers without a rule, whose per-example gradients are formed."""
        return tuple(f"{site.name} ({type(site.module).__name__})" for site in self._sites if site.rule is None)

    def add(self, x: torch.Tensor, y: torch.Tensor, clipping: Clipping, into: Flat) -> Outcome:
        """Add the clipped sum of a batch to the buffer."""
        at_once = partial(self._at_once, clipping, into) if clipping.kind == "per_layer" else None
        squared: list[torch.Tensor] = []
        below = torch.ones(len(y), dtype=torch.bool, device=into.buffer.device)
        try:
            losses = self._pass(x, y, into, at_once, squared, below)
            pieces = [site.piece for site in self._sites if site.piece is not None]
            if at_once is None:
                squared += [piece.squared for piece in pieces]
            total = torch.stack(squared).sum(0) if squared else torch.zeros(len(y))  # no layer was used
            if not bool(total.isfinite().all()):
                raise NotFinite(total)
            if at_once is None:
                weights = clipping.weights(total)
                below = weights >= 1
                for piece in pieces:
                    piece.add(weights)
        finally:
            for site in self._sites:
                site.clear()
        return Outcome(total.sqrt(), losses, int(below.sum()))

    def norms(self, x: torch.Tensor, y: torch.Tensor, into: Flat) -> Outcome:
        """Return norms and losses of a batch without adding anything: the first pass of ghost clipping."""
        try:
            losses = self._pass(x, y, into, None, [], torch.ones(0))
            squared = [site.piece.squared for site in self._sites if site.piece is not None]
        finally:
            for site in self._sites:
                site.clear()
        return Outcome(torch.stack(squared).sum(0).sqrt(), losses, 0)

    def _at_once(
        self, clipping: Clipping, into: Flat, site: Site, squared: list[torch.Tensor], below: torch.Tensor
    ) -> None:
        """Clip one layer as soon as its gradients are there: nothing has to be kept."""
        site.finish(into)
        assert site.piece is not None
        if not bool(site.piece.squared.isfinite().all()):
            raise NotFinite(site.piece.squared)
        weights = clipping.weights(site.piece.squared, self.layers)
        below &= weights >= 1
        site.piece.add(weights)
        squared.append(site.piece.squared)
        site.piece = None

    def _pass(
        self,
        x: torch.Tensor,
        y: torch.Tensor,
        into: Flat,
        at_once: Callable[[Site, list[torch.Tensor], torch.Tensor], None] | None,
        squared: list[torch.Tensor],
        below: torch.Tensor,
    ) -> torch.Tensor:
        token = torch.zeros((), device=into.buffer.device, requires_grad=True)

        def arrived(site: Site) -> None:
            if site.rule is None:
                return  # computed after the pass: vmap does not run inside a backward hook
            if at_once is not None:
                at_once(site, squared, below)
            else:
                site.finish(into)

        with _frozen(into), _hooked(self._sites, token, arrived), torch.enable_grad():
            short = torch.autocast(into.buffer.device.type, torch.bfloat16) if self.mixed else contextlib.nullcontext()
            with short:
                losses = self._loss(self._module, x, y)
            if losses.shape != (len(y),):
                raise ValueError(
                    f"the loss gave {tuple(losses.shape)} for {len(y)} examples; one number each is needed"
                )
            if losses.requires_grad:
                torch.autograd.grad(losses.sum(), token, allow_unused=True)
        for site in self._sites:
            if site.outs:  # a layer without a rule, or one of whose calls some led nowhere
                if at_once is not None:
                    at_once(site, squared, below)
                else:
                    site.finish(into)
        return losses.detach().float()


@contextlib.contextmanager
def _frozen(into: Flat) -> Iterator[None]:
    """Ask for no parameter gradients, and keep attention on the path that hooks see."""
    fast = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    for value in into.parameters:
        value.requires_grad_(False)
    try:
        yield
    finally:
        for value in into.parameters:
            value.requires_grad_(True)
        torch.backends.mha.set_fastpath_enabled(fast)


@contextlib.contextmanager
def _hooked(sites: list[Site], token: torch.Tensor, arrived: Callable[[Site], None]) -> Iterator[None]:
    handles = [
        site.module.register_forward_hook(partial(_seen, site, token, arrived), with_kwargs=True) for site in sites
    ]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _seen(
    site: Site,
    token: torch.Tensor,
    arrived: Callable[[Site], None],
    module: nn.Module,  # noqa: ARG001
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    output: Any,
) -> Any:
    first, rest = (output[0], output[1:]) if isinstance(output, tuple) else (output, ())
    if not isinstance(first, torch.Tensor):
        raise Unfit(f"{site.name} gives no tensor")
    if site.calls and not isinstance(site.module, REPEATABLE):
        raise Unfit(f"{site.name} is called more than once")
    given = tuple(kwargs.values())[:1] if site.rule is not None and not args else args
    plain = tuple(value.detach() if isinstance(value, torch.Tensor) else value for value in given)
    version = plain[0]._version if plain and isinstance(plain[0], torch.Tensor) else 0
    index = len(site.calls)
    site.calls.append(_Call(plain, kwargs if site.rule is None else {}, version))

    def received(gradient: torch.Tensor) -> None:
        site.outs[index] = gradient
        if len(site.outs) == len(site.calls):
            arrived(site)

    first = _rooted(first, token, keep=site.rule is None)
    first.register_hook(received)  # type: ignore[no-untyped-call]
    if not isinstance(output, tuple):
        return first
    return (first, *(_watched(part, token, site) for part in rest))


def _rooted(value: torch.Tensor, token: torch.Tensor, *, keep: bool) -> torch.Tensor:
    """Make sure that a tensor has a gradient and is no view; keep: its values may be needed as they are."""
    made = value
    if value._is_view():
        made = value.clone() if keep else _applied(_Fresh, value, token)
    return made if made.requires_grad else _applied(_Root, made, token)


def _applied(function: type[torch.autograd.Function], value: torch.Tensor, token: torch.Tensor) -> torch.Tensor:
    made: torch.Tensor = function.apply(value, token)  # type: ignore[no-untyped-call]
    return made


def _watched(part: Any, token: torch.Tensor, site: Site) -> Any:
    """Refuse to go on where a further output of a part without a rule carries gradient."""
    if isinstance(part, tuple):
        return tuple(_watched(one, token, site) for one in part)
    if not isinstance(part, torch.Tensor) or not part.is_floating_point():
        return part

    def refuse(_: torch.Tensor) -> None:
        raise Unfit(f"more than one output of {site.name} is used")

    made = _rooted(part, token, keep=True)
    made.register_hook(refuse)  # type: ignore[no-untyped-call]
    return made


def _single(value: torch.Tensor) -> torch.Tensor:
    return value.float() if value.is_floating_point() else value


def _whole(site: Site, calls: list[_Call], outs: list[torch.Tensor], slots: Slots) -> Piece:
    """Form each example's gradients of a part without a rule, by a vector-Jacobian product mapped over examples."""
    (call,), (g,) = calls, outs
    if _drops(site.module):
        raise Unfit(f"{site.name} drops values at random, which cannot be done twice alike")
    b = len(g)
    values = {key: value.detach() for key, value in site.trained.items()}
    tensors = [_mapped(value, b) for value in call.args]
    named = {key: _mapped(value, b) for key, value in call.kwargs.items()}

    def one(gradient: torch.Tensor, args: list[Any], kwargs: dict[str, Any]) -> dict[str, torch.Tensor]:
        def run(given: dict[str, torch.Tensor]) -> torch.Tensor:
            full = [_again(a, old, m) for a, old, m in zip(args, call.args, tensors, strict=True)]
            words = {key: _again(kwargs[key], call.kwargs[key], named[key]) for key in kwargs}
            result = functional_call(site.module, given, tuple(full), words)
            first: torch.Tensor = result[0] if isinstance(result, tuple) else result
            return first.squeeze(0).float()

        (found,) = vjp(run, values)[1](gradient)
        return dict(found)

    dims = (0, [0 if m else None for m in tensors], {key: 0 if m else None for key, m in named.items()})
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "There is a performance drop", UserWarning)
            grads = vmap(one, in_dims=dims)(g, list(call.args), call.kwargs)
    except (RuntimeError, NotImplementedError, ValueError) as error:
        reason = str(error).partition("\n")[0][:200]
        raise Unfit(f"{site.name} cannot be mapped over examples: {reason}") from error
    formed = {key: value.detach().reshape(b, -1) for key, value in grads.items()}
    squared = torch.stack([torch.linalg.vector_norm(value, dim=1).square() for value in formed.values()]).sum(0)

    def add(c: torch.Tensor) -> None:
        for key, value in formed.items():
            slots[key].view(-1).addmv_(value.t(), c)

    return Piece(squared, add)


def _drops(module: nn.Module) -> bool:
    """Tell whether a part drops values at random."""
    inner = (part for part in module.modules() if isinstance(part, nn.modules.dropout._DropoutNd))
    if any(part.p and part.training for part in inner):
        return True
    return module.training and bool(module.__dict__.get("dropout", 0))


def _mapped(value: Any, b: int) -> bool:
    return isinstance(value, torch.Tensor) and value.ndim > 0 and len(value) == b


def _again(value: Any, old: Any, mapped: bool) -> Any:
    """Give a mapped example its batch dimension back; what is shared is the original."""
    return value.unsqueeze(0) if mapped else old
