#!/usr/bin/env python3
"""When a neck pays: heads for a few samples of a target task, with a neck from a source task and without.

usage: run.py PROGRAM FOLDER [ROWS [NECKS]]
PROGRAM: topgraft. FOLDER: one with data/features/, data/images/ and data/splits/ (of signdigits10 and ants_bees). ROWS: only
the tasks whose name has this in it. NECKS: how many to develop, 3 or fewer; the splits take them in turn. Needs NumPy. Prints a table: mean test accuracy in percent over three splits of the target
task, and the standard error of the mean gain.
"""

import csv
import json
import pathlib
import subprocess
import sys
import tempfile

import numpy as np

HERE = pathlib.Path(__file__).resolve().parent
SEEDS = range(3)
SHOTS = (5, 20)


def digits():
    """scikit-learn's digits: 8 x 8 pixels, 0 to 16."""
    table = np.loadtxt(HERE / "../../tests/data/oracle/digits.csv", delimiter=",", dtype=np.float32)
    return table[:, :-1], table[:, -1].astype(int)


def features(folder, name, trunk):
    """A trunk's features of photos."""
    labels = np.array(json.loads((folder / f"data/splits/{name}.json").read_text())["labels"])
    return np.load(folder / f"data/features/{name}.{trunk}.npy"), labels


def pixels(folder, name, side):
    """Grey pixels as `--raw` has them."""
    from PIL import Image

    splits = json.loads((folder / f"data/splits/{name}.json").read_text())
    photo = lambda file: Image.open(folder / f"data/images/{name}/{file}").convert("RGB")
    grey = lambda file: np.asarray(photo(file).resize((side, side), Image.BILINEAR).convert("L"), dtype=np.float32)
    return np.stack([grey(file).ravel() / 255 for file in splits["files"]]), np.array(splits["labels"])


def part(data, classes):
    x, y = data
    chosen = np.isin(y, classes)
    return x[chosen], y[chosen]


def parity(data):
    """Three fifths of the samples with their ten classes; the others, odd or even."""
    x, y = data
    order = np.random.default_rng(0).permutation(len(y))
    source, target = np.split(order, [len(y) * 3 // 5])
    return (x[source], y[source]), (x[target], y[target] % 2)


def write(path, x, y):
    with open(path, "w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow([f"x{i}" for i in range(x.shape[1])] + ["label"])
        rows.writerows([*row, label] for row, label in zip(x.tolist(), y))


def run(program, *args):
    done = subprocess.run([program, *args, "--json"], capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(done.stderr)
    return json.loads(done.stdout)


def task(program, name, source, target, n_necks):
    with tempfile.TemporaryDirectory() as folder:
        path = lambda file: str(pathlib.Path(folder) / file)
        write(path("source.csv"), *source)
        necks = [path(f"neck{seed}.graft") for seed in range(n_necks)]
        developed = [
            run(program, "develop", "--source", path("source.csv"), "-o", neck, "--seed", str(seed))
            for seed, neck in enumerate(necks)
        ]
        mean = lambda key: 100 * np.mean([one[key]["accuracy"] for one in developed])
        verdicts = [one["verdict"] for one in developed]
        verdicts = ", ".join(f"{verdicts.count(v)} {v}" for v in sorted(set(verdicts)))
        seconds = np.median([one["seconds"]["training"] for one in developed])
        print(f"\n{name}: {len(source[1])} samples, {source[0].shape[1]} features. On the source task naive "
              f"{mean('naive'):.1f}, linear {mean('linear'):.1f}, neck {mean('neck'):.1f} %; verdicts: {verdicts}; "
              f"{np.median([one['epochs'] for one in developed]):.0f} epochs in {seconds:.1f} s\n", flush=True)
        print("| shots | without a neck | with it | gain | standard error |\n|---|---|---|---|---|")
        x, y = target
        for shots in SHOTS:
            accuracies = []
            for seed in SEEDS:
                neck = necks[seed % n_necks]
                rng = np.random.default_rng(seed)
                few = np.concatenate([rng.permutation(np.flatnonzero(y == c))[:shots] for c in np.unique(y)])
                rest = np.setdiff1d(np.arange(len(y)), few)
                write(path("few.csv"), x[few], y[few])
                write(path("rest.csv"), x[rest], y[rest])
                pair = []
                for trunk in ([], ["--trunk", neck]):
                    run(program, "learn", path("few.csv"), "-o", path("head.graft"), "--force", *trunk)
                    pair.append(100 * run(program, "eval", "-m", path("head.graft"), path("rest.csv"))["accuracy"])
                accuracies.append(pair)
            without, with_neck = np.mean(accuracies, axis=0)
            gains = np.diff(accuracies, axis=1)
            error = gains.std(ddof=1) / np.sqrt(len(gains))
            print(f"| {shots} | {without:.1f} | {with_neck:.1f} | {with_neck - without:+.1f} | {error:.1f} |", flush=True)


def main():
    program, folder, only = sys.argv[1], pathlib.Path(sys.argv[2]), sys.argv[3] if len(sys.argv) > 3 else ""
    low, high = range(5), range(5, 10)
    hands, net = "signdigits10", "efficientnet_lite0"
    tasks = {
        "digits 0-9 to odd or even, raw pixels": lambda: parity(digits()),
        "signed digits 0-9 to odd or even, raw pixels, 32 x 32": lambda: parity(pixels(folder, hands, 32)),
        "signed digits 0-9 to odd or even, features of EfficientNet-Lite0": lambda: parity(features(folder, hands, net)),
        "digits 0-4 to 5-9, raw pixels": lambda: (part(digits(), low), part(digits(), high)),
        "signed digits 0-4 to 5-9, raw pixels, 32 x 32":
            lambda: (part(pixels(folder, hands, 32), low), part(pixels(folder, hands, 32), high)),
        "signed digits 0-4 to 5-9, features of EfficientNet-Lite0":
            lambda: (part(features(folder, hands, net), low), part(features(folder, hands, net), high)),
        "signed digits 0-9 to ants and bees, features of EfficientNet-Lite0":
            lambda: (features(folder, hands, net), features(folder, "ants_bees", net)),
    }
    n_necks = int(sys.argv[4]) if len(sys.argv) > 4 else len(SEEDS)
    for name, data in tasks.items():
        if only in name:
            task(program, name, *data(), n_necks)


if __name__ == "__main__":
    main()
