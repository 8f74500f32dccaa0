"""The examiner of memorisation: does generated or retrieved output repeat training records?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch

from hauberk.attacks.recording import Recorder
from hauberk.core.evidence import Entry
from hauberk.core.provenance import Stamp
from hauberk.core.threat import Threat
from hauberk.numeric.near_duplicates import nearest, shared
from hauberk.numeric.roc import area

QUANTILE = 0.01
"""A generated row is near a training row when it is nearer than all but so many of the held-out rows are."""
COPIED = 0.5
"""Share of a text's shingles that must stand in training texts for it to count as a near duplicate."""
NAMED = 10
RECIPE = "privacy.memorisation"


def examine_rows(
    name: str,
    made: torch.Tensor,
    train: torch.Tensor,
    held: torch.Tensor,
    threat: Threat,
    *,
    stamp: Stamp,
    seed: int = 0,
) -> Iterator[Entry]:
    """Compare generated rows made (n, …) with training rows, against held-out rows the generator has not seen.

    Yields memorised_exact and memorised_near (headlines, with what held-out rows themselves show as a control) and
    memorisation_auc: whether generated rows lie nearer to training rows than held-out rows do.
    """
    to = Recorder(RECIPE, name, threat, stamp, seed)
    if min(len(made), len(train)) < 1 or len(held) < 1 / QUANTILE:
        reason = f"{len(made)} generated, {len(train)} training and {len(held)} held-out rows are too few"
        yield to.skipped(reason, fix=f"give at least {round(1 / QUANTILE)} held-out rows of the same source")
        return
    own, other = nearest(made, train), nearest(held, train)
    bar = float(other.distance.quantile(QUANTILE))
    exact = own.distance <= 1e-9
    yield to.share("memorised_exact", exact, note=_places("equal to training rows", exact, own.place))
    near = own.distance < bar
    note = _places(f"nearer to a training row than {1 - QUANTILE:.0%} of held-out rows are", near, own.place)
    yield to.share("memorised_near", near, note=note)
    yield to.share("memorised_near", other.distance < bar, role="control", note="held-out rows by the same measure")
    yield to.figure(
        "memorisation_auc",
        area(-own.distance, -other.distance, to.level),
        len(made) + len(held),
        "delong",
        unit="area",
        note="generated rows lie nearer to training rows than held-out rows do; 0.5 is neither",
    )


def examine_texts(
    name: str,
    made: Sequence[str],
    train: Sequence[str],
    held: Sequence[str],
    threat: Threat,
    *,
    stamp: Stamp,
    seed: int = 0,
) -> Iterator[Entry]:
    """Look for training texts in generated or retrieved ones, word for word.

    Yields memorised_exact, memorised_near, the same of held-out texts as controls (phrases that everybody writes), and
    the longest run of words repeated.
    """
    to = Recorder(RECIPE, name, threat, stamp, seed)
    if not made or not train:
        yield to.skipped(f"{len(made)} generated and {len(train)} training texts are too few")
        return
    whole = {" ".join(text.split()) for text in train}
    found, others = shared(made, train), shared(held, train)
    exact = torch.tensor([" ".join(text.split()) in whole for text in made])
    places = torch.tensor([row.place for row in found])
    yield to.share("memorised_exact", exact, note=_places("equal to training texts", exact, places))
    near = torch.tensor([row.share >= COPIED for row in found])
    note = _places(f"with {COPIED:.0%} or more of their shingles in training texts", near, places)
    yield to.share("memorised_near", near, note=note)
    if others:
        hits = torch.tensor([row.share >= COPIED for row in others])
        yield to.share("memorised_near", hits, role="control", note="held-out texts by the same measure")
    longest = max(range(len(found)), key=lambda row: found[row].run)
    ratio = torch.tensor([row.run >= 50 for row in found])
    yield to.share(
        "memorised_50_words",
        ratio,
        role="diagnostic",
        note=f"50 words or more in a row; the longest run is {found[longest].run} words, in output {longest}",
    )


def _places(what: str, hits: torch.Tensor, place: torch.Tensor) -> str:
    """Name outputs and training records by index, never by value."""
    rows = hits.nonzero()[:, 0].tolist()[:NAMED]
    pairs = ", ".join(f"{row} ~ {int(place[row])}" for row in rows)
    return what + (f"; output ~ training record: {pairs}" if pairs else "")
