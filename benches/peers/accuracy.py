"""scikit-learn's accuracy on given features and splits.

usage: accuracy.py FEATURES.f32 SPLITS.json
FEATURES: little-endian float32, a row for each of the splits' files. Prints a line for each number of shots: mean test
accuracy in percent of LogisticRegression C=1 on raw features, C=100 on L2-normalised ones, and the nearest class mean by
cosine, over the splits.
"""

import json
import sys

import numpy as np
from sklearn.linear_model import LogisticRegression


def normalised(rows):
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def regression(c, train, labels, test):
    return LogisticRegression(C=c, tol=1e-6, max_iter=10000).fit(train, labels).predict(test)


def nearest_mean(train, labels, test):
    classes = np.unique(labels)
    means = normalised(np.stack([train[labels == k].mean(0) for k in classes]))
    return classes[(normalised(test) @ means.T).argmax(1)]


def main():
    splits = json.load(open(sys.argv[2]))
    labels = np.array(splits["labels"])
    raw = np.fromfile(sys.argv[1], "<f4").reshape(len(labels), -1).astype(np.float64)
    unit = normalised(raw)
    for shots, key in (("5", "k5"), ("10", "k10"), ("all", "full")):
        accuracies = []
        for split in splits["splits"]:
            train, test = split[key], split["test"]
            predictions = (
                regression(1, raw[train], labels[train], raw[test]),
                regression(100, unit[train], labels[train], unit[test]),
                nearest_mean(raw[train], labels[train], raw[test]),
            )
            accuracies.append([100 * (p == labels[test]).mean() for p in predictions])
        print(shots, *(f"{a:.1f}±{s:.1f}" for a, s in zip(np.mean(accuracies, 0), np.std(accuracies, 0))))


main()
