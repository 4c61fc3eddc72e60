#!/usr/bin/env python3
"""The families of image networks, with seeded made-up weights, and what ONNX Runtime makes of them.

families.py list                          names, one a line
families.py write NAME MODEL.onnx         the network; for those of the package `onnx` its `expected` output too, as
                                          MODEL.onnx.expected.npy, of the network as the package has it: MODEL.onnx.light
families.py run MODEL.onnx INPUT OUT TENSOR...
                                          ONNX Runtime's values of these tensors, one after the other, all files f32

Nine graphs are those that the package `onnx` carries for tests of backends (light_*.onnx, from Caffe2's conversions of the
published networks), whose weights are constants: here they get random ones, since with equal weights all channels would be
equal. The others are written down below from their papers, batch normalisation folded.
"""
import pathlib
import sys

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

LIGHT = ["bvlc_alexnet", "densenet121", "inception_v1", "inception_v2", "resnet50", "shufflenet", "squeezenet", "vgg19",
         "zfnet512"]


def light(name):
    path = pathlib.Path(onnx.__file__).parent / "backend/test/data/light" / f"light_{name}"
    expected = onnx.TensorProto.FromString(path.with_name(path.name + "_output_0.pb").read_bytes())
    return onnx.load(path.with_suffix(".onnx")), numpy_helper.to_array(expected)


def with_random_weights(model):
    """Each weight that the graph makes by ConstantOfShape, drawn at random: He's scale for kernels, near 1 for scales."""
    graph, rng = model.graph, np.random.default_rng(7)
    shapes = {w.name: numpy_helper.to_array(w) for w in graph.initializer}
    users = {tensor: (node, at) for node in reversed(graph.node) for at, tensor in enumerate(node.input)}
    kept = []
    for node in graph.node:
        if node.op_type != "ConstantOfShape":
            kept.append(node)
            continue
        shape = shapes[node.input[0]]
        user, at = users[node.output[0]]
        if len(shape) > 1:
            weight = rng.standard_normal(shape, np.float32) * np.float32((2 / np.prod(shape[1:])) ** 0.5)
        elif user.op_type == "BatchNormalization" and at in (1, 4):
            weight = rng.uniform(0.8, 1.2, shape)
        else:
            weight = rng.standard_normal(shape) * 0.1
        graph.initializer.append(numpy_helper.from_array(weight.astype(np.float32), node.output[0]))
    del graph.node[:]
    graph.node.extend(kept)
    return model


class Network:
    """Nodes of a network as it is written down; a tensor is its name and shape."""

    def __init__(self, height, width):
        self.rng, self.nodes, self.weights = np.random.default_rng(7), [], []
        self.input = ("input", [1, 3, height, width])

    def node(self, operator, shape, *inputs, **attributes):
        name = f"{operator.lower()}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, list(inputs), [name], name, **attributes))
        return name, shape

    def weight(self, *shape, scale=None):
        scale = scale or (2 / np.prod(shape[1:])) ** 0.5
        name = f"w{len(self.weights)}"
        self.weights.append(numpy_helper.from_array(self.rng.standard_normal(shape, np.float32) * np.float32(scale), name))
        return name

    def constant(self, values, kind):
        name = f"w{len(self.weights)}"
        self.weights.append(numpy_helper.from_array(np.array(values, kind), name))
        return name

    def conv(self, x, out, kernel=3, stride=1, act="Relu", groups=1, pad=None):
        (name, (n, channels, *size)), kernel = x, kernel if isinstance(kernel, tuple) else (kernel, kernel)
        pad = [k // 2 for k in kernel] if pad is None else [pad, pad]
        size = [(s + 2 * p - k) // stride + 1 for s, p, k in zip(size, pad, kernel)]
        weights = self.weight(out, channels // groups, *kernel), self.weight(out, scale=0.1)
        x = self.node("Conv", [n, out, *size], name, *weights, kernel_shape=kernel, strides=[stride] * 2, pads=pad * 2,
                      group=groups)
        return self.activate(x, act)

    def activate(self, x, act):
        match act:
            case None:
                return x
            case "Relu6":
                bounds = self.constant(0, np.float32), self.constant(6, np.float32)
                return self.node("Clip", x[1], x[0], *bounds)
            case _:
                return self.node(act, x[1], x[0])

    def pool(self, x, operator="MaxPool", kernel=2, stride=2, pad=0):
        name, (n, channels, *size) = x
        size = [(s + 2 * pad - kernel) // stride + 1 for s in size]
        return self.node(operator, [n, channels, *size], name, kernel_shape=[kernel] * 2, strides=[stride] * 2, pads=[pad] * 4)

    def add(self, a, b):
        return self.node("Add", a[1], a[0], b[0])

    def concat(self, *xs):
        (n, _, *size) = xs[0][1]
        return self.node("Concat", [n, sum(shape[1] for _, shape in xs), *size], *[name for name, _ in xs], axis=1)

    def flat(self, x, pooled=True):
        if pooled:
            x = self.node("GlobalAveragePool", [*x[1][:2], 1, 1], x[0])
        return self.node("Flatten", [1, int(np.prod(x[1]))], x[0], axis=1)

    def dense(self, x, out, act=None):
        weights = self.weight(out, x[1][-1]), self.weight(out, scale=0.1)
        return self.activate(self.node("Gemm", [1, out], x[0], *weights, transB=1), act)

    def model(self, x):
        value = helper.make_tensor_value_info
        graph = helper.make_graph(
            self.nodes, "network", [value("input", TensorProto.FLOAT, self.input[1])],
            [value(x[0], TensorProto.FLOAT, x[1])], self.weights)
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)


def vgg16():
    """Simonyan & Zisserman 2014, configuration D."""
    net = Network(224, 224)
    x = net.input
    for depth, channels in [(2, 64), (2, 128), (3, 256), (3, 512), (3, 512)]:
        for _ in range(depth):
            x = net.conv(x, channels)
        x = net.pool(x)
    x = net.dense(net.dense(net.flat(x, pooled=False), 4096, "Relu"), 4096, "Relu")
    return net.model(net.dense(x, 1000))


def resnet18():
    """He et al. 2015."""
    net = Network(224, 224)
    x = net.pool(net.conv(net.input, 64, 7, 2), kernel=3, pad=1)
    for stage, channels in enumerate([64, 128, 256, 512]):
        for block in range(2):
            stride = 2 if stage and not block else 1
            short = net.conv(x, channels, 1, stride, None) if stride == 2 else x
            x = net.conv(net.conv(x, channels, 3, stride), channels, act=None)
            x = net.activate(net.add(x, short), "Relu")
    return net.model(net.dense(net.flat(x), 1000))


def inception_v3():
    """Szegedy et al. 2015, "Rethinking the Inception architecture", without the auxiliary classifier."""
    net = Network(299, 299)
    x = net.conv(net.conv(net.conv(net.input, 32, 3, 2, pad=0), 32, pad=0), 64)
    x = net.pool(x, kernel=3)
    x = net.pool(net.conv(net.conv(x, 80, 1), 192, pad=0), kernel=3)
    average = lambda x: net.pool(x, "AveragePool", 3, 1, 1)
    for pooled in (32, 64, 64):
        x = net.concat(
            net.conv(x, 64, 1), net.conv(net.conv(x, 48, 1), 64, 5),
            net.conv(net.conv(net.conv(x, 64, 1), 96), 96), net.conv(average(x), pooled, 1))
    x = net.concat(net.conv(x, 384, 3, 2, pad=0), net.conv(net.conv(net.conv(x, 64, 1), 96), 96, 3, 2, pad=0),
                   net.pool(x, kernel=3))
    chain = lambda x, *layers: [x := net.conv(x, c, k) for c, k in layers][-1]
    for c in (128, 160, 160, 192):
        x = net.concat(
            net.conv(x, 192, 1), chain(x, (c, 1), (c, (1, 7)), (192, (7, 1))),
            chain(x, (c, 1), (c, (7, 1)), (c, (1, 7)), (c, (7, 1)), (192, (1, 7))), net.conv(average(x), 192, 1))
    x = net.concat(
        net.conv(net.conv(x, 192, 1), 320, 3, 2, pad=0),
        net.conv(chain(x, (192, 1), (192, (1, 7)), (192, (7, 1))), 192, 3, 2, pad=0), net.pool(x, kernel=3))
    for _ in range(2):
        a, b = net.conv(x, 384, 1), chain(x, (448, 1), (384, 3))
        x = net.concat(
            net.conv(x, 320, 1), net.conv(a, 384, (1, 3)), net.conv(a, 384, (3, 1)), net.conv(b, 384, (1, 3)),
            net.conv(b, 384, (3, 1)), net.conv(average(x), 192, 1))
    return net.model(net.dense(net.flat(x), 1000))


def mobilenet_v1():
    """Howard et al. 2017, width 1."""
    net = Network(224, 224)
    x = net.conv(net.input, 32, 3, 2, "Relu6")
    for channels, stride in [(64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2)] + [(512, 1)] * 5 + [(1024, 2), (1024, 1)]:
        x = net.conv(x, x[1][1], 3, stride, "Relu6", groups=x[1][1])
        x = net.conv(x, channels, 1, 1, "Relu6")
    return net.model(net.dense(net.flat(x), 1000))


def inverted(net, x, kernel, wide, out, stride, act, squeeze=False):
    """An inverted residual (Sandler et al. 2018), with squeeze-and-excitation (Hu et al. 2018) if asked for."""
    y = net.conv(x, wide, 1, 1, act) if wide != x[1][1] else x
    y = net.conv(y, wide, kernel, stride, act, groups=wide)
    if squeeze:
        gate = net.node("GlobalAveragePool", [1, wide, 1, 1], y[0])
        gate = net.conv(net.conv(gate, max(8, wide // 4 // 8 * 8), 1), wide, 1, act="HardSigmoid")
        y = net.node("Mul", y[1], y[0], gate[0])
    y = net.conv(y, out, 1, act=None)
    return net.add(x, y) if stride == 1 and out == x[1][1] else y


def mobilenet_v2():
    """Sandler et al. 2018."""
    net = Network(224, 224)
    x = net.conv(net.input, 32, 3, 2, "Relu6")
    for widen, out, times, stride in [(1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1),
                                      (6, 160, 3, 2), (6, 320, 1, 1)]:
        for at in range(times):
            x = inverted(net, x, 3, widen * x[1][1], out, 1 if at else stride, "Relu6")
    return net.model(net.dense(net.flat(net.conv(x, 1280, 1, 1, "Relu6")), 1000))


def mobilenet_v3_small():
    """Howard et al. 2019, table 2."""
    net = Network(224, 224)
    x = net.conv(net.input, 16, 3, 2, "HardSwish")
    for kernel, wide, out, squeeze, act, stride in [
            (3, 16, 16, True, "Relu", 2), (3, 72, 24, False, "Relu", 2), (3, 88, 24, False, "Relu", 1),
            (5, 96, 40, True, "HardSwish", 2), (5, 240, 40, True, "HardSwish", 1), (5, 240, 40, True, "HardSwish", 1),
            (5, 120, 48, True, "HardSwish", 1), (5, 144, 48, True, "HardSwish", 1), (5, 288, 96, True, "HardSwish", 2),
            (5, 576, 96, True, "HardSwish", 1), (5, 576, 96, True, "HardSwish", 1)]:
        x = inverted(net, x, kernel, wide, out, stride, act, squeeze)
    x = net.flat(net.conv(x, 576, 1, 1, "HardSwish"))
    return net.model(net.dense(net.dense(x, 1024, "HardSwish"), 1000))


def vit_tiny():
    """Dosovitskiy et al. 2020: patches of 16, 3 of the 12 blocks, 192 wide; the class token is what the classifier sees."""
    net = Network(224, 224)
    width, heads, tokens = 192, 3, 197
    x = net.conv(net.input, width, 16, 16, None, pad=0)
    shape = lambda *dims: net.constant(dims, np.int64)
    x = net.node("Reshape", [1, width, 196], x[0], shape(1, width, 196))
    x = net.node("Transpose", [1, 196, width], x[0], perm=[0, 2, 1])
    x = net.node("Concat", [1, tokens, width], net.weight(1, 1, width, scale=0.02), x[0], axis=1)
    x = net.node("Add", x[1], x[0], net.weight(1, tokens, width, scale=0.02))

    def normal(x):
        scale = net.constant(np.ones(width), np.float32), net.constant(np.zeros(width), np.float32)
        return net.node("LayerNormalization", x[1], x[0], *scale, axis=-1)

    def linear(x, out):
        x = net.node("MatMul", [*x[1][:-1], out], x[0], net.weight(x[1][-1], out, scale=x[1][-1] ** -0.5))
        return net.node("Add", x[1], x[0], net.weight(out, scale=0.1))

    def split(x, perm):
        x = net.node("Reshape", None, x[0], shape(1, tokens, heads, width // heads))
        return net.node("Transpose", None, x[0], perm=perm)[0]

    for _ in range(3):
        y = normal(x)
        query, key, value = [split(linear(y, width), perm) for perm in ([0, 2, 1, 3], [0, 2, 3, 1], [0, 2, 1, 3])]
        scores = net.node("MatMul", None, query, key)
        scores = net.node("Mul", None, scores[0], net.constant((width // heads) ** -0.5, np.float32))
        y = net.node("MatMul", None, net.node("Softmax", None, scores[0], axis=-1)[0], value)
        y = net.node("Transpose", None, y[0], perm=[0, 2, 1, 3])
        y = net.node("Reshape", [1, tokens, width], y[0], shape(1, tokens, width))
        x = net.add(x, linear(y, width))
        y = linear(normal(x), 4 * width)
        half = net.constant(0.5, np.float32)
        erf = net.node("Erf", y[1], net.node("Mul", y[1], y[0], net.constant(2**-0.5, np.float32))[0])
        erf = net.node("Add", y[1], erf[0], net.constant(1, np.float32))
        y = net.node("Mul", y[1], net.node("Mul", y[1], y[0], half)[0], erf[0])
        x = net.add(x, linear(y, width))
    x = net.node("Gather", [1, width], normal(x)[0], net.constant(0, np.int64), axis=1)
    return net.model(net.dense(x, 1000))


WRITTEN = [inception_v3, mobilenet_v1, mobilenet_v2, mobilenet_v3_small, resnet18, vgg16, vit_tiny]


def write(name, path):
    if name in LIGHT:
        model, expected = light(name)
        np.save(path + ".expected.npy", expected.astype(np.float32))
        onnx.save(model, path + ".light")
        model = with_random_weights(model)
    else:
        model = next(network for network in WRITTEN if network.__name__ == name)()
    onnx.save(model, path)


def run(path, numbers, out, tensors):
    import onnxruntime

    model = onnx.load(path)
    del model.graph.output[:]
    model.graph.output.extend(onnx.ValueInfoProto(name=tensor) for tensor in tensors)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, ["CPUExecutionProvider"])
    x = session.get_inputs()[0]
    with open(out, "wb") as file:
        for value in session.run(None, {x.name: np.fromfile(numbers, "<f4").reshape(x.shape)}):
            file.write(value.astype("<f4").tobytes())


match sys.argv[1:]:
    case ["list"]:
        print(*LIGHT, *(network.__name__ for network in WRITTEN), sep="\n")
    case ["write", name, path]:
        write(name, path)
    case ["run", path, numbers, out, *tensors]:
        run(path, numbers, out, tensors)
    case _:
        sys.exit(__doc__)
