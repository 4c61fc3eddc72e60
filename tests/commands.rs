//! The commands, as a user runs them.

use std::fs;

use crate::program::{DATA, DEMO, Scene, topgraft};

#[test]
fn demo_teaches_and_recognises_photos_that_it_has_not_seen() {
    let run = topgraft(["demo"]).succeeds();
    for words in
        ["classes    6, shots: birds 5, fish 5", "leave-one-out", "95 % interval", "naive      16.7 %", "right"]
    {
        assert!(run.stdout.contains(words), "{words} is not in\n{}", run.stdout);
    }
    let json = topgraft(["demo", "--json"]).succeeds().json();
    // scikit-learn gets 83 % of the 24 new photos right, and as much on left-out ones; far from the naive 17 %.
    assert!(json["new"]["accuracy"].as_f64().unwrap() >= 0.75, "{json}");
    assert!(json["accuracy"].as_f64().unwrap() >= 0.7, "{json}");
    assert_eq!(json["baseline"].as_f64().unwrap(), 5.0 / 30.0);
    assert_eq!(json["new"]["predictions"].as_array().unwrap().len(), 24);
}

#[test]
fn a_head_goes_all_the_way_from_photos_to_predictions() {
    let scene = Scene::empty();
    let head = scene.head();
    let (head, learn, new) = (head.to_str().unwrap(), format!("{DEMO}/learn"), format!("{DEMO}/new"));

    let learned = topgraft(["learn", &learn, "-o", head, "--json"]).succeeds().json();
    assert_eq!(learned["n_samples"], 30);
    assert_eq!(learned["classes"][0], serde_json::json!({ "label": "birds", "photos": 5 }));
    assert_eq!((learned["folds"].as_u64(), learned["converged"].as_bool()), (Some(30), Some(true)));
    let [low, high] = [0, 1].map(|i| learned["interval"][i].as_f64().unwrap());
    let accuracy = learned["accuracy"].as_f64().unwrap();
    assert!(0.0 < low && low < accuracy && accuracy < high && high < 1.0);

    let inspected = topgraft(["inspect", head, "--json"]).succeeds().json();
    assert_eq!(inspected["fingerprint"], learned["fingerprint"]);
    assert_eq!(inspected["labels"], serde_json::json!(["birds", "fish", "flowers", "fruit", "tools", "vegetables"]));
    assert_eq!(inspected["evaluation"]["accuracy"], learned["accuracy"]);
    assert_eq!(inspected["preprocess"]["resize"]["fraction"], 0.875);
    let text = topgraft(["inspect", head]).succeeds().stdout;
    assert!(text.contains("efficientnet_lite0") && text.contains("birds, fish"), "{text}");

    let lines = topgraft(["classify", "-m", head, &new, "--json", "--top", "2"]).succeeds().json_lines();
    assert_eq!(lines.len(), 24);
    for line in &lines {
        assert_eq!(line["top"].as_array().unwrap().len(), 2);
        assert_eq!((&line["top"][0]["label"], &line["top"][0]["probability"]), (&line["label"], &line["probability"]));
        assert!(line["top"][0]["probability"].as_f64() >= line["top"][1]["probability"].as_f64());
    }
    let right = |line: &&serde_json::Value| {
        let class = line["path"].as_str().unwrap().rsplit('/').nth(1);
        line["label"].as_str() == class
    };
    let correct = lines.iter().filter(right).count();

    let eval = topgraft(["eval", "-m", head, &new, "--json"]).succeeds().json();
    assert_eq!(eval["correct"], correct);
    assert_eq!((eval["n_samples"].as_u64(), eval["per_class"][0]["support"].as_u64()), (Some(24), Some(4)));
    let diagonal: u64 = (0..6).map(|i| eval["confusion"][i][i].as_u64().unwrap()).sum();
    assert_eq!(diagonal, correct as u64);
    let text = topgraft(["eval", "-m", head, &new]).succeeds().stdout;
    assert!(text.contains("precision") && text.contains("true class"), "{text}");

    let photo = format!("{new}/birds/pigeon.jpg");
    let text = topgraft(["classify", "-m", head, &photo]).succeeds().stdout;
    assert!(text.contains("pigeon.jpg: birds ") && text.lines().count() == 1, "{text}");
}

#[test]
fn the_same_photos_give_the_same_bytes() {
    let scene = Scene::with_photos(&["birds", "tools"], 4);
    scene.learn(&["--shots", "3", "--seed", "5"]).succeeds();
    let first = fs::read(scene.head()).unwrap();
    scene.learn(&["--shots", "3", "--seed", "5", "--force"]).succeeds();
    assert_eq!(fs::read(scene.head()).unwrap(), first);
    let other_seeds = (6..12).map(|seed| {
        scene.learn(&["--shots", "3", "--seed", &seed.to_string(), "--force"]).succeeds();
        fs::read(scene.head()).unwrap()
    });
    assert!(other_seeds.into_iter().any(|head| head != first), "the seed changes nothing");
}

#[test]
fn imagenet_names_what_the_backbone_was_trained_on() {
    let cat = format!("{DATA}/pillow/chelsea.png");
    let line = topgraft(["classify", "--imagenet", "--json", &cat]).succeeds().json();
    let top: Vec<_> = line["top"].as_array().unwrap().iter().map(|entry| entry["label"].as_str().unwrap()).collect();
    assert_eq!(top.len(), 5);
    assert!(top.contains(&"Egyptian cat") || top.contains(&"tabby"), "{top:?}");
}

#[test]
fn layers_lists_every_cut_with_its_cost() {
    let json = topgraft(["layers", "--json"]).succeeds().json();
    assert_eq!(json["default_cut"], "features");
    let layers = json["layers"].as_array().unwrap();
    let by_name = |name: &str| layers.iter().find(|layer| layer["name"] == name).unwrap();
    let features = by_name("features");
    assert_eq!(
        (features["shape"].clone(), features["feature_dim"].as_u64()),
        (serde_json::json!([1, 1280]), Some(1280))
    );
    // EfficientNet-Lite0 has 4.7 M parameters and 407 M multiply-adds as published (tensorflow/tpu, efficientnet/lite);
    // 1.28 M of both are the classifier's.
    let logits = by_name("logits");
    let near = |number: &serde_json::Value, expected: f64| (number.as_f64().unwrap() / expected - 1.0).abs() < 0.06;
    assert!(near(&logits["parameters"], 4.652e6), "{logits}");
    assert!(near(&logits["multiply_adds"], 407e6), "{logits}");
    let difference = logits["parameters"].as_u64().unwrap() - features["parameters"].as_u64().unwrap();
    assert_eq!(difference, 1280 * 1000 + 1000);
    let text = topgraft(["layers", &format!("{DATA}/tiny.onnx")]).succeeds().stdout;
    assert!(text.contains("multiply-adds") && text.contains('*'), "{text}");
}

#[test]
fn another_backbone_and_another_cut_make_heads_of_their_own() {
    let scene = Scene::with_photos(&["birds", "tools"], 5);
    let json = scene.learn(&["--cut", "b10_add", "--json"]).succeeds().json();
    assert_eq!((json["cut"].as_str().unwrap().starts_with("b10_add"), json["feature_dim"].as_u64()), (true, Some(112)));
    let head = scene.head();
    let photo = format!("{DEMO}/new/birds/pigeon.jpg");
    topgraft(["classify", "-m", head.to_str().unwrap(), &photo]).succeeds();

    let tiny = format!("{DATA}/tiny.onnx");
    let run = scene.learn(&["--backbone", &tiny, "--force", "--json"]);
    assert_eq!(run.code, 0, "{}", run.stderr);
    assert!(run.stderr.contains("warning") && run.stderr.contains("catalog.toml"), "{}", run.stderr);
    topgraft(["classify", "-m", head.to_str().unwrap(), "--backbone", &tiny, &photo]).succeeds();
    for scaling in ["standard", "none"] {
        scene.learn(&["--scaling", scaling, "--force"]).succeeds();
        let inspected = topgraft(["inspect", head.to_str().unwrap(), "--json"]).succeeds().json();
        assert_eq!(inspected["scaling"], scaling);
        topgraft(["classify", "-m", head.to_str().unwrap(), &photo]).succeeds();
    }
}

#[test]
fn the_default_cut_is_the_layer_that_layers_stars_whatever_the_names_are() {
    let scene = Scene::with_photos(&["birds", "tools"], 2);
    // All nodes have one name; the node that makes the features has the name of another one's output.
    for file in ["tiny_same_names.onnx", "tiny_crossed.onnx"] {
        let file = format!("{DATA}/{file}");
        let listed = topgraft(["layers", &file]).succeeds().stdout;
        let starred: Vec<_> = listed.lines().filter(|line| line.starts_with("*  ")).collect();
        assert_eq!(starred.len(), 1, "{listed}");
        assert!(starred[0].contains("Flatten"), "{listed}");
        assert_eq!(topgraft(["layers", &file, "--json"]).succeeds().json()["default_cut"], "features");
        let learned = scene.learn(&["--backbone", &file, "--json", "--force"]).json();
        assert_eq!((&learned["cut"], learned["feature_dim"].as_u64()), (&"features".into(), Some(8)));
    }
}

#[test]
fn a_network_that_makes_probabilities_itself_is_taken_at_its_word() {
    let scene = Scene::empty();
    let photo = format!("{DATA}/pillow/chelsea.png");
    let of = |file: &str| {
        let catalog = format!(
            "[[backbone]]\nname = 'net'\nfile = '{file}'\nlabels = 'four.txt'\nmean = [127, 127, 127]\nscale = [9, 9, 9]\n\
             input = {{ width = 16, height = 16, layout = 'nchw', channels = 'rgb' }}\nresize = {{ rule = 'squeeze' }}\n\
             filter = 'bilinear'\n"
        );
        fs::write(scene.path("catalog.toml"), catalog).unwrap();
        fs::write(scene.path("four.txt"), "a\nb\nc\nd\n").unwrap();
        let path = scene.path(file);
        fs::copy(format!("{DATA}/{file}"), &path).unwrap();
        let args = ["classify", "--imagenet", "--json", "--top", "4", "--backbone", path.to_str().unwrap(), &photo];
        let top = topgraft(args).succeeds().json()["top"].clone();
        ["a", "b", "c", "d"].map(|label| {
            let entry = top.as_array().unwrap().iter().find(|entry| entry["label"] == label).unwrap();
            entry["probability"].as_f64().unwrap()
        })
    };
    let (logits, softmax, sigmoid) = (of("tiny.onnx"), of("tiny_softmax.onnx"), of("tiny_sigmoid.onnx"));
    assert!(logits.iter().zip(softmax).all(|(a, b)| (a - b).abs() < 1e-5), "{logits:?} {softmax:?}");
    // The odds of a sigmoid are e to the logit.
    let odds = sigmoid.map(|p| p / (1.0 - p));
    let near = |i: usize| (odds[i] / odds[0] / (logits[i] / logits[0]) - 1.0).abs() < 1e-2;
    assert!((1..4).all(near), "{logits:?} {sigmoid:?}");
}
