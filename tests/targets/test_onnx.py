"""ONNX files: onnxruntime answers, torch differentiates, and every odd graph gives a clear error or a note."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

from hauberk.core.errors import ProjectError
from hauberk.core.project import ModelSection
from hauberk.core.protocols import Differentiable, powers
from hauberk.targets.opening import open_target

RNG = np.random.default_rng(0)


def saved(path, nodes, weights, *, x=("n", 1, 8, 8), outputs=(("y", TensorProto.FLOAT),), inputs=("x",), opset=17):
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, list(x)) for name in inputs],
        [helper.make_tensor_value_info(name, kind, None) for name, kind in outputs],
        [numpy_helper.from_array(value, name) for name, value in weights.items()],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8), path)
    return path


def convolutional(path, **options):
    weights = {
        "k": RNG.normal(size=(4, 1, 3, 3)).astype(np.float32),
        "b": RNG.normal(size=4).astype(np.float32),
        "w": RNG.normal(size=(3, 4 * 16)).astype(np.float32),
        "c": RNG.normal(size=3).astype(np.float32),
    }
    nodes = [
        helper.make_node("Conv", ["x", "k", "b"], ["h1"], pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["h1"], ["h2"]),
        helper.make_node("MaxPool", ["h2"], ["h3"], kernel_shape=[2, 2], strides=[2, 2]),
        helper.make_node("Flatten", ["h3"], ["h4"]),
        helper.make_node("Gemm", ["h4", "w", "c"], ["y"], transB=1),
    ]
    return saved(path, nodes, weights, **options)


def opened(path, **keys):
    section = ModelSection(source=path.name, bounds=(0, 1), **keys)
    return open_target(section, path.parent, shape_hint=(1, 8, 8), classes_hint=keys.get("classes"))


def test_predicts_and_differentiates_alike(tmp_path):
    target = opened(convolutional(tmp_path / "net.onnx"))
    assert isinstance(target, Differentiable)
    assert powers(target) == {"scores", "gradients"}
    assert (target.spec.shape, target.spec.classes, target.spec.kind) == ((1, 8, 8), 3, "onnx")
    assert target.spec.digest.startswith("sha256:")
    x = torch.rand(9, 1, 8, 8, generator=torch.Generator().manual_seed(1)).requires_grad_()
    logits = target.forward(x)
    assert torch.allclose(logits.detach(), target.predict(x.detach()), atol=1e-4)
    (gradient,) = torch.autograd.grad(logits[:, 0].sum(), x)
    step = torch.zeros_like(x)
    step[:, 0, 4, 4] = 1e-3
    slope = (target.predict((x + step).detach()) - target.predict((x - step).detach()))[:, 0] / 2e-3
    assert torch.allclose(slope, gradient[:, 0, 4, 4], atol=5e-2)


def test_preprocessing_belongs_to_the_target(tmp_path):
    path = convolutional(tmp_path / "net.onnx")
    plain, normed = opened(path), opened(path, mean=(0.5,), std=(0.25,))
    x = torch.rand(3, 1, 8, 8)
    assert torch.allclose(normed.predict(x), plain.predict((x - 0.5) / 0.25), atol=1e-4)
    assert torch.allclose(normed.forward(x), normed.predict(x), atol=1e-4)


def test_a_fixed_batch_is_filled_up(tmp_path):
    path = convolutional(tmp_path / "net.onnx", x=(4, 1, 8, 8))
    target = opened(path)
    x = torch.rand(7, 1, 8, 8)
    assert torch.equal(target.predict(x)[:4], target.predict(x[:4]))
    assert torch.allclose(target.predict(x)[4:], target.predict(x[4:]), atol=1e-5)


def test_an_unknown_operator_leaves_prediction(tmp_path):
    nodes = [helper.make_node("Flatten", ["x"], ["f"]), helper.make_node("Hardmax", ["f"], ["y"])]
    target = opened(saved(tmp_path / "net.onnx", nodes, {}))
    assert not isinstance(target, Differentiable)
    assert any("Hardmax" in note for note in target.spec.notes)
    assert target.predict(torch.rand(2, 1, 8, 8)).shape == (2, 64)


def test_of_labels_and_probabilities_the_scores_are_taken(tmp_path):
    weights = {"w": RNG.normal(size=(64, 3)).astype(np.float32)}
    nodes = [
        helper.make_node("Flatten", ["x"], ["f"]),
        helper.make_node("MatMul", ["f", "w"], ["z"]),
        helper.make_node("ArgMax", ["z"], ["label"], axis=1, keepdims=0),
        helper.make_node("Softmax", ["z"], ["probabilities"], axis=1),
    ]
    outputs = (("label", TensorProto.INT64), ("probabilities", TensorProto.FLOAT))
    target = opened(saved(tmp_path / "net.onnx", nodes, weights, outputs=outputs))
    x = torch.rand(4, 1, 8, 8)
    assert target.spec.answers == "probabilities"
    assert torch.allclose(target.predict(x).sum(1), torch.ones(4), atol=1e-5)
    assert torch.allclose(target.forward(x).softmax(1), target.predict(x), atol=1e-5)


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda path: path.write_bytes(b"not a graph"), "cannot load"),
        (lambda path: path.write_bytes(convolutional(path.with_name("n2.onnx")).read_bytes()[:200]), "cannot load"),
        (lambda path: None, "no such file"),
        (
            lambda path: saved(path, [helper.make_node("Add", ["a", "b"], ["y"])], {}, inputs=("a", "b")),
            "2 inputs",
        ),
        (
            lambda path: saved(
                path,
                [helper.make_node("ArgMax", ["x"], ["y"], axis=1, keepdims=0)],
                {},
                outputs=(("y", TensorProto.INT64),),
            ),
            "scores",
        ),
    ],
)
def test_odd_files_give_a_clear_error(tmp_path, make, says):
    path = tmp_path / "odd.onnx"
    make(path)
    with pytest.raises(ProjectError, match=says):
        opened(path)


def test_telemetry_is_off_before_the_import(tmp_path):
    code = (
        "import os; os.environ.pop('ORT_DISABLE_TELEMETRY', None)\n"
        "from hauberk.targets.opening import open_target\nfrom hauberk.core.project import ModelSection\n"
        "from pathlib import Path\n"
        f"section, folder = ModelSection(source='net.onnx', bounds=(0, 1)), Path({str(tmp_path)!r})\n"
        "t = open_target(section, folder, shape_hint=(1, 8, 8))\n"
        "print(os.environ['ORT_DISABLE_TELEMETRY'], t.spec.classes)"
    )
    convolutional(tmp_path / "net.onnx")
    home = tmp_path / "home"
    home.mkdir()
    environment = {"HOME": str(home), "XDG_CACHE_HOME": str(home / "cache"), "PATH": "", "OMP_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["1", "3"]
    ours = home / "cache" / "hauberk"  # our own index of cards; onnxruntime must write nothing
    assert [path for path in home.rglob("*") if path.is_file() and not path.is_relative_to(ours)] == []
