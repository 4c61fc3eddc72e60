#!/usr/bin/env python3
"""One pass of the whole network beside ONNX Runtime: one thread each, batch 1, by turns, medians.

    cargo build --release && PYTHON benches/peers/trunk.py TOPGRAFT MODEL.onnx...

Ours is what `topgraft probe` measures at the deepest cut, from the input tensor to the features, on the demo's photos; ONNX Runtime's is a run
of the same file. It needs what benches/peers/requirements.txt lists.
"""
import json
import os
import subprocess
import sys
import time
from pathlib import Path

os.environ.pop("OPENBLAS_CORETYPE", None)
os.environ.pop("OPENBLAS_L2_SIZE", None)
import numpy as np
import onnxruntime

ROOT = Path(__file__).resolve().parents[2]
ROUNDS, PASSES = 7, 50


def session(path):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def theirs(run, name, tensor):
    times = []
    for _ in range(PASSES):
        start = time.perf_counter()
        run(None, {name: tensor})
        times.append(1e3 * (time.perf_counter() - start))
    return sorted(times)[PASSES // 2]


def ours(program, path):
    command = [program, "probe", ROOT / "models/demo/learn", "--backbone", path, "--cuts", "1", "--json"]
    found = json.loads(subprocess.run(command, capture_output=True, check=True, env={**os.environ, "RAYON_NUM_THREADS": "1"}).stdout)
    return found["cuts"][-1]["milliseconds"]


def main():
    program, paths = sys.argv[1], sys.argv[2:]
    print(f"ONNX Runtime {onnxruntime.__version__}, one thread each; medians of {ROUNDS} turns\n")
    print("| network | topgraft, ms | ONNX Runtime, ms | ratio |\n|---|---|---|---|")
    for path in paths:
        run = session(path)
        name, shape = run.get_inputs()[0].name, [side if isinstance(side, int) else 1 for side in run.get_inputs()[0].shape]
        tensor = np.random.default_rng(7).random(shape, dtype=np.float32)
        pairs = [(ours(program, path), theirs(run.run, name, tensor)) for _ in range(ROUNDS)]
        middle = lambda numbers: sorted(numbers)[ROUNDS // 2]
        ratio = middle([ours / theirs for ours, theirs in pairs])
        print(f"| {Path(path).stem} | {middle([pair[0] for pair in pairs]):.1f} | {middle([pair[1] for pair in pairs]):.1f} | {ratio:.2f} |", flush=True)


main()
