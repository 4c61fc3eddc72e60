#!/usr/bin/env python3
"""ONNX Runtime's features of one photo, for the tests of our own inference.

    python3 make.py F16.onnx F32.onnx

The photo is ../pillow/rocket.squeeze_bilinear.png, 224x224; the input tensor [1, 3, 224, 224] is
(pixel - 127) / 128, RGB. Writes efficientnet_lite0.f16.features.npy and
efficientnet_lite0.f32.features.npy, [1280] float32 each, and prints how far they are apart.
"""
import pathlib
import sys

import numpy as np
import onnx
import onnxruntime as ort
from PIL import Image

HERE = pathlib.Path(__file__).parent
PHOTO = HERE.parent / "pillow" / "rocket.squeeze_bilinear.png"


def features(path, x):
    model = onnx.load(path)
    model.graph.output.append(onnx.helper.make_tensor_value_info("features", onnx.TensorProto.FLOAT, None))
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(["features"], {"input": x})[0].ravel()


def main():
    x = (np.asarray(Image.open(PHOTO).convert("RGB"), np.float32) - 127) / 128
    x = np.ascontiguousarray(x.transpose(2, 0, 1)[None])
    rows = [features(path, x) for path in sys.argv[1:3]]
    for name, row in zip(("f16", "f32"), rows):
        np.save(HERE / f"efficientnet_lite0.{name}.features.npy", row)
    print("relative L2 error", np.linalg.norm(rows[0] - rows[1]) / np.linalg.norm(rows[1]),
          "onnxruntime", ort.__version__)


if __name__ == "__main__":
    main()
