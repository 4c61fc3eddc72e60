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
tiny_separable.onnx   what firmware can have: input [1, 3, 24, 20] -> a stem with batch normalisation, clipped at 6; max pool;
                      depthwise with padding below and to the right, and 1x1 layers around a sum; pools; two outputs a
                      channel; a dense layer on a flattened map; features [1, 12], logits [1, 4]
tiny_grey.onnx        the same of one channel: input [1, 1, 24, 20]

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
    save(name, graph)


def separable(name="tiny_separable", n_channels=3):
    rng = np.random.default_rng(11)
    weights, nodes = [], []

    def constant(label, values):
        weights.append(numpy_helper.from_array(np.asarray(values), label))
        return label

    def random(label, *shape, scale=None):
        scale = scale or (2 / np.prod(shape[1:])) ** 0.5
        return constant(label, (rng.standard_normal(shape) * scale).astype(np.float32))

    def node(op, label, *inputs, **attributes):
        nodes.append(helper.make_node(op, list(inputs), [label], name=label, **attributes))
        return label

    def conv(label, x, n_out, n_in, side, bias=True, **attributes):
        inputs = [x, random(f"{label}_w", n_out, n_in, side, side)]
        return node("Conv", label, *inputs, *[random(f"{label}_b", n_out, scale=0.1)] * bias,
                    kernel_shape=[side, side], **attributes)

    six = [constant("zero", np.float32(0)), constant("six", np.float32(6))]
    x = conv("stem_conv", "input", 8, n_channels, 3, bias=False, strides=[2, 2], pads=[0, 0, 1, 1])
    x = node("BatchNormalization", "stem_bn", x, constant("stem_s", rng.uniform(0.5, 1.5, 8).astype(np.float32)),
             random("stem_o", 8, scale=0.3), random("stem_m", 8, scale=0.2),
             constant("stem_v", rng.uniform(0.5, 2, 8).astype(np.float32)), epsilon=1e-3)
    x = node("Clip", "stem", x, *six)                                                  # [8, 12, 10]
    x = node("MaxPool", "pool", x, kernel_shape=[3, 3], strides=[1, 1], pads=[1, 1, 1, 1])
    x = node("Clip", "dw", conv("dw_conv", x, 8, 1, 3, group=8, auto_pad="SAME_UPPER", strides=[2, 2]), *six)  # [8, 6, 5]
    x = node("Relu", "narrow", conv("narrow_conv", x, 6, 8, 1))
    y = conv("dw2", x, 6, 1, 3, group=6, pads=[1, 1, 1, 1])
    x = node("Relu", "residual", node("Add", "sum", conv("project", y, 6, 6, 1), x))
    x = node("AveragePool", "mean", x, kernel_shape=[2, 2], strides=[2, 2])            # [6, 3, 2]
    x = node("Clip", "wide", conv("wide_conv", x, 12, 1, 3, group=6, pads=[1, 1, 1, 1]), constant("low", np.float32(-1)), "six")
    x = node("Flatten", "flat", x, axis=1)
    x = node("Add", "dense", node("MatMul", "product", x, random("dense_w", 72, 12, scale=0.2)), random("dense_b", 12, scale=0.1))
    x = node("BatchNormalization", "shift", x, constant("shift_s", rng.uniform(0.5, 1.5, 12).astype(np.float32)),
             random("shift_o", 12, scale=0.3), random("shift_m", 12, scale=0.2),
             constant("shift_v", rng.uniform(0.5, 2, 12).astype(np.float32)))
    x = node("Relu", "features", x)
    x = node("Gemm", "logits", x, random("logits_w", 4, 12), random("logits_b", 4, scale=0.1), transB=1)
    graph = helper.make_graph(nodes, name,
                              [helper.make_tensor_value_info("input", TensorProto.FLOAT, [1, n_channels, 24, 20])],
                              [helper.make_tensor_value_info(x, TensorProto.FLOAT, [1, 4])], weights)
    save(name, graph)


def save(name, graph):
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
    separable()
    separable("tiny_grey", n_channels=1)
