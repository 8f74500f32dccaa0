"""Every ONNX operator that is known, held against onnxruntime on random inputs."""

from __future__ import annotations

import os

os.environ["ORT_DISABLE_TELEMETRY"] = "1"

import numpy as np
import onnxruntime
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

from hauberk.targets.onnx_module import OnnxModule, unsupported
from hauberk.targets.onnx_operators.attributes import Unsupported
from hauberk.targets.onnx_operators.table import OPERATORS

RNG = np.random.default_rng(0)
X = RNG.normal(size=(2, 4, 6, 6)).astype(np.float32)
POSITIVE = (np.abs(X) + 0.1).astype(np.float32)
UNIT = np.tanh(X).astype(np.float32) * 0.9
ROWS = RNG.normal(size=(3, 5)).astype(np.float32)
INTS = np.array([[7, -7, 5], [-5, 9, -9]], dtype=np.int64)


def i64(*values):
    return np.array(values, dtype=np.int64)


def f32(*values):
    return np.array(values, dtype=np.float32)


def weight(*shape):
    return RNG.normal(size=shape).astype(np.float32)


def case(operator, x=X, *others, opset=17, outputs=1, **attributes):
    """One node: its first input is fed, the others are initializers (None: left out)."""
    return pytest.param(
        operator, x, others, opset, outputs, attributes, id=f"{operator}-{opset}-{len(attributes)}-{outputs}"
    )


SAME = "Abs Ceil Cos Cosh Erf Exp Floor HardSwish Identity Neg Relu Round Sigmoid Sign Sin Sinh Softplus Softsign Tanh"
CASES = [
    *(case(name) for name in [*SAME.split(), "Elu", "Celu", "Selu", "HardSigmoid", "LeakyRelu", "ThresholdedRelu"]),
    *(case(name, UNIT) for name in ("Acos", "Asin", "Atan", "Tan")),
    *(case(name, POSITIVE) for name in ("Log", "Sqrt", "Reciprocal")),
    case("Mish", opset=18),
    case("Elu", alpha=0.7),
    case("HardSigmoid", alpha=0.3, beta=0.4),
    case("Gelu", opset=20),
    case("Gelu", opset=20, approximate="tanh"),
    case("Clip", X, f32(-0.5).reshape(()), f32(0.5).reshape(())),
    case("Clip", X, None, f32(0.5).reshape(())),
    case("Clip", X, opset=6, min=-0.3, max=0.4),
    case("IsNaN"),
    case("IsInf"),
    case("Dropout"),
    *(case(name, X, weight(4, 1, 1)) for name in ("Add", "Sub", "Mul", "Div", "PRelu", "Max", "Min", "Sum", "Mean")),
    case("Div", INTS, i64(2, 2, 2)),
    case("Mod", INTS, i64(3, 3, 3)),
    case("Mod", X, np.full((1,), 0.7, np.float32), fmod=1),
    case("Pow", POSITIVE, f32(1.7)),
    *(case(name, INTS, i64(7, 9, -9)) for name in ("Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual")),
    *(case(name, INTS > 0, np.array([True, False, True])) for name in ("And", "Or", "Xor")),
    case("Not", INTS > 0),
    case("Where", INTS > 0, np.float32(1.0), np.float32(2.0)),
    case("Cast", INTS, to=TensorProto.FLOAT),
    case("Cast", X, to=TensorProto.INT64),
    case("CastLike", INTS, f32(0.0)),
    case("QuantizeLinear", X, f32(0.05).reshape(()), np.array(3, np.uint8)),
    case("DequantizeLinear", np.arange(12, dtype=np.uint8).reshape(3, 4), f32(0.05).reshape(()), np.array(3, np.uint8)),
    case(
        "DequantizeLinear", np.arange(12, dtype=np.int8).reshape(3, 4), f32(0.1, 0.2, 0.3), np.zeros(3, np.int8), axis=0
    ),
    case("MatMul", ROWS, weight(5, 4)),
    case("Gemm", ROWS, weight(5, 4), weight(4)),
    case("Gemm", ROWS, weight(4, 5), weight(4), transB=1),
    case("Gemm", ROWS, weight(3, 4), weight(4), transA=1, alpha=0.5, beta=2.0),
    case("Einsum", ROWS, weight(5, 4), equation="ij,jk->ik"),
    case("Conv", X, weight(8, 4, 3, 3), weight(8), pads=[1, 1, 1, 1]),
    case("Conv", X, weight(8, 4, 3, 3), pads=[0, 1, 1, 2], strides=[2, 1]),
    case("Conv", X, weight(4, 1, 3, 3), group=4, dilations=[2, 2]),
    case("Conv", X, weight(8, 4, 3, 3), auto_pad="SAME_UPPER", strides=[2, 2]),
    case("Conv", X, weight(8, 4, 2, 2), auto_pad="SAME_LOWER"),
    case("Conv", X, weight(8, 4, 3, 3), auto_pad="VALID"),
    case("Conv", X[:, :, 0], weight(8, 4, 3)),
    case("Conv", X[:, None], weight(2, 1, 2, 2, 2)),
    case("ConvTranspose", X, weight(4, 3, 3, 3), weight(3), strides=[2, 2], pads=[1, 1, 1, 1], output_padding=[1, 1]),
    case("MaxPool", kernel_shape=[2, 2], strides=[2, 2]),
    case("MaxPool", kernel_shape=[3, 3], pads=[1, 1, 1, 1]),
    case("MaxPool", kernel_shape=[3, 3], pads=[0, 0, 1, 1], strides=[2, 2]),
    case("MaxPool", kernel_shape=[3, 3], strides=[2, 2], ceil_mode=1),
    case("AveragePool", kernel_shape=[2, 2], strides=[2, 2]),
    case("AveragePool", kernel_shape=[3, 3], pads=[1, 1, 1, 1]),
    case("AveragePool", kernel_shape=[3, 3], pads=[1, 1, 1, 1], count_include_pad=1),
    case("GlobalAveragePool"),
    case("GlobalMaxPool"),
    case("BatchNormalization", X, weight(4), weight(4), weight(4), np.abs(weight(4)) + 0.5),
    case("InstanceNormalization", X, weight(4), weight(4)),
    case("LayerNormalization", X, weight(6), weight(6)),
    case("LayerNormalization", X, weight(4, 6, 6), axis=1),
    case("GroupNormalization", X, weight(4), weight(4), opset=21, num_groups=2),
    case("LRN", size=3, alpha=0.01),
    case("Pad", X, i64(0, 0, 1, 2, 0, 0, 3, 1)),
    case("Pad", X, i64(0, 1, 0, 0, 0, 1, 0, 0), f32(2.5).reshape(())),
    case("Pad", X, i64(0, 0, 1, 2, 0, 0, 1, 1), mode="reflect"),
    case("Pad", X, i64(0, 0, 1, 2, 0, 0, 1, 1), mode="edge"),
    case("Pad", X, opset=2, pads=[0, 0, 1, 1, 0, 0, 1, 1]),
    case("Resize", X, None, f32(1, 1, 2, 2), coordinate_transformation_mode="asymmetric", nearest_mode="floor"),
    case("Resize", X, None, None, i64(2, 4, 9, 12), mode="linear"),
    case("Resize", X, None, None, i64(2, 4, 9, 12), mode="linear", coordinate_transformation_mode="align_corners"),
    case("Upsample", X, f32(1, 1, 2, 2), opset=9),
    case("DepthToSpace", blocksize=2),
    case("DepthToSpace", blocksize=2, mode="CRD"),
    case("SpaceToDepth", blocksize=2),
    *(
        case(name, POSITIVE, opset=11, axes=[1, 3], keepdims=keep)
        for name in ("ReduceL1", "ReduceL2", "ReduceLogSum", "ReduceLogSumExp", "ReduceMax", "ReduceMean", "ReduceMin")
        for keep in (0, 1)
    ),
    *(
        case(name, POSITIVE, opset=11, axes=[1, 3], keepdims=0)
        for name in ("ReduceProd", "ReduceSum", "ReduceSumSquare")
    ),
    case("ReduceSum", X, i64(1, 2)),
    case("ReduceMean", X, i64(-1), opset=18),
    case("ReduceMean"),
    *(case(name, X, axis=2, keepdims=0) for name in ("ArgMax", "ArgMin")),
    *(case(name, X, axis=1) for name in ("Softmax", "LogSoftmax")),
    *(case(name, X, opset=11, axis=1) for name in ("Softmax", "LogSoftmax")),
    case("TopK", X, i64(3), outputs=2, axis=2),
    case("CumSum", X, np.array(2, np.int64)),
    case("CumSum", X, np.array(2, np.int64), reverse=1, exclusive=1),
    case("Reshape", X, i64(0, -1)),
    case("Flatten"),
    case("Flatten", axis=-1),
    case("Transpose"),
    case("Transpose", perm=[0, 2, 3, 1]),
    case("Squeeze", X[:1], i64(0)),
    case("Squeeze", X[:1], opset=11, axes=[0]),
    case("Unsqueeze", X, i64(0, -1)),
    case("Unsqueeze", X, opset=11, axes=[1, 3]),
    case("Concat", X, X[:, :2], axis=1),
    case("Split", X, i64(1, 3), outputs=2, axis=1),
    case("Split", X, outputs=2, opset=11, axis=1),
    case("Slice", X, i64(1, 0), i64(3, 5), i64(1, 2), i64(1, 2)),
    case("Slice", X, i64(-1), i64(-99), i64(3), i64(-2)),
    case("Slice", X, opset=9, starts=[1], ends=[3], axes=[1]),
    case("Gather", X, i64(2, -1), axis=1),
    case("Gather", X, np.array(1, np.int64), axis=2),
    case("GatherElements", ROWS, np.array([[0, -1], [1, 2], [3, 0]], np.int64), axis=1),
    case("GatherND", ROWS, np.array([[0, 1], [2, 4]], np.int64)),
    case("ScatterND", ROWS, np.array([[0], [2]], np.int64), weight(2, 5)),
    case("ScatterElements", ROWS, np.array([[0, -1]], np.int64), weight(1, 2), axis=1),
    case("Expand", X[:, :1], i64(2, 4, 1, 1)),
    case("Tile", ROWS, i64(2, 1)),
    case("Shape"),
    case("Shape", start=1, end=3),
    case("Size"),
    case("OneHot", i64(1, 0, 2), i64(3), f32(0, 1)),
    case("Trilu", ROWS),
    case("Trilu", ROWS, np.array(1, np.int64), upper=0),
    case("NonZero", INTS),
    case("ConstantOfShape", i64(2, 3), value=numpy_helper.from_array(f32(1.5))),
    case("Range", np.array(2, np.int64), np.array(9, np.int64), np.array(3, np.int64)),
]
BY_HAND = {"Constant", "Swish"}  # Constant takes no input (below); onnxruntime has no float32 Swish yet


def model_of(operator, x, others, opset, outputs, attributes):
    names = [f"i{place}" if other is not None else "" for place, other in enumerate(others)]
    made = [f"o{place}" for place in range(outputs)]
    node = helper.make_node(operator, ["x", *names], made, **attributes)
    kind = helper.np_dtype_to_tensor_dtype(np.asarray(x).dtype)
    graph = helper.make_graph(
        [node],
        "g",
        [helper.make_tensor_value_info("x", kind, np.asarray(x).shape)],
        [helper.make_empty_tensor_value_info(name) for name in made],
        [numpy_helper.from_array(np.asarray(other), name) for name, other in zip(names, others, strict=True) if name],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)


@pytest.mark.parametrize(("operator", "x", "others", "opset", "outputs", "attributes"), CASES)
def test_agrees_with_onnxruntime(operator, x, others, opset, outputs, attributes):
    model = model_of(operator, x, others, opset, outputs, attributes)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    expected = session.run(None, {"x": np.asarray(x)})
    for place, value in enumerate(expected):
        got = OnnxModule(model, f"o{place}")(torch.from_numpy(np.asarray(x))).numpy()
        assert got.shape == value.shape
        np.testing.assert_allclose(got.astype(np.float64), value.astype(np.float64), rtol=2e-5, atol=2e-5)


def test_every_operator_is_tested():
    assert set(OPERATORS) - {param.values[0] for param in CASES} == BY_HAND


def test_about_eighty_operators_are_known():
    assert len(OPERATORS) >= 80


def test_constant_and_swish():
    nodes = [
        helper.make_node("Constant", [], ["c"], value=numpy_helper.from_array(f32(2.0))),
        helper.make_node("Mul", ["x", "c"], ["y"]),
    ]
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1])],
        [helper.make_empty_tensor_value_info("y")],
    )
    module = OnnxModule(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)]))
    assert module(torch.tensor([3.0])).item() == 6.0
    swish = OnnxModule(model_of("Swish", X, (), 24, 1, {"alpha": 1.5}))
    x = torch.from_numpy(X)
    assert torch.allclose(swish(x), x * torch.sigmoid(1.5 * x))


@pytest.mark.parametrize("name", ["Conv", "Gemm", "MaxPool", "Softmax", "LayerNormalization", "QuantizeLinear"])
def test_the_gradient_flows(name):
    values = next(param.values for param in CASES if param.values[0] == name)
    operator, x, others, opset, outputs, attributes = values
    tensor = torch.from_numpy(np.asarray(x)).requires_grad_()
    OnnxModule(model_of(operator, x, others, opset, outputs, attributes), "o0")(tensor).square().sum().backward()
    assert tensor.grad is not None
    assert torch.isfinite(tensor.grad).all()
    assert (tensor.grad != 0).any()


def test_an_unknown_operator_is_named():
    node = helper.make_node("Mystery", ["x"], ["y"], domain="com.example")
    graph = helper.make_graph(
        [node],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1])],
        [helper.make_empty_tensor_value_info("y")],
    )
    model = helper.make_model(graph)
    assert unsupported(model) == ("com.example.Mystery",)
    with pytest.raises(Unsupported, match="Mystery"):
        OnnxModule(model)


def test_values_are_freed_after_their_last_use():
    nodes = [helper.make_node("Relu", [f"v{n}"], [f"v{n + 1}"]) for n in range(4)]
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("v0", TensorProto.FLOAT, [1])],
        [helper.make_empty_tensor_value_info("v4")],
    )
    module = OnnxModule(helper.make_model(graph))
    assert [step[4] for step in module._steps] == [(), ("v1",), ("v2",), ("v3",)]


def test_a_graph_of_two_inputs_is_refused():
    node = helper.make_node("Add", ["a", "b"], ["y"])
    inputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1]) for name in ("a", "b")]
    graph = helper.make_graph([node], "g", inputs, [helper.make_empty_tensor_value_info("y")])
    with pytest.raises(Unsupported, match="2 inputs"):
        OnnxModule(helper.make_model(graph))
