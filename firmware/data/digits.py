"""Writes digits.rows: handwritten digits 0 to 3, 8 x 8 pixels, from the copy that scikit-learn carries.

usage: digits.py OUT; a row is a byte with the label and 64 bytes with the pixels, 0 to 16: 20 rows a class to learn from, then 20
a class that are not learned from, the classes in turn.
"""

import sys

import numpy as np
from sklearn.datasets import load_digits

digits = load_digits()
classes = [digits.data[digits.target == k].astype(np.uint8) for k in range(4)]
with open(sys.argv[1], "wb") as out:
    for i in range(40):
        for label, rows in enumerate(classes):
            out.write(bytes([label]) + rows[i].tobytes())
