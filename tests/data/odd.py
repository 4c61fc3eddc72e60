#!/usr/bin/env python3
"""Networks that are hard to take or cannot be taken, each with a seeded made-up weight or two: odd.py FOLDER writes them.

text.onnx         token ids and their mask in, a vector a token out
tokens.onnx       the same without a mask: one input of integers
open_size.onnx    height and width are left open
external.onnx     weights in a file beside it, external.onnx.data
unknown.onnx      an operator of somebody's own at layer `fancy`
bytes.onnx        quantised, integers in and out
qlinear.onnx      quantised, floats in and out: QLinearConv between
qdq.onnx          quantised, with QuantizeLinear and DequantizeLinear around float operators
dynamic.onnx      quantised as it runs: DynamicQuantizeLinear, ConvInteger
"""
import pathlib
import sys

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from onnx.helper import make_node as node

FOLDER = pathlib.Path(sys.argv[1])
RNG = np.random.default_rng(1)


def floats(*shape):
    return RNG.standard_normal(shape).astype(np.float32)


def value(name, shape, kind=TensorProto.FLOAT):
    return helper.make_tensor_value_info(name, kind, shape)


def save(name, nodes, inputs, outputs, weights, domains=(), **how):
    weights = [numpy_helper.from_array(np.asarray(array), label) for label, array in weights.items()]
    graph = helper.make_graph(nodes, name, inputs, outputs, weights)
    opsets = [helper.make_opsetid(*domain) for domain in [("", 20), *domains]]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=10), FOLDER / f"{name}.onnx", **how)


IDS = value("input_ids", ["n", "tokens"], TensorProto.INT64)
VECTORS = value("vectors", ["n", "tokens", 8])
TABLE = {"table": floats(100, 8), "axis": np.array([2])}
save("tokens", [node("Gather", ["table", "input_ids"], ["vectors"], "embedding")], [IDS], [VECTORS], TABLE)
save("text", [
    node("Gather", ["table", "input_ids"], ["embedded"], "embedding"),
    node("Cast", ["attention_mask"], ["mask"], "cast", to=TensorProto.FLOAT),
    node("Unsqueeze", ["mask", "axis"], ["wide"], "wide"),
    node("Mul", ["embedded", "wide"], ["vectors"], "masked"),
], [IDS, value("attention_mask", ["n", "tokens"], TensorProto.INT64)], [VECTORS], TABLE)

PICTURE, LOGITS = value("input", [1, 3, 16, 16]), value("logits", [1, 4])
FLOAT = {"kernel": floats(8, 3, 3, 3), "dense": floats(4, 8)}


def conv(x="input"):
    return node("Conv", [x, "kernel"], ["map"], "conv", strides=[2, 2])


def end(x="map"):
    return [
        node("GlobalAveragePool", [x], ["pooled"], "pooled"), node("Flatten", ["pooled"], ["features"], "features"),
        node("Gemm", ["features", "dense"], ["logits"], "logits", transB=1)]


save("open_size", [conv(), *end()], [value("input", ["n", 3, "height", "width"])], [LOGITS], FLOAT)
save("external", [conv(), *end()], [PICTURE], [LOGITS], FLOAT,
     save_as_external_data=True, location="external.onnx.data", size_threshold=0)
save("unknown", [conv(), node("FancyAttention", ["map"], ["fancy"], "fancy", domain="com.example"), *end("fancy")], [PICTURE],
     [LOGITS], FLOAT, domains=[("com.example", 1)])

SCALE = {"scale": np.float32(0.05), "zero": np.uint8(128), "kernel_scale": np.float32(0.01), "kernel_zero": np.int8(0),
         "kernel_i8": RNG.integers(-127, 127, (8, 3, 3, 3)).astype(np.int8)}


def quantised(x):
    return [node("QuantizeLinear", [x, "scale", "zero"], [x + "_u8"], x + "_quantised"),
            node("DequantizeLinear", [x + "_u8", "scale", "zero"], [x + "_f32"], x + "_floats")]


def qlinear(x):
    inputs = [x, "scale", "zero", "kernel_i8", "kernel_scale", "kernel_zero", "scale", "zero"]
    return node("QLinearConv", inputs, ["map_u8"], "conv", strides=[2, 2])


save("bytes", [qlinear("input")], [value("input", [1, 3, 16, 16], TensorProto.UINT8)],
     [value("map_u8", [1, 8, 7, 7], TensorProto.UINT8)], SCALE)
save("qlinear", [
    quantised("input")[0], qlinear("input_u8"), node("DequantizeLinear", ["map_u8", "scale", "zero"], ["map"], "map"), *end()],
     [PICTURE], [LOGITS], FLOAT | SCALE)
save("qdq", [*quantised("input"), conv("input_f32"), *quantised("map"), *end("map_f32")], [PICTURE], [LOGITS], FLOAT | SCALE)
save("dynamic", [
    node("DynamicQuantizeLinear", ["input"], ["input_u8", "input_scale", "input_zero"], "quantised"),
    node("ConvInteger", ["input_u8", "kernel_i8", "input_zero"], ["map_i32"], "conv", strides=[2, 2]),
    node("Cast", ["map_i32"], ["map_f32"], "cast", to=TensorProto.FLOAT),
    node("Mul", ["map_f32", "input_scale"], ["map"], "map"), *end()], [PICTURE], [LOGITS], FLOAT | SCALE)
