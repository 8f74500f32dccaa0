"""Frame saliency: the frame that matters is the one that changes, and more are opened only where one is not enough."""

import pytest
import torch
from torch import nn

from hauberk.attacks.evasion.frame_saliency import FrameSaliency
from hauberk.core.errors import UsageError
from hauberk.core.threat import Ball, Threat

LINF = Threat(name="t", ball=Ball("linf", 0.2))


class Third(nn.Module):
    """Looks at the third of four frames, and a little at the first."""

    def forward(self, x):
        frames = x.reshape(len(x), 4, -1).mean(2)
        score = frames[:, 2] + 0.1 * frames[:, 0] - 0.5
        return torch.stack((-score, score), 1)


@pytest.mark.parametrize(("shape", "channels"), [((4, 3, 5, 5), 1), ((12, 5, 5), 3)])
def test_the_salient_frame_changes_first_and_alone_where_it_is_enough(make_plain, rng, shape, channels):
    target = make_plain(Third(), shape, 2)
    x = torch.rand(10, *shape, generator=rng) * 0.2 + 0.3
    y = target.predict(x).argmax(1)
    found = FrameSaliency(channels=channels).run(target, x, y, LINF, rng)
    changed = (found != x).reshape(10, 4, -1).any(2)
    assert bool((target.predict(found).argmax(1) != y).all())
    assert bool(changed[:, 2].all())
    assert not bool(changed[:, [0, 1, 3]].any())


def test_the_next_frame_is_opened_where_one_is_not_enough(make_plain, rng):
    target = make_plain(Third(), (4, 3, 5, 5), 2)
    x = torch.full((3, 4, 3, 5, 5), 0.265)
    y = target.predict(x).argmax(1)
    found = FrameSaliency().run(target, x, y, LINF, rng)
    changed = (found != x).reshape(3, 4, -1).any(2)
    assert bool((target.predict(found).argmax(1) != y).all())
    assert changed.tolist() == [[True, False, True, False]] * 3


def test_frames_that_do_not_fit_are_refused(make_plain, rng):
    with pytest.raises(UsageError, match="no frames of 3 channels"):
        FrameSaliency(channels=3).run(
            make_plain(Third(), (4, 5, 5), 2), torch.rand(1, 4, 5, 5), torch.tensor([0]), LINF, rng
        )
