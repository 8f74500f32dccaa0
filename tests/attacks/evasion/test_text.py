"""Attacks on text: a bag of words whose optimum is known, and a small net that tells manuals from data descriptions."""

from __future__ import annotations

import pydoc_data.topics
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import sklearn.datasets
import torch
from torch import nn

from hauberk.attacks.evasion.hotflip import HotFlip
from hauberk.attacks.evasion.text_substitution import TextSubstitution
from hauberk.attacks.vocabulary import Vocabulary, misspelt, near, read, slips
from hauberk.core.errors import DataError, MissingPower, UsageError
from hauberk.core.project import DataSection
from hauberk.core.threat import Ball, Threat
from hauberk.datasets.opening import open_dataset
from hauberk.targets import from_torch

LENGTH = 24


def few(k, queries=None, target_class=None):
    return Threat(name="words", ball=Ball("l0", k), queries=queries, target_class=target_class)


class Bag(nn.Module):
    """A mean of word vectors and a linear layer: the margin is a sum over positions."""

    def __init__(self, tokens=30, wide=6, classes=2, seed=0):
        super().__init__()
        rng = torch.Generator().manual_seed(seed)
        self.embedding = nn.Embedding(tokens, wide)
        self.out = nn.Linear(wide, classes)
        with torch.no_grad():
            self.embedding.weight.copy_(torch.randn(tokens, wide, generator=rng))
            self.out.weight.copy_(torch.randn(classes, wide, generator=rng))

    def forward(self, x):
        return self.out(self.embedding(x.long()).mean(1))


def bag(classes=2):
    target = from_torch(Bag(classes=classes), bounds=(0, 29), shape=(7,), classes=classes)
    x = torch.randint(1, 30, (40, 7), generator=torch.Generator().manual_seed(1)).float()
    return target, x, target.predict(x).argmax(1)


def lead(target, x, y):
    scores = target.predict(x)
    own = scores.gather(1, y.unsqueeze(1)).squeeze(1)
    return scores.scatter(1, y.unsqueeze(1), -torch.inf).amax(1) - own


def test_hotflip_finds_every_text_that_k_exchanges_can_break(rng):
    target, x, y = bag()
    weight = target.module().net
    one = weight.embedding.weight @ (weight.out.weight[1] - weight.out.weight[0])
    value = ((1 - 2 * y.float()).unsqueeze(1) * one).detach()  # what a token adds to the error's lead, times the length
    own = value.gather(1, x.long())
    best = value[:, 1:].amax(1, keepdim=True)  # token 0 is padding
    shares = []
    for k in (1, 2, 3):
        gain = (best - own).sort(1, descending=True).values[:, :k].sum(1) / 7
        breakable = lead(target, x, y) + gain > 1e-5
        found = HotFlip().run(target, x, y, few(k), rng)
        assert torch.equal(target.predict(found).argmax(1) != y, breakable)
        assert int((found != x).sum(1).max()) <= k
        shares.append(int(breakable.sum()))
    assert 0 < shares[0] < shares[1] <= 40


def test_hotflip_reaches_a_wanted_class(rng):
    target, x, y = bag(classes=4)
    found = HotFlip().run(target, x, y, few(7, target_class=2), rng)
    assert (target.predict(found).argmax(1) == 2).float().mean() > 0.9


def test_hotflip_leaves_padding_alone_and_writes_none(rng):
    target, x, _ = bag()
    x[:, 4:] = 0
    found = HotFlip().run(target, x, target.predict(x).argmax(1), few(7), rng)
    assert torch.equal(found[:, 4:], x[:, 4:])
    assert not (found[:, :4] == 0).any()


def test_hotflip_only_writes_tokens_the_target_has(rng):
    target = from_torch(Bag(tokens=50), bounds=(0, 29), shape=(7,), classes=2)
    x = torch.randint(1, 30, (40, 7), generator=rng).float()
    found = HotFlip().run(target, x, target.predict(x).argmax(1), few(7), rng)
    assert (found != x).any()
    assert float(found.max()) <= 29


def test_hotflip_only_writes_what_is_similar(rng):
    target, x, y = bag()
    table = target.module().net.embedding.weight.detach()
    unit = nn.functional.normalize(table, dim=1)
    found = HotFlip(similarity=0.3).run(target, x, y, few(7), rng)
    changed = found != x
    cosine = (unit[found.long()] * unit[x.long()]).sum(2)
    assert changed.any()
    assert float(cosine[changed].min()) >= 0.3 - 1e-6


def test_hotflip_says_what_it_cannot_do(rng):
    target, x, y = bag()
    with pytest.raises(UsageError, match="l0"):
        HotFlip().run(target, x, y, Threat(name="t", ball=Ball("linf", 0.1)), rng)
    with pytest.raises(UsageError, match=r"there are: net\.embedding"):
        HotFlip(embedding="nowhere").run(target, x, y, few(2), rng)

    class Asked:
        spec, predict = target.spec, staticmethod(target.predict)

    with pytest.raises(MissingPower, match="no torch module"):
        HotFlip().run(Asked(), x, y, few(2), rng)


@dataclass
class Corpus:
    """Passages of two kinds of real text, as ids; a net that tells them apart; word vectors from the same text."""

    target: object
    x: torch.Tensor
    y: torch.Tensor
    vocabulary: Vocabulary


def passages():
    descriptions = sorted((Path(sklearn.datasets.__file__).parent / "descr").glob("*.rst"))
    kinds = ["\n".join(pydoc_data.topics.topics.values()), "\n".join(path.read_text() for path in descriptions)]
    words = [re.findall("[a-z]+", text.lower())[: 24 * 500] for text in kinds]
    return [
        (kind[i : i + LENGTH], label)
        for label, kind in enumerate(words)
        for i in range(0, len(kind) // LENGTH * LENGTH, LENGTH)
    ]


def vectors(ids, tokens):
    """Word vectors by the singular vectors of positive pointwise mutual information in a window of 4 words."""
    counts = np.zeros((tokens, tokens))
    for gap in range(1, 5):
        np.add.at(counts, (ids[:, :-gap].ravel(), ids[:, gap:].ravel()), 1)
    counts += counts.T
    counts[0] = counts[:, 0] = 0
    share = counts / counts.sum()
    row = share.sum(1, keepdims=True)
    mutual = np.log(np.maximum(share / np.maximum(row * row.T, 1e-12), 1))
    left, size, _ = np.linalg.svd(mutual, full_matrices=False)
    return torch.from_numpy((left[:, :50] * np.sqrt(size[:50])).astype(np.float32))


@pytest.fixture(scope="module")
def corpus():
    texts = passages()
    counted: dict[str, int] = {}
    for part, _ in texts:
        for word in part:
            counted[word] = counted.get(word, 0) + 1
    words = ("", "<unknown>", *sorted(counted, key=lambda word: -counted[word])[:798])
    ids = {word: index for index, word in enumerate(words)}
    x = torch.tensor([[ids.get(word, 1) for word in part] for part, _ in texts]).float()
    y = torch.tensor([label for _, label in texts])
    order = torch.randperm(len(x), generator=torch.Generator().manual_seed(0))
    x, y = x[order], y[order]
    known = len(x) - 200
    with torch.random.fork_rng():
        torch.manual_seed(0)
        net = Convolved(len(words))
        optimizer = torch.optim.Adam(net.parameters(), lr=3e-3)
        for step in range(240):
            rows = torch.arange(64) + 64 * step
            optimizer.zero_grad()
            nn.functional.cross_entropy(net(x[rows % known]), y[rows % known]).backward()
            optimizer.step()
    target = from_torch(net, bounds=(0, len(words) - 1), shape=(LENGTH,), classes=2)
    test, labels = x[known:], y[known:]
    right = target.predict(test).argmax(1) == labels
    assert right.float().mean() > 0.85
    vocabulary = Vocabulary(words, vectors(x.long().numpy(), len(words)))
    return Corpus(target, test[right][:100], labels[right][:100], vocabulary)


class Convolved(nn.Module):
    def __init__(self, tokens):
        super().__init__()
        self.embedding = nn.Embedding(tokens, 24)
        self.convolution = nn.Conv1d(24, 32, 3, padding=1)
        self.out = nn.Linear(32, 2)

    def forward(self, x):
        seen = self.convolution(self.embedding(x.long()).transpose(1, 2)).relu()
        return self.out(seen.amax(2))


def broken(corpus, found):
    return (corpus.target.predict(found).argmax(1) != corpus.y).float().mean().item()


def test_on_real_text_gradients_beat_scores_and_scores_beat_chance(corpus, rng):
    threat = few(3)
    gradient = broken(corpus, HotFlip().run(corpus.target, corpus.x, corpus.y, threat, rng))
    anything = broken(corpus, TextSubstitution(queries=500).run(corpus.target, corpus.x, corpus.y, threat, rng))
    chance = torch.where(
        torch.rand(corpus.x.shape, generator=rng).argsort(1) < 3,
        torch.randint(2, 800, corpus.x.shape, generator=rng).float(),
        corpus.x,
    )
    assert gradient >= anything > broken(corpus, chance) + 0.2
    assert gradient > 0.65


def test_synonyms_are_near_and_few(corpus, rng):
    attack = TextSubstitution(vocabulary=corpus.vocabulary, similarity=0.4)
    found = attack.run(corpus.target, corpus.x, corpus.y, few(6), rng)
    unit = nn.functional.normalize(corpus.vocabulary.vectors, dim=1)
    changed = found != corpus.x
    cosine = (unit[found.long()] * unit[corpus.x.long()]).sum(2)
    assert float(cosine[changed].min()) >= 0.4 - 1e-5
    assert int(changed.sum(1).max()) <= 6
    assert broken(corpus, found) > 0.3
    stricter = TextSubstitution(vocabulary=corpus.vocabulary, similarity=0.95)
    assert broken(corpus, stricter.run(corpus.target, corpus.x, corpus.y, few(6), rng)) < broken(corpus, found)


def test_typos_only_write_slips_of_the_word(corpus, rng):
    attack = TextSubstitution(vocabulary=corpus.vocabulary, edits="typos")
    found = attack.run(corpus.target, corpus.x, corpus.y, few(6), rng)
    words = corpus.vocabulary.words
    changed = (found != corpus.x).nonzero()
    assert len(changed) > 20
    for row, place in changed.tolist():
        old, new = words[int(corpus.x[row, place])], words[int(found[row, place])]
        assert new == "<unknown>" or new in set(slips(old))
    assert broken(corpus, found) > 0.3


def test_the_queries_are_kept_and_the_seed_decides(corpus):
    class Counting:
        spec, asked = corpus.target.spec, 0

        def predict(self, x):
            self.asked += len(x)
            return corpus.target.predict(x)

    counting, x, y = Counting(), corpus.x[:20], corpus.y[:20]
    for queries in (1, 2, 7, 60):
        counting.asked = 0
        first = TextSubstitution().run(counting, x, y, few(4, queries), torch.Generator().manual_seed(3))
        assert 0 < counting.asked <= queries * 20
        assert torch.equal(
            first, TextSubstitution().run(counting, x, y, few(4, queries), torch.Generator().manual_seed(3))
        )


def test_near_words_are_the_nearest():
    table = torch.tensor([[1.0, 0.0], [0.9, 0.1], [0.0, 1.0], [-1.0, 0.0]])
    assert near(table, 2, 0.5).tolist() == [[1, 0], [0, 1], [2, 2], [3, 3]]


def test_slips_keep_the_ends_and_become_words_where_they_are_some():
    words = ("", "<unknown>", "form", "from", "farm", "a", "s")
    found = misspelt(words, 3, unknown=1)
    assert set(found[2].tolist()) == {1, 3, 2}  # from by a swap, no word by others, and itself where there is no more
    assert set(found[5].tolist()) == {1, 6, 5}
    assert all(slip[0] == "f" and slip[-1] == "m" for slip in slips("form"))


def test_a_vocabulary_is_read_and_named_by_its_content(tmp_path):
    path = tmp_path / "words.npz"
    np.savez(path, words=np.array(["", "a"]), vectors=np.eye(2))
    known = read(str(path))
    assert known.words == ("", "a")
    assert repr(known) == repr(Vocabulary(("", "a"), torch.eye(2)))
    assert repr(known) != repr(Vocabulary(("", "b"), torch.eye(2)))
    with pytest.raises(DataError, match="no vocabulary"):
        read(str(tmp_path / "missing.npz"))
    with pytest.raises(DataError, match="2 words and 3 vectors"):
        Vocabulary(("", "a"), torch.eye(3))


def test_the_verb_attacks_texts_with_what_fits_them(corpus, tmp_path):
    import hauberk

    source = tmp_path / "texts.npz"
    np.savez(source, x=corpus.x.numpy(), y=corpus.y.numpy())
    section = DataSection(source=str(source), layout="tokens", test_share=1.0)
    data = open_dataset(section, tmp_path, bounds=corpus.target.spec.bounds)
    assert data.spec.layout == "tokens"
    for knowledge, name in (("white-box", "evasion.hotflip"), ("score", "evasion.text_substitution")):
        threat = Threat(name="words", knowledge=knowledge, ball=Ball("l0", 3), queries=300)
        report = hauberk.attack(corpus.target, data, threat, samples=40)
        stages = [row.note for row in report.evidence if getattr(row, "role", "") == "stage"]
        assert len(stages) == 1
        assert name in stages[0]
        assert not [row for row in report.evidence if getattr(row, "role", "") == "control"]
        headline = next(row for row in report.evidence if row.name == "robust_accuracy")
        assert headline.value < 0.75


def test_ids_are_whole_numbers(tmp_path):
    source = tmp_path / "texts.npz"
    np.savez(source, x=np.full((4, 3), 0.5), y=np.array([0, 1, 0, 1]))
    with pytest.raises(DataError, match="whole numbers"):
        open_dataset(DataSection(source=str(source), layout="tokens"), tmp_path)
