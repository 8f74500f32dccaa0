"""Word substitution: replace the words a text's class hangs on by like ones or misspelt ones, by scores alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import torch

from hauberk.attacks.driver import ball_norm
from hauberk.attacks.inquiry import Inquiry
from hauberk.attacks.vocabulary import Vocabulary, misspelt, near, read
from hauberk.core.card import Card
from hauberk.core.errors import UsageError
from hauberk.core.protocols import Target
from hauberk.core.threat import Threat
from hauberk.numeric.active import take

Tensor = torch.Tensor

_RANKED = 0.4
"""Share of the budget spent at most on finding out which words matter."""
_LATER = 1e9
"""What nobody asked for ranks below every difference of scores."""


@dataclass(frozen=True, slots=True)
class Texts:
    """Texts still searched.

    rows: (n,) their places in the batch. clean, ids: (n, length) int64. lead: (n,) of the error at ids.
    order: (n, length) positions, the one that matters most first. idle: (n,) turns in a row that gained nothing.
    """

    rows: Tensor
    clean: Tensor
    ids: Tensor
    lead: Tensor
    order: Tensor
    idle: Tensor


@dataclass(frozen=True, slots=True)
class TextSubstitution:
    """Word substitution in the manner of TextFooler.

    queries: per sample, the first look at the clean text included; a threat's own budget goes before it.
    vocabulary: a Vocabulary, or the path of an .npz with `words` and `vectors`; without one any token may stand for
    any other, by chance. edits: "synonyms" by the vocabulary's vectors, "typos" by its spelling, or "both".
    candidates: replacements tried of a word at once. similarity: least cosine of a synonym. blank: the id of padding,
    never changed, and put where a word is left out to see what hangs on it. unknown: the id of what is no word.
    """

    card: ClassVar[Card] = Card(
        title="Word substitution",
        summary="Replaces the words that matter by synonyms or typos, by scores: a text model as outsiders attack it.",
        paper="Jin et al. 2020, arXiv:1907.11932 (TextFooler); typos: Gao et al. 2018, arXiv:1801.04354",
        needs=("scores",),
        norms=("l0",),
        inputs=("tokens",),
        threats=("AML.T0043", "AML.T0015", "OWASP-ML01"),
    )

    queries: int = 1000
    vocabulary: str | Vocabulary = ""
    edits: Literal["synonyms", "typos", "both"] = "synonyms"
    candidates: int = 16
    similarity: float = 0.5
    blank: int = 0
    unknown: int = 1

    def run(self, target: Target, x: Tensor, y: Tensor, threat: Threat, rng: torch.Generator) -> Tensor:
        """Return texts of x's shape (n, length) whose error leads most; a sample leaves once it is broken.

        Raises UsageError for a threat without an l0 ball and synonyms without vectors, DataError for a vocabulary that
        cannot be read.
        """
        ball_norm(threat, self.card.norms, "evasion.text_substitution")
        assert threat.ball is not None
        out, most, tokens = x.clone(), int(threat.ball.radius), int(target.spec.bounds[1]) + 1
        inquiry = Inquiry(target, x, y, threat, self.queries)
        table = self._table(tokens, x.device)
        if not len(x) or most < 1 or not inquiry.charge():
            return out
        rows = torch.arange(len(x), device=x.device)
        lead = inquiry.lead(x, rows)
        left = (lead <= 0).nonzero().squeeze(1)
        texts = self._ranked(x[left].long(), rows[left], lead[left], inquiry, rng)
        turn, width = 0, self.candidates if table is None else table.shape[1]
        while len(texts.rows) and (count := min(width, inquiry.left)) and inquiry.charge(count):
            fresh = _drawn(_place(texts, turn), texts, table, tokens, count, rng)
            fresh = torch.where(fresh == self.blank, texts.clean.gather(1, _place(texts, turn)), fresh)
            texts = self._turn(texts, turn, fresh, most, inquiry)
            out[texts.rows] = texts.ids.to(x)
            # A whole round through the text without gain repeats itself, unless candidates are drawn anew.
            going = (texts.lead <= 0) & ((texts.idle < x.shape[1]) if table is not None else texts.rows.ge(0))
            texts, turn = take(texts, going.nonzero().squeeze(1)), turn + 1
        return out

    def _table(self, tokens: int, device: torch.device) -> Tensor | None:
        """List what each token may become (v, k), nearest first; None where no vocabulary says so."""
        if self.vocabulary == "":
            return None
        words = self.vocabulary if isinstance(self.vocabulary, Vocabulary) else read(self.vocabulary)
        if len(words.words) != tokens:
            raise UsageError(f"a vocabulary of {len(words.words)} words for a target of {tokens} tokens")
        parts = []
        if self.edits != "typos":
            if words.vectors is None:
                raise UsageError("the vocabulary has no vectors to tell synonyms by", fix='edits = "typos"')
            parts.append(near(words.vectors, self.candidates, self.similarity))
        if self.edits != "synonyms":
            parts.append(misspelt(words.words, self.candidates, self.unknown))
        return torch.cat([part.to(device) for part in parts], 1)

    def _ranked(self, ids: Tensor, rows: Tensor, lead: Tensor, inquiry: Inquiry, rng: torch.Generator) -> Texts:
        """Order positions by what leaving their word out does (section 3, step 1), those not asked for last."""
        n, length = ids.shape
        still = ids == self.blank
        chance = torch.rand((n, length), generator=rng, device=rng.device).to(ids.device).double()
        gain = (chance - _LATER).masked_fill(still, -torch.inf)
        asked = min(length, int(_RANKED * inquiry.left))
        if n and asked and inquiry.charge(asked):
            place = gain.topk(asked, dim=1).indices
            points = ids.unsqueeze(1).repeat(1, asked, 1).scatter(2, place.unsqueeze(2), self.blank)
            found = inquiry.lead(points.float(), rows) - lead.unsqueeze(1)
            gain = gain.scatter(1, place, found.double()).masked_fill(still, -torch.inf)
        return Texts(rows, ids, ids, lead, gain.argsort(1, descending=True), torch.zeros_like(rows))

    def _turn(self, texts: Texts, turn: int, fresh: Tensor, most: int, inquiry: Inquiry) -> Texts:
        """Try what may stand at one position of each text, and keep the nearest that breaks, or else the best."""
        place = _place(texts, turn)
        now, own = texts.ids.gather(1, place), texts.clean.gather(1, place)
        full = ((texts.ids != texts.clean).sum(1, keepdim=True) >= most) & (now == own)
        worth = (fresh != now) & ~full & (own != self.blank)
        points = texts.ids.unsqueeze(1).repeat(1, fresh.shape[1], 1)
        points = points.scatter(2, place.unsqueeze(1).expand(-1, fresh.shape[1], 1), fresh.unsqueeze(2))
        lead = torch.full(fresh.shape, -torch.inf, device=fresh.device)
        row, column = worth.nonzero(as_tuple=True)
        lead[row, column] = inquiry.lead(points[row, column].float(), texts.rows[row])
        broken = lead > 0
        which = torch.where(broken.any(1), broken.float().argmax(1), lead.argmax(1))
        chosen = torch.arange(len(which), device=which.device)
        gained = lead[chosen, which] > texts.lead
        ids = torch.where(gained.unsqueeze(1), points[chosen, which], texts.ids)
        lead_now = torch.where(gained, lead[chosen, which], texts.lead)
        return Texts(texts.rows, texts.clean, ids, lead_now, texts.order, torch.where(gained, 0, texts.idle + 1))


def _drawn(place: Tensor, texts: Texts, table: Tensor | None, tokens: int, count: int, rng: torch.Generator) -> Tensor:
    """Choose what the words at these positions (n, 1) may become (n, count)."""
    own = texts.clean.gather(1, place)
    if table is not None:
        return table[own.squeeze(1)][:, :count]
    return torch.randint(0, tokens, (len(own), count), generator=rng, device=rng.device).to(own)


def _place(texts: Texts, turn: int) -> Tensor:
    """Return the position (n, 1) whose turn it is."""
    return texts.order[:, turn % texts.order.shape[1]].unsqueeze(1)
