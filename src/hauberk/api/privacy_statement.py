"""A privacy statement: what is promised, to whom, on which assumptions, and what it does not cover; in plain words."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence

from hauberk.core.privacy_events import (
    BoundedRelease,
    Event,
    GaussianRelease,
    LaplaceRelease,
    RepeatedSelection,
    SampledRelease,
)
from hauberk.defenses.private_defense import Account
from hauberk.numeric.accounting import epsilon, guessing

NEIGHBOURS = {
    "add_or_remove": "Neighbours: two data sets of which one has one {unit} more than the other (add or remove one).",
    "replace": "Neighbours: two data sets of the same size that differ in one {unit} (replace one). Compared with "
    "figures under add-or-remove, ε is up to twice as large for the same noise.",
    "zero_out": "Neighbours: two data sets of which one holds a {unit} whose contribution is zero in the other "
    "(zero out). It is not the add-or-remove of Poisson sampling, though it is as strong for sums.",
}


def statement(account: Account, *, unit: str = "record", rows_per_unit: int = 1, before: Sequence[Event] = ()) -> str:
    """Put an account into plain words.

    unit: what is protected ("record", "patient"). rows_per_unit: how many rows one may have. before: what was released
    of the same data earlier; it is composed with the account and said.
    """
    lines = [
        *_promise(account, unit, rows_per_unit),
        *_how(account),
        *_earlier(account, before),
        *_not_covered(account),
    ]
    return "\n".join(textwrap.fill(line, 100, subsequent_indent="  ") for line in lines)


def _promise(account: Account, unit: str, rows: int) -> Iterator[str]:
    bound = epsilon(account.events, account.delta, relation=account.relation, group=rows)
    if bound.epsilon == float("inf"):
        yield "No promise: something was released without noise (ε is infinite)."
        return
    most = guessing(account.events, account.delta, relation=account.relation, group=rows)
    yield f"Promise: ({bound.epsilon:.3f}, {account.delta:.2g})-differential privacy for every {unit}" + (
        f" of at most {rows} rows." if rows > 1 else ", each of one row of the data."
    )
    yield (
        f"In plain words: whoever sees the result, and knows everything else about the data, is right with a "
        f"probability of at most {most.certainty:.1%} about whether one given {unit} was in it; a coin gives 50 %. "
        f"A test that wrongly accuses 1 % finds at most {most.rates[0.01]:.1%} of those who were in it."
    )
    yield NEIGHBOURS[account.relation].format(unit=unit)
    if rows == 1:
        yield f"Unit: one row. A {unit} with several rows is protected less: name how many with rows_per_unit."
    if account.delta > 1 / max(1, account.rows):
        yield f"Warning: δ = {account.delta:.2g} is larger than 1/n = {1 / account.rows:.2g}; it should be well below."
    yield f"Accounting: {bound.method.upper()}, every release composed; a proven bound, not an approximation."


def _how(account: Account) -> Iterator[str]:
    if account.mechanism:
        yield f"Mechanism: {account.mechanism}."
    for event in account.events:
        yield f"Released: {described(event)}."
    if account.sampling:
        yield f"Sampling: {account.sampling}."
    if account.noise_source:
        yield (
            f"Noise: floating-point numbers from {account.noise_source}. Attacks on the low bits of such noise "
            "(Mironov 2012) are not defended against."
        )
    if account.why:
        yield f"Ended early: {account.why}."
    for note in account.notes:
        yield f"Note: {note}."


def _earlier(account: Account, before: Sequence[Event]) -> Iterator[str]:
    if not before:
        yield (
            "Other releases of this data: none that is known here. A ledger knows data by its digest: a changed copy "
            "counts as other data."
        )
        return
    both = epsilon((*before, *account.events), account.delta, relation=account.relation)
    yield f"Together with what was released of this data before: ε = {both.epsilon:.3f} at δ = {account.delta:.2g}."


def _not_covered(account: Account) -> Iterator[str]:
    yield "Not covered:"
    if account.tuned:
        yield (
            f"- the choice of {', '.join(account.tuned)}: settings tried on this data and thrown away cost privacy too "
            "(hauberk counts a search where it is told of it: RepeatedSelection, Papernot & Steinke 2022);"
        )
    yield "- preprocessing fitted to these rows, such as means, vocabularies or the choice of columns;"
    yield "- training losses, gradients and accuracy on the training rows, where you publish them;"
    yield "- what holds for many rows: a private model may still tell that a symptom goes with an illness;"
    yield "- the code itself: `hauberk privacy train --audit` attacks the run and holds what it finds against this."


def described(event: Event) -> str:
    """Say one release in words."""
    if isinstance(event, SampledRelease):
        return (
            f"{event.count} sums with Gaussian noise of {event.noise:.4g} times the largest influence of a row, each "
            f"over a sample with probability {event.rate:.4g}"
        )
    if isinstance(event, GaussianRelease):
        return f"{event.count} sums with Gaussian noise of {event.noise:.4g} times the largest influence of a unit"
    if isinstance(event, LaplaceRelease):
        return f"{event.count} sums with Laplace noise of scale {event.noise:.4g} times the largest influence of a unit"
    if isinstance(event, BoundedRelease):
        return f"{event.count} answers that are ({event.epsilon:.4g}, {event.delta:.2g})-private by their own proof"
    assert isinstance(event, RepeatedSelection)
    return f"the best of {event.mean:g} runs expected, each: {'; '.join(described(one) for one in event.runs)}"
