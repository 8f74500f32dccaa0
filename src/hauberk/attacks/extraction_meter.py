"""What a theft has paid for: answers counted against the budget, remembered, and kept for a run that goes on."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from hashlib import blake2b

import msgspec
import numpy as np
import torch

from hauberk.attacks.recording import batches
from hauberk.core.encoding import canonical
from hauberk.core.errors import BudgetSpent
from hauberk.core.evidence import Checkpoint, Entry, Provenance
from hauberk.core.protocols import Target, TargetSpec


class Kept(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Answers as a checkpoint holds them: hex digests of inputs, and base64 of float32 rows (n, width)."""

    keys: tuple[str, ...]
    rows: str
    width: int


def kept(paid: dict[bytes, torch.Tensor], known: int = 0) -> Kept:
    """Put answers, but for the first `known`, into a record."""
    fresh = list(paid.items())[known:]
    rows = torch.stack([answer for _, answer in fresh]).float().numpy() if fresh else np.zeros((0, 1), np.float32)
    return Kept(tuple(key.hex() for key, _ in fresh), base64.b64encode(rows.tobytes()).decode(), rows.shape[1])


def _recalled(state: str) -> dict[bytes, torch.Tensor]:
    """Read answers back; nothing from a damaged state, whose inputs are asked for anew."""
    try:
        record = msgspec.json.decode(state, type=Kept)
        flat = np.frombuffer(base64.b64decode(record.rows, validate=True), dtype=np.float32)
        rows = torch.from_numpy(flat.reshape(len(record.keys), record.width).copy())
        return dict(zip((bytes.fromhex(key) for key in record.keys), rows, strict=True))
    except (ValueError, msgspec.DecodeError):
        return {}


@dataclass(slots=True)
class Account:
    """What thefts of one run have paid for, and where it is kept: `step` keys the checkpoints; empty for nowhere."""

    step: str = ""
    paid: dict[bytes, torch.Tensor] = field(default_factory=dict)
    part: int = 0
    saved: int = 0

    @classmethod
    def resumed(cls, step: str, states: Mapping[int, str]) -> Account:
        """Open the account of a run that goes on from the checkpoints `states`."""
        paid: dict[bytes, torch.Tensor] = {}
        for part in sorted(states):
            paid |= _recalled(states[part])
        return cls(step, paid, max(states, default=-1) + 1, len(paid))

    def checkpoint(self, provenance: Provenance) -> Iterator[Entry]:
        """Keep the answers that came since the last checkpoint."""
        if not self.step or len(self.paid) == self.saved:
            return
        state = canonical(kept(self.paid, self.saved)).decode()
        yield Checkpoint(step=self.step, part=self.part, state=state, provenance=provenance)
        self.part, self.saved = self.part + 1, len(self.paid)


class Metered:
    """A target that counts: it answers at most `budget` inputs, and remembers answers in `paid`.

    An input asked again by the same thief costs him again, but the target is spared: `paid` is shared between thieves
    of one run, so that the points of a curve cost no further queries of a remote model.
    """

    def __init__(self, target: Target, budget: int | None, paid: dict[bytes, torch.Tensor]) -> None:
        self._target, self._budget, self._paid = target, budget, paid
        self.spent = 0

    @property
    def spec(self) -> TargetSpec:
        """What the target is."""
        return self._target.spec

    def predict(self, x: torch.Tensor) -> torch.Tensor:
        """Answer and count; raises BudgetSpent, before anything is asked, where the budget does not suffice."""
        if self._budget is not None and self.spent + len(x) > self._budget:
            raise BudgetSpent(
                f"the attack asked for {self.spent + len(x)} answers, its budget is {self._budget}",
                fix="raise the threat's queries, or mend the attack",
            )
        self.spent += len(x)
        keys = [blake2b(row.numpy().tobytes(), digest_size=16).digest() for row in x.detach().cpu().contiguous()]
        fresh = [index for index, key in enumerate(keys) if key not in self._paid]
        for part in batches(torch.tensor(fresh, dtype=torch.long)):
            for index, answer in zip(part.tolist(), self._target.predict(x[part]), strict=True):
                self._paid[keys[index]] = answer
        return torch.stack([self._paid[key] for key in keys]) if keys else self._target.predict(x)
