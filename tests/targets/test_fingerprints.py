"""Digests change with what was learned and with nothing else."""

import copy

import numpy as np
import torch
from sklearn.tree import DecisionTreeClassifier
from torch import nn

from hauberk.targets.fingerprints import of_object, of_state


def test_a_state_digest_is_of_every_value_and_name():
    net = nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2))
    twin = copy.deepcopy(net)
    assert of_state(net) == of_state(twin)
    twin[1].running_mean[0] = 1e-6
    assert of_state(net) != of_state(twin)
    assert of_state(nn.Sequential(nn.Linear(3, 2))) != of_state(nn.Linear(3, 2))
    assert of_state(net.double()) != of_state(copy.deepcopy(net).float())


def test_an_objects_digest_does_not_hang_on_identity_or_cycles():
    a, b = {"x": np.arange(3), "y": ["t", 1.5]}, {"y": ["t", 1.5], "x": np.arange(3)}
    assert of_object(a) == of_object(b)
    assert of_object(a) != of_object({**b, "x": np.arange(3) + 1})
    assert of_object(np.zeros(2)) != of_object(np.zeros((1, 2)))
    assert of_object(1) != of_object("1")
    loop: list = [1]
    loop.append(loop)
    assert of_object(loop).startswith("sha256:")


def test_trees_grown_alike_have_one_digest():
    x = np.random.default_rng(0).random((40, 3))
    y = (x[:, 0] > 0.5).astype(int)
    grown = [DecisionTreeClassifier(random_state=0, max_depth=depth).fit(x, y) for depth in (2, 2)]
    assert of_object(grown[0]) == of_object(grown[1])
    assert of_object(grown[0]) != of_object(DecisionTreeClassifier(random_state=0).fit(x, 1 - y))


def test_bfloat16_weights_have_a_digest():
    assert of_state(nn.Linear(2, 2).to(torch.bfloat16)).startswith("sha256:")
