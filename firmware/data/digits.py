"""Writes digits.rows: handwritten digits 0 to 3, 8 x 8 pixels, from the copy that scikit-learn carries.

usage: digits.py OUT; a row is a byte with the label and 32 bytes with the pixels, 0 to 15, the first of two in the low bits: 10
rows a class to learn from, then 10 a class that are not learned from, the classes in turn.
"""

import sys

import numpy as np
from sklearn.datasets import load_digits

digits = load_digits()
# 0 to 16 in the original.
pixels = np.round(digits.data * 15 / 16).astype(np.uint8)
rows = pixels[:, 0::2] | pixels[:, 1::2] << 4
classes = [rows[digits.target == k] for k in range(4)]
with open(sys.argv[1], "wb") as out:
    for i in range(20):
        for label, digit in enumerate(classes):
            out.write(bytes([label]) + digit[i].tobytes())
