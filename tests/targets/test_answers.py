"""What a model gives back is read as scores, or refused with the input it is refused for."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from hauberk.core.errors import TargetOutput
from hauberk.targets.answers import Form, read

WHERE = "model m"


def test_kinds_of_answers_are_learned():
    logits = read(torch.tensor([[1.0, 3.0], [2.0, -1.0]]), 2, Form(), WHERE)
    assert logits.form == Form(2, "logits")
    probabilities = read(np.array([[0.2, 0.8], [0.5, 0.5]]), 2, Form(), WHERE)
    assert probabilities.form == Form(2, "probabilities")
    assert probabilities.scores.dtype == torch.float32
    labels = read([1, 0], 2, Form(guess=3), WHERE)
    assert labels.form.answers == "labels"
    assert labels.scores.tolist() == [[0, 1, 0], [1, 0, 0]]


def test_names_are_labels_where_the_names_are_known():
    reading = read(["dog", "cat"], 2, Form(labels=("cat", "dog")), WHERE)
    assert reading.scores.argmax(1).tolist() == [1, 0]


def test_one_column_is_widened_where_its_meaning_is_said():
    probability = read(torch.tensor([[0.25], [1.0]]), 2, Form(answers="probabilities"), WHERE).scores
    assert probability.tolist() == [[0.75, 0.25], [0.0, 1.0]]
    logit = read(torch.tensor([2.0, -2.0]), 2, Form(answers="logits"), WHERE).scores
    assert torch.allclose(logit.softmax(1)[:, 1], torch.sigmoid(torch.tensor([2.0, -2.0])))


@pytest.mark.parametrize(
    ("raw", "form", "message"),
    [
        (torch.tensor([[1.0, 2.0], [1.0, torch.nan], [1.0, 2.0]]), Form(), r"NaN to input 101 \(1 of 3"),
        (torch.tensor([[1.0, torch.inf], [1.0, 0.0], [1.0, 2.0]]), Form(), "infinity to input 100"),
        (torch.ones(2, 2), Form(), r"answered shape \(2, 2\) to 3 inputs"),
        (torch.ones(3, 2, 4, 4), Form(), r"answered shape \(3, 2, 4, 4\)"),
        (torch.ones(3, 2), Form(classes=10), "gave 2 scores an input, expected 10"),
        (torch.ones(3, 0), Form(), "gave no score"),
        (torch.rand(3, 1), Form(), "one column"),
        (torch.ones(3), Form(), "one column"),
        ((torch.ones(3, 2),), Form(), r"a tuple of 1[\s\S]*return the scores alone"),
        ({"logits": torch.ones(3, 2)}, Form(), "a dict of 1"),
        (None, Form(), "NoneType, not with a tensor"),
        ("cat", Form(), "str, not with a tensor"),
        (3.5, Form(), "float, not with a tensor"),
        ([[1.0, 2.0], [1.0], [1.0, 2.0]], Form(), "different lengths"),
        ([object()] * 3, Form(), "array of object"),
        (["cat", "dgo", "dog"], Form(labels=("cat", "dog")), 'label "dgo"[\\s\\S]*"dog"'),
        (["cat", "dog", "dog"], Form(), 'label "cat"[\\s\\S]*model.labels'),
        (torch.tensor([0, 3, 1]), Form(classes=3), r"answered 3 to input 101[\s\S]*0 to 2"),
        (torch.tensor([0.0, 0.5, 1.0]), Form(classes=3, answers="labels"), r"answered 0.5 to input 101"),
        (torch.tensor([0, 1, 1]), Form(), "number of classes is not known"),
        (torch.ones(3, 2), Form(answers="probabilities"), r"input 100 with no probabilities \(their sum is 2\)"),
        (torch.ones(3, 2, dtype=torch.complex64), Form(), "complex"),
    ],
)
def test_what_cannot_be_scores_is_refused(raw, form, message):
    with pytest.raises(TargetOutput, match=message):
        read(raw, 3, form, WHERE, first=100)


@given(st.integers(1, 6), st.integers(2, 5), st.randoms(use_true_random=False))
def test_good_scores_pass_unchanged(n, classes, random):
    scores = torch.tensor([[random.uniform(-9, 9) for _ in range(classes)] for _ in range(n)])
    assert torch.equal(read(scores.numpy(), n, Form(classes, "logits"), WHERE).scores, scores)


def test_large_finite_scores_are_not_taken_for_infinity():
    scores = torch.full((2, 4), 3e38)
    assert torch.equal(read(scores, 2, Form(), WHERE).scores, scores)
