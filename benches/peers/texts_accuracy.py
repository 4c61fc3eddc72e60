"""scikit-learn's accuracy on mean word vectors, over the given splits.

texts_accuracy.py GLOVE.txt SPLITS.json TEXTS.tsv...

Prints a line for each number of shots: mean test accuracy in percent of LogisticRegression(C=1). Texts are lower-cased; a token is a
run of letters and digits or one sign; tokens without a vector are passed over.
"""

import json
import re
import sys

import numpy as np
from sklearn.linear_model import LogisticRegression

vectors = {}
with open(sys.argv[1], encoding="utf8") as lines:
    for line in lines:
        word, *numbers = line.rstrip().split(" ")
        vectors[word] = np.array(numbers, np.float64)
dims = len(numbers)
texts = []
for path in sys.argv[3:]:
    with open(path, encoding="utf8") as lines:
        texts += [line.rstrip("\n").split("\t", 1)[1] for line in lines]
token = re.compile(r"[a-z0-9]+|[^a-z0-9\s]")


def mean(text):
    known = [vectors[word] for word in token.findall(text.lower()) if word in vectors]
    return np.mean(known, 0) if known else np.zeros(dims)


features = np.stack([mean(text) for text in texts])
splits = json.load(open(sys.argv[2]))
labels = np.array(splits["labels"])
for shots in ("k10", "k50", "full"):
    right = []
    for split in splits["splits"]:
        train, test = split[shots], split["test"]
        head = LogisticRegression(C=1, max_iter=10000).fit(features[train], labels[train])
        right.append(100 * (head.predict(features[test]) == labels[test]).mean())
    print(shots, f"{np.mean(right):.1f}")
