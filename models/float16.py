#!/usr/bin/env python3
"""Store an ONNX model's weights as float16; the computation stays float32.

Every float32 initializer of 2048 values or more is rounded to float16 and
followed by a Cast back to float32 named `<weight>_f32`. Biases and other small
tensors, the inputs, the outputs and all existing names stay as they are: the
first layers' few weights cost nothing and carry most of the rounding error.
The same input gives the same bytes.

    python3 float16.py MODEL.onnx MODEL.f16.onnx [--photos FOLDER --mean 127 --scale 128]

With --photos it also prints how far the tensor before the last layer moves
(needs onnxruntime and Pillow). Converting needs onnx and numpy only.
"""
import argparse
import hashlib
import pathlib
import sys

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

KEEP = 2048  # a tensor with fewer values stays float32


def convert(model):
    """Rewrite `model` in place."""
    graph = model.graph
    halves = {}
    for tensor in graph.initializer:
        if tensor.data_type != TensorProto.FLOAT or len(tensor.dims) < 2 or np.prod(tensor.dims) < KEEP:
            continue
        half = numpy_helper.to_array(tensor).astype(np.float16)
        if not np.isfinite(half).all():
            sys.exit(f"{tensor.name}: a weight does not fit float16 (largest is 65504)")
        tensor.CopyFrom(numpy_helper.from_array(half, tensor.name))
        halves[tensor.name] = f"{tensor.name}_f32"

    taken = {node.name for node in graph.node}
    nodes, done = [], set()
    for node in graph.node:
        for i, name in enumerate(node.input):
            if name not in halves:
                continue
            if name not in done:
                done.add(name)
                cast = halves[name]
                nodes.append(helper.make_node("Cast", [name], [cast], name=cast, to=TensorProto.FLOAT))
            node.input[i] = halves[name]
        if not node.name:
            node.name = node.output[0]
            while node.name in taken:
                node.name += "_"
            taken.add(node.name)
        nodes.append(node)
    nodes = [onnx.NodeProto.FromString(n.SerializeToString(deterministic=True)) for n in nodes]
    del graph.node[:]
    graph.node.extend(nodes)

    model.producer_name, model.producer_version, model.doc_string = "topgraft", "", ""
    onnx.checker.check_model(model)


def features(model, photos, mean, scale):
    """The input of the last node (the classifier) for each photo, [n_photos, feature_dim]."""
    import onnxruntime as ort
    from PIL import Image

    model = onnx.ModelProto.FromString(model.SerializeToString())
    layer = model.graph.node[-1].input[0]
    model.graph.output.append(helper.make_tensor_value_info(layer, TensorProto.FLOAT, None))
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    source = session.get_inputs()[0]
    height, width = source.shape[2:]
    rows = []
    for path in photos:
        image = Image.open(path).convert("RGB").resize((width, height), Image.BILINEAR)
        x = (np.asarray(image, np.float32) - mean) / scale
        rows.append(session.run([layer], {source.name: x.transpose(2, 0, 1)[None]})[0].ravel())
    return np.array(rows)


def report(a, b):
    """How far the features `a` are from the reference `b`, both [n, feature_dim]."""
    l2 = np.linalg.norm(a - b, axis=1) / np.linalg.norm(b, axis=1)
    largest = np.abs(a - b).max() / np.abs(b).max()
    print(f"{len(a)} photos: relative L2 error mean {l2.mean():.2e}, max {l2.max():.2e}; "
          f"largest absolute error / largest value {largest:.2e}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("input", help="float32 ONNX model")
    parser.add_argument("output", help="file to write")
    parser.add_argument("--photos", help="compare both models on the .jpg files below this folder")
    parser.add_argument("--mean", type=np.float32, default=127, help="of 0..255 (default: 127)")
    parser.add_argument("--scale", type=np.float32, default=128, help="of 0..255 (default: 128)")
    args = parser.parse_args()

    reference = onnx.load(args.input)
    model = onnx.load(args.input)
    convert(model)
    data = model.SerializeToString(deterministic=True)
    pathlib.Path(args.output).write_bytes(data)
    print(f"{args.output}: {len(data)} bytes, SHA-256 {hashlib.sha256(data).hexdigest()}")

    if args.photos:
        photos = sorted(pathlib.Path(args.photos).rglob("*.jpg"))
        report(features(model, photos, args.mean, args.scale),
               features(reference, photos, args.mean, args.scale))


if __name__ == "__main__":
    main()
