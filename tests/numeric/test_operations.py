"""A recording holds the operations on the example, in order, and nothing of the compiler is imported for it."""

from __future__ import annotations

import subprocess
import sys

import torch
from torch import nn

from hauberk.numeric.operations import EXAMPLE, Result, recorded


class _Written(nn.Module):
    """Arithmetic with constants, in place, and a branch."""

    def __init__(self, body) -> None:
        super().__init__()
        self.body = body
        self.register_buffer("shift", torch.ones(3))

    def forward(self, x):
        return self.body(self, x)


def _names(body) -> list[str]:
    return [call.name for call in recorded(_Written(body), torch.rand(2, 3)).calls]


def test_only_what_depends_on_the_example_is_recorded() -> None:
    recording = recorded(_Written(lambda net, x: (net.shift * 2 + 1) * x), torch.rand(2, 3))
    (call,) = recording.calls
    assert call.name == "mul"
    assert torch.equal(call.args[0], torch.full((3,), 3.0))
    assert call.args[1] == Result(EXAMPLE)
    assert recording.answer == Result(0)


def test_writing_in_place_is_named_as_its_twin_and_gives_the_new_value() -> None:
    def body(net, x):
        total = torch.zeros(2, 3)
        total += x
        return total.relu_()

    recording = recorded(_Written(body), torch.rand(2, 3))
    assert [call.name for call in recording.calls] == ["add", "relu"]
    assert recording.calls[1].args == (Result(0),)
    assert recording.answer == Result(1)


def test_a_branch_on_a_value_shows() -> None:
    assert "_local_scalar_dense" in _names(lambda net, x: x if float(x.sum()) > 0 else -x)


def test_a_later_result_of_an_operation_has_its_index() -> None:
    recording = recorded(_Written(lambda net, x: x.max(1)[1] + x.max(1)[0]), torch.rand(2, 3))
    assert recording.calls[-1].args == (Result(0, 1), Result(1, 0))


def test_results_in_lists_are_found() -> None:
    recording = recorded(_Written(lambda net, x: torch.cat([net.shift.expand(2, 3), x * 2])), torch.rand(2, 3))
    assert recording.calls[-1].results() == {Result(0)}


def test_an_answer_that_does_not_depend_is_itself() -> None:
    recording = recorded(_Written(lambda net, x: net.shift), torch.rand(2, 3))
    assert recording.calls == ()
    assert torch.equal(recording.answer, torch.ones(3))


def test_tracing_imports_no_compiler() -> None:
    code = (
        "import sys, torch; from hauberk.numeric.operations import recorded;"
        "recorded(torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.ReLU()), torch.ones(2, 3));"
        "print([name for name in ('torch._dynamo', 'sympy') if name in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
