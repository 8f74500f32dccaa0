"""Band votes: what a band shows, how many a sticker reaches, and a certificate that holds for any change of votes."""

from __future__ import annotations

import itertools

import pytest
import torch

from hauberk.numeric.patch_smoothing import bands, safe, touched, votes


def test_bands_show_their_columns_and_wrap_round():
    image = torch.arange(4.0).reshape(1, 1, 1, 4) + 1
    shown = bands(image, 2, 0.0)[0, :, 0, 0]
    assert shown.tolist() == [[1, 2, 0, 0], [0, 2, 3, 0], [0, 0, 3, 4], [1, 0, 0, 4]]


@pytest.mark.parametrize(("patch", "width"), list(itertools.product((1, 2, 3), (1, 2, 4))))
def test_a_sticker_reaches_no_more_bands_than_counted(patch, width):
    columns = 8
    image = torch.zeros(1, 1, 2, columns)
    most = 0
    for place in range(columns - patch + 1):
        other = image.clone()
        other[..., place : place + patch] = 1.0
        changed = (bands(image, width, 0.0) != bands(other, width, 0.0)).flatten(2).any(2)
        most = max(most, int(changed.sum()))
    assert most == touched(patch, width, columns)


def test_votes_may_be_several_or_none():
    scores = torch.tensor([[[0.5, 0.4, 0.1], [0.2, 0.2, 0.2], [0.9, 0.05, 0.05]]])
    assert votes(scores, 0.3).tolist() == [[2, 1, 0]]


def test_safe_is_true_exactly_where_no_change_of_votes_turns_the_winner():
    """Exhaustive over 3 classes and up to 6 votes each: the worst change takes `reach` votes and gives `reach`."""
    for row in itertools.product(range(7), repeat=3):
        counted = torch.tensor([row])
        winner = row.index(max(row))
        for reach in (0, 1, 2):
            turned = False
            for rival in range(3):
                if rival != winner:
                    own, other = row[winner] - reach, row[rival] + reach
                    turned |= other > own or (other == own and rival < winner)
            assert bool(safe(counted, reach)[0]) is not turned, (row, reach)
