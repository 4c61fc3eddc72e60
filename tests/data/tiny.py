#!/usr/bin/env python3
"""Tiny ONNX models with seeded random weights for the tests; writes them beside this script.

tiny.onnx             input [1, 3, 16, 16] -> conv1, relu1, conv2, relu2, gap, features [1, 8], logits [1, 4]
tiny_two_inputs.onnx  the same after `input` * `mask`, both inputs of the graph
tiny_no_dense.onnx    no fully connected layer: a 1x1 convolution, then gap and flatten, make the logits
tiny_same_names.onnx  tiny.onnx, but every node is named `op`
tiny_crossed.onnx     tiny.onnx, but the node that makes `features` has the name of another one's output, `relu1`
tiny_softmax.onnx     tiny.onnx, then Softmax, then Identity
tiny_sigmoid.onnx     tiny.onnx, then Sigmoid
tiny_not_finite.onnx  tiny.onnx, then Sub from itself, Div by that: 0 / 0

Every node is named; its output tensor has the same name, but where the above says otherwise.
"""
import pathlib

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

HERE = pathlib.Path(__file__).parent
SHAPE = [1, 3, 16, 16]


def build(name, two_inputs=False, dense=True, after=(), rename=lambda label: label):
    rng = np.random.default_rng(7)
    weights, nodes = [], []

    def weight(label, *shape):
        scale = (2 / np.prod(shape[1:])) ** 0.5 if len(shape) > 1 else 0.1
        weights.append(numpy_helper.from_array((rng.standard_normal(shape) * scale).astype(np.float32), label))
        return label

    def node(op, label, *inputs, **attributes):
        nodes.append(helper.make_node(op, list(inputs), [label], name=rename(label), **attributes))
        return label

    def conv(label, x, n_in, n_out, side, **attributes):
        return node("Conv", label, x, weight(f"{label}_w", n_out, n_in, side, side), weight(f"{label}_b", n_out),
                    kernel_shape=[side, side], **attributes)

    inputs = ["input", "mask"] if two_inputs else ["input"]
    x = node("Mul", "masked", "input", "mask") if two_inputs else "input"
    x = node("Relu", "relu1", conv("conv1", x, 3, 6, 3, pads=[1, 1, 1, 1], strides=[2, 2]))
    x = node("Relu", "relu2", conv("conv2", x, 6, 8, 3, pads=[1, 1, 1, 1]))
    if dense:
        x = node("GlobalAveragePool", "gap", x)
        x = node("Flatten", "features", x, axis=1)
        x = node("Gemm", "logits", x, weight("logits_w", 4, 8), weight("logits_b", 4), transB=1)
    else:
        x = node("GlobalAveragePool", "gap", conv("conv3", x, 8, 4, 1))
        x = node("Flatten", "logits", x, axis=1)
    for op in after:
        x = node(op, op.lower(), *[x] * (2 if op in ("Sub", "Div") else 1))

    graph = helper.make_graph(
        nodes, name, [helper.make_tensor_value_info(i, TensorProto.FLOAT, SHAPE) for i in inputs],
        [helper.make_tensor_value_info(x, TensorProto.FLOAT, [1, 4])], weights)
    model = helper.make_model(graph, producer_name="topgraft", ir_version=8,
                              opset_imports=[helper.make_opsetid("", 13)])
    onnx.checker.check_model(model, full_check=True)
    path = HERE / f"{name}.onnx"
    path.write_bytes(model.SerializeToString(deterministic=True))
    print(f"{path.name}: {path.stat().st_size} bytes")


if __name__ == "__main__":
    build("tiny")
    build("tiny_two_inputs", two_inputs=True)
    build("tiny_no_dense", dense=False)
    build("tiny_same_names", rename=lambda label: "op")
    build("tiny_crossed", rename=lambda label: {"features": "relu1", "relu1": "first"}.get(label, label))
    build("tiny_softmax", after=["Softmax", "Identity"])
    build("tiny_sigmoid", after=["Sigmoid"])
    build("tiny_not_finite", after=["Sub", "Div"])
