"""Mean word vectors with gensim, and with numpy on gensim's table: texts a second of each, the median of some runs.

texts.py GLOVE.txt TEXTS.tsv TIMES
"""
import re
import statistics
import sys
import time

from gensim.models import KeyedVectors

glove, tsv, times = sys.argv[1], sys.argv[2], int(sys.argv[3])
vectors = KeyedVectors.load_word2vec_format(glove, binary=False, no_header=True)
with open(tsv, encoding="utf8") as lines:
    texts = [line.rstrip("\n").split("\t", 1)[1] for line in lines]
token = re.compile(r"[a-z0-9]+|[^a-z0-9\s]")


def by_gensim(text):
    """As gensim offers it."""
    words = token.findall(text.lower())
    return vectors.get_mean_vector(words, pre_normalize=False, ignore_missing=True) if words else None


def by_numpy(text):
    """The fastest that was found: rows by a list of indices."""
    known = [vectors.key_to_index[word] for word in token.findall(text.lower()) if word in vectors.key_to_index]
    return vectors.vectors[known].mean(0) if known else None


for features in (by_gensim, by_numpy):
    taken = []
    for _ in range(times):
        start = time.perf_counter()
        for text in texts:
            features(text)
        taken.append(time.perf_counter() - start)
    print(len(texts) / statistics.median(taken))
