"""Makes tests/data/words/ from GloVe 6B, 50 dimensions, and gensim 4.4.

python tests/data/words.py glove.6B.50d.txt

GloVe 6B (Pennington, Socher, Manning 2014) is under the Public Domain Dedication and License; some hundred of its rows are
kept here: the words of mood.tsv, the classes of the demo photos, and the nouns below with what is near them.
  glove.txt.gz     these rows, as GloVe writes them, by their frequency
  word2vec.bin     the first 40 of them as gensim writes word2vec's binary, and
  word2vec.txt     as text
  neighbours.tsv   of 100 words the 10 nearest, by gensim's most_similar on the rows of glove.txt.gz
  top20k.tsv       of the same 100 words, among the 20,000 most frequent words of GloVe
  analogies.tsv    a b c and the 5 nearest to a - b + c among these 20,000
"""

import gzip
import re
import sys
from pathlib import Path

import numpy as np
from gensim.models import KeyedVectors

NOUNS = """king queen prince man woman boy girl son daughter brother sister mother father uncle dog cat horse cow bird fish
lion tiger apple banana orange bread cheese milk coffee tea wine beer car bus train plane ship road bridge house room door
window garden river sea mountain island city town village country france paris germany berlin italy rome spain madrid
england london japan tokyo china beijing russia moscow music song film book paper pen school teacher student doctor nurse
hospital war peace army soldier police court judge law money bank market price red green blue black white big small good
bad happy sad hot cold old young day night""".split()
ANALOGIES = ["king man woman", "paris france italy", "berlin germany spain", "london england japan", "bigger big small", "walking walk run"]

here = Path(__file__).parent
out = here / "words"
out.mkdir(exist_ok=True)
full = KeyedVectors.load_word2vec_format(sys.argv[1], binary=False, no_header=True, limit=20000)
lines = {}
for line in open(sys.argv[1], encoding="utf8"):
    word = line.split(" ", 1)[0]
    lines.setdefault(word, line)
    if len(lines) == 20000:
        break
words = [word for word in NOUNS if word in full][:100]
assert len(words) == 100, len(words)
keep = set(words) | {"birds", "fish", "flowers", "fruit", "tools", "vegetables"} | set(re.findall(r"[a-z]+|[^a-z\s]", (here / "mood.tsv").read_text().lower()))
for word in words:
    keep |= {near for near, _ in full.most_similar(word, topn=3)}
keep = [word for word in full.index_to_key if word in keep]
with open(out / "glove.txt.gz", "wb") as raw, gzip.GzipFile(fileobj=raw, mode="wb", mtime=0) as file:
    file.write("".join(lines[word] for word in keep).encode())
small = KeyedVectors(vector_size=50)
small.add_vectors(keep, np.stack([full[word] for word in keep]))
first = KeyedVectors(vector_size=50)
first.add_vectors(keep[:40], np.stack([full[word] for word in keep[:40]]))
first.save_word2vec_format(str(out / "word2vec.bin"), binary=True)
first.save_word2vec_format(str(out / "word2vec.txt"), binary=False)


def row(asked, near):
    return "\t".join([asked] + [f"{word} {cosine:.6f}" for word, cosine in near]) + "\n"


for name, vectors in (("neighbours.tsv", small), ("top20k.tsv", full)):
    (out / name).write_text("".join(row(word, vectors.most_similar(word, topn=10)) for word in words))
analogies = (line.split() for line in ANALOGIES)
(out / "analogies.tsv").write_text(
    "".join(row(f"{a} {b} {c}", full.most_similar(positive=[a, c], negative=[b], topn=5)) for a, b, c in analogies)
)
