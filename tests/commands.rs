//! The commands, as a user runs them.

use std::fs;
use std::path::Path;

use topgraft::learn::{Model, Panel};
use topgraft::trunk::Backbone;

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
    assert_eq!(learned["classes"][0], serde_json::json!({ "label": "birds", "photos": 5, "weight": 1.0 }));
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
fn a_head_of_nearest_neighbours_goes_all_the_way_but_out() {
    let scene = Scene::empty();
    let head = scene.head();
    let (head, learn, new) = (head.to_str().unwrap(), format!("{DEMO}/learn"), format!("{DEMO}/new"));
    let run = topgraft(["learn", &learn, "-o", head, "--head", "nearest", "--json"]).succeeds();
    let learned = run.json();
    assert_eq!((&learned["head"], learned["folds"].as_u64()), (&"nearest".into(), Some(30)));
    let k = learned["l2"].as_f64().unwrap();
    assert!([1.0, 3.0, 5.0, 9.0, 15.0].contains(&k), "{learned}");
    // Far from the naive 17 %.
    assert!(learned["accuracy"].as_f64().unwrap() >= 0.6, "{learned}");
    assert!(learned["unknown"]["threshold"].is_number() && learned["curve"].is_object(), "{learned}");
    let bytes = fs::read(head).unwrap();
    // Two bytes a feature, and 1280 bytes of means for each of six classes.
    assert!((30 * 1280 * 2 + 6 * 1280..30 * 1280 * 2 + 6 * 1280 + 2000).contains(&bytes.len()), "{}", bytes.len());
    let text = topgraft(["learn", &learn, "-o", head, "--head", "nearest", "--force"]).succeeds().stdout;
    assert!(text.contains("training   nearest") && text.contains("to keep every photo"), "{text}");
    assert_eq!(fs::read(head).unwrap(), bytes, "the same photos give the same bytes");

    let inspected = topgraft(["inspect", head, "--json"]).succeeds().json();
    for key in ["head", "l2", "scaling", "unknown", "fingerprint", "feature_dim"] {
        assert_eq!(inspected[key], learned[key], "{key}");
    }
    assert_eq!((inspected["parameters"].as_u64(), inspected["n_classes"].as_u64()), (Some(30 * 1280), Some(6)));
    let text = topgraft(["inspect", head]).succeeds().stdout;
    assert!(
        text.contains(&format!("nearest, 1280 features, 38400 parameters; the {k} nearest of 30 photos")),
        "{text}"
    );

    let eval = topgraft(["eval", "-m", head, &new, "--json"]).succeeds().json();
    assert!(eval["accuracy"].as_f64().unwrap() >= 0.6, "{eval}");
    let lines = topgraft(["classify", "-m", head, &new, "--json", "--top", "6"]).succeeds().json_lines();
    let right = lines.iter().filter(|line| line["path"].as_str().unwrap().rsplit('/').nth(1) == line["label"].as_str());
    assert_eq!(Some(right.count() as u64), eval["correct"].as_u64());
    for line in &lines {
        let p = line["top"].as_array().unwrap().iter().map(|entry| entry["probability"].as_f64().unwrap());
        assert!((p.clone().sum::<f64>() - 1.0).abs() < 1e-5 && p.min_by(f64::total_cmp) > Some(0.0), "{line}");
    }
    assert!(topgraft(["eval", "-m", head, &new]).succeeds().stdout.contains("true class"));
}

#[test]
fn unknown_things_are_called_unknown() {
    let scene = Scene::with_photos(&["birds", "fish", "flowers", "fruit"], 5);
    let learned = scene.learn(&["--json"]).succeeds().json();
    let head = scene.head();
    let head = head.to_str().unwrap();
    // 20 photos, and 21 places for a new one among them: 5 % is one of 21.
    let rate = learned["unknown"]["rate"].as_f64().unwrap();
    assert!((rate - 1.0 / 21.0).abs() < 1e-6, "{learned}");
    assert!(learned["unknown"]["auroc"].as_f64().unwrap() > 0.7, "{learned}");
    assert!(learned["calibration"]["temperature"].as_f64().unwrap() > 0.0);
    let inspected = topgraft(["inspect", head, "--json"]).succeeds().json();
    assert_eq!(inspected["unknown"], learned["unknown"]);
    assert_eq!(inspected["calibration"]["temperature"], learned["calibration"]["temperature"]);
    let text = topgraft(["inspect", head]).succeeds().stdout;
    assert!(text.contains("temperature") && text.contains("below a score of"), "{text}");

    // A cat is none of these.
    let cat = format!("{DATA}/pillow/chelsea.png");
    let known = format!("{DEMO}/new/flowers");
    let line = topgraft(["classify", "-m", head, &cat, "--json"]).succeeds().json();
    assert_eq!(line["unknown"], true, "{line}");
    assert_eq!(line["label"], line["top"][0]["label"], "the label is there all the same");
    let text = topgraft(["classify", "-m", head, &cat]).succeeds().stdout;
    assert!(text.contains("chelsea.png: unknown (") && text.trim_end().ends_with(')'), "{text}");
    let text = topgraft(["classify", "-m", head, &cat, "--no-unknown"]).succeeds().stdout;
    assert!(!text.contains("unknown"), "{text}");
    let line = topgraft(["classify", "-m", head, &cat, "--no-unknown", "--json"]).succeeds().json();
    assert!(line["unknown"].is_null() && line["label"].is_string());
    let lines = topgraft(["classify", "-m", head, &known, "--json"]).succeeds().json_lines();
    let refused = lines.iter().filter(|line| line["unknown"] == true).count();
    assert!(refused <= 1, "{refused} of 4 flowers are unknown");

    let photos = scene.photos();
    let eval = topgraft(["eval", "-m", head, photos.to_str().unwrap(), "--json"]).succeeds().json();
    assert!(eval["unknown"]["photos"].as_u64().unwrap() <= 2, "photos that it was taught: {eval}");
    assert!(topgraft(["eval", "-m", head, photos.to_str().unwrap()]).succeeds().stdout.contains("photos refused"));

    let never = scene.learn(&["--json", "--force", "--unknown-rate", "0"]).succeeds().json();
    assert!(never["unknown"].is_null());
    let line = topgraft(["classify", "-m", head, &cat, "--json"]).succeeds().json();
    assert!(line["unknown"].is_null());
    let often = scene.learn(&["--json", "--force", "--unknown-rate", "20"]).succeeds().json();
    assert!(often["unknown"]["threshold"].as_f64() > learned["unknown"]["threshold"].as_f64());
}

#[test]
fn review_finds_swapped_labels_and_copies() {
    // Birds and flowers are told apart without a mistake; then a photo of each goes to the other, and one is there twice,
    // smaller and encoded anew.
    let scene = Scene::with_photos(&["birds", "flowers", "tools"], 5);
    let clean = topgraft(["review", scene.photos().to_str().unwrap(), "--json"]).succeeds().json();
    assert_eq!((clean["n_samples"].as_u64(), clean["n_duplicates"].as_u64()), (Some(15), Some(0)), "{clean}");

    fs::remove_file(scene.photos().join("birds/owl.jpg")).unwrap();
    fs::remove_file(scene.photos().join("flowers/marigold.jpg")).unwrap();
    scene.copy(format!("{DEMO}/learn/birds/owl.jpg"), "flowers/owl.jpg");
    scene.copy(format!("{DEMO}/learn/flowers/marigold.jpg"), "birds/marigold.jpg");
    let copy = |from: &str, to: &str| {
        let photo = image::open(format!("{DEMO}/learn/{from}")).unwrap().to_rgb8();
        let small = image::imageops::resize(&photo, 180, 180, image::imageops::FilterType::Triangle);
        let mut bytes = Vec::new();
        small.write_with_encoder(image::codecs::jpeg::JpegEncoder::new_with_quality(&mut bytes, 70)).unwrap();
        scene.write(to, &bytes);
    };
    copy("tools/hammer.jpg", "tools/hammer_copy.jpg");
    copy("birds/duck.jpg", "tools/duck_copy.jpg");
    let photos = scene.photos();
    let json = topgraft(["review", photos.to_str().unwrap(), "--json"]).succeeds().json();
    let suspects: Vec<&str> =
        json["suspects"].as_array().unwrap().iter().map(|suspect| suspect["path"].as_str().unwrap()).collect();
    for swapped in ["flowers/owl.jpg", "birds/marigold.jpg", "tools/duck_copy.jpg"] {
        assert!(suspects.iter().any(|path| path.ends_with(swapped)), "{swapped} is not in {json}");
    }
    assert_eq!(json["n_suspects"].as_u64(), Some(suspects.len() as u64), "all are listed: {json}");
    let marigold =
        json["suspects"].as_array().unwrap().iter().find(|s| s["path"].as_str().unwrap().ends_with("gold.jpg"));
    assert_eq!((&marigold.unwrap()["label"], &marigold.unwrap()["predicted"]), (&"birds".into(), &"flowers".into()));

    let groups = json["duplicates"].as_array().unwrap();
    assert_eq!(groups.len(), 2, "{json}");
    let has = |group: &serde_json::Value, names: [&str; 2]| {
        let paths: Vec<_> = group["photos"].as_array().unwrap().iter().map(|p| p["path"].as_str().unwrap()).collect();
        assert_eq!(paths.len(), 2, "{group}");
        assert!(names.iter().all(|name| paths.iter().any(|path| path.ends_with(name))), "{group}");
    };
    assert_eq!((&groups[0]["labels_differ"], &groups[1]["labels_differ"]), (&true.into(), &false.into()));
    has(&groups[0], ["birds/duck.jpg", "tools/duck_copy.jpg"]);
    has(&groups[1], ["tools/hammer.jpg", "tools/hammer_copy.jpg"]);

    let text = topgraft(["review", photos.to_str().unwrap(), "--top", "1"]).succeeds().stdout;
    assert!(text.contains("DIFFERENT LABELS") && text.contains("1 of 2 groups"), "{text}");
    assert!(text.contains("the most suspicious first") && text.contains("tools 7"), "{text}");
    let one = topgraft(["review", photos.to_str().unwrap(), "--top", "1", "--json"]).succeeds().json();
    assert_eq!((one["suspects"].as_array().unwrap().len(), &one["n_suspects"]), (1, &json["n_suspects"]));
}

#[test]
fn learn_advises_from_its_learning_curve() {
    let scene = Scene::empty();
    let (learn, head) = (format!("{DEMO}/learn"), scene.head());
    let json = topgraft(["learn", &learn, "-o", head.to_str().unwrap(), "--json"]).succeeds().json();
    let points = json["curve"]["points"].as_array().unwrap();
    let shots: Vec<f64> = points.iter().map(|point| point["shots"].as_f64().unwrap()).collect();
    assert_eq!(shots[..2], [2.0, 3.0]);
    assert!((shots[2] - 5.0 * 29.0 / 30.0).abs() < 1e-9, "{shots:?}");
    assert_eq!(points[2]["accuracy"], json["accuracy"], "the last point is the cross-validation");
    assert!(points[0]["accuracy"].as_f64() < points[2]["accuracy"].as_f64(), "{points:?}");
    let advice = &json["advice"];
    let text = topgraft(["learn", &learn, "-o", head.to_str().unwrap(), "--force"]).succeeds().stdout;
    assert!(text.contains(&format!("advice     {}", advice["text"].as_str().unwrap())), "{text}");
    assert!(advice["text"].as_str().unwrap().contains(&format!("`{}`", advice["label"].as_str().unwrap())));
    assert!(advice["gain"].as_f64().unwrap() >= 0.0);
}

#[test]
fn a_fit_says_what_it_needs_and_is_refused_above_what_is_allowed() {
    let scene = Scene::with_photos(&["birds", "tools"], 5);
    let run = scene.learn(&["--json", "--max-memory", "1G"]).succeeds();
    let needed = run.json()["memory"]["estimate"].as_u64().unwrap();
    let said = run.estimate.expect("is said");
    assert!(said.contains("10 photos of 2 classes, 1280 features, needs up to"), "{said}");
    assert!((100_000..2_000_000).contains(&needed), "{needed}");
    scene.learn(&["--force", "--max-memory", &needed.to_string()]).succeeds();

    fs::remove_file(scene.head()).unwrap();
    let refused = |more: &[&str], words: &[&str]| {
        let run = scene.learn(more);
        assert_eq!(run.estimate, None, "nothing is fitted");
        run.refuses(words);
        scene.is_untouched();
    };
    let shots =
        |shots: &str| scene.learn(&["--force", "--json", "--shots", shots]).json()["memory"]["estimate"].as_u64();
    let four = shots("4").unwrap();
    fs::remove_file(scene.head()).unwrap();
    let less = (needed - 1).to_string();
    refused(
        &["--max-memory", &less],
        &["--max-memory allows", "10 photos of 2 classes needs", "use --shots 4 (", " KB)"],
    );
    refused(&["--max-memory", &four.to_string()], &["use --shots 4 (", "or --head softmax ("]);
    refused(&["--max-memory", "1K"], &["neither fewer --shots nor another --head", "allow more"]);
    refused(&["--max-memory", "1K", "--head", "ridge"], &["--max-memory allows 1.0 KB"]);
    scene.learn(&["--max-memory", "much"]).refuses(&["give a size in bytes from 1"]);
    scene.is_untouched();

    let photos = scene.photos();
    let review = |more: &[&str]| topgraft(["review", photos.to_str().unwrap()].iter().chain(more));
    let run = review(&["--json", "--max-memory", "64MiB"]).succeeds();
    assert!(run.estimate.is_some() && run.json()["memory"]["estimate"].as_u64() >= Some(needed));
    review(&["--max-memory", "100k"]).refuses(&["--max-memory allows 100.0 KB", "review fewer photos"]);
}

#[test]
fn classes_count_as_they_are_told_to() {
    let scene = Scene::with_photos(&["birds", "tools"], 5);
    let spare = fs::read_dir(scene.photos().join("tools")).unwrap().take(3).map(|entry| entry.unwrap().path());
    spare.for_each(|path| fs::remove_file(path).unwrap());
    let weights = |more: &[&str]| {
        let json = scene.learn(&[&["--json", "--force"], more].concat()).succeeds().json();
        assert!(["softmax", "ridge"].contains(&json["head"].as_str().unwrap()), "{json}");
        assert_eq!(json["converged"], true, "{json}");
        json["classes"].as_array().unwrap().iter().map(|class| class["weight"].as_f64().unwrap()).collect::<Vec<_>>()
    };
    // Seven photos of two classes, five and two of each.
    assert_eq!(weights(&["--class-weights", "balanced"]), [0.7, 1.75]);
    let balanced = fs::read(scene.head()).unwrap();
    assert_eq!(weights(&["--class-weights", "tools=1.75,birds=0.7"]), [0.7, 1.75]);
    assert_eq!(fs::read(scene.head()).unwrap(), balanced);
    assert_eq!(weights(&["--class-weights", "tools=3", "--head", "ridge"]), [1.0, 3.0]);
    let text = scene.learn(&["--force", "--class-weights", "balanced"]).succeeds().stdout;
    assert!(text.contains("weights    birds 0.700, tools 1.750"), "{text}");

    fs::remove_file(scene.head()).unwrap();
    scene.learn(&["--class-weights", "fish=2"]).refuses(&["--class-weights: no class `fish`, only birds, tools"]);
    scene.learn(&["--class-weights", "tools=2,tools=3"]).refuses(&["`tools` is there twice"]);
    for head in ["lda", "prototype", "nearest"] {
        let refused = format!("{head} heads take none; use --head softmax, ridge or auto");
        scene.learn(&["--class-weights", "balanced", "--head", head]).refuses(&[&refused]);
    }
    scene.learn(&["--class-weights", "tools=0"]).refuses(&["from 0.0001 to 10000"]);
    scene.is_untouched();
}

#[test]
fn several_heads_share_a_pass() {
    let scene = Scene::with_photos(&["birds", "fish"], 3);
    scene.learn(&[]).succeeds();
    let other = scene.path("other.graft");
    let [photos, one, two] = [scene.photos(), scene.head(), other].map(|path| path.to_str().unwrap().to_owned());
    topgraft(["learn", &photos, "-o", &two, "--cut", "b4_project:max"]).succeeds();
    let photo = format!("{DEMO}/new/birds/pigeon.jpg");
    let classify = |heads: &[&str], more: &[&str]| {
        let heads = heads.iter().flat_map(|head| ["-m", head]);
        topgraft(["classify", &photo].into_iter().chain(heads).chain(more.iter().copied())).succeeds()
    };
    let [first, second] = [&one, &two].map(|head| classify(&[head], &["--json"]).json());
    let both = classify(&[&one, &two, &one], &["--json"]).json();
    for (head, (model, alone)) in [(&one, &first), (&two, &second), (&one, &first)].into_iter().enumerate() {
        assert_eq!(both["heads"][head]["model"], model.as_str());
        for key in ["label", "probability", "top", "unknown"] {
            assert_eq!(both["heads"][head][key], alone[key], "{key}");
        }
    }
    assert_eq!(classify(&[&one, &two], &[]).stdout.lines().count(), 2);

    let network = concat!(env!("CARGO_MANIFEST_DIR"), "/models/efficientnet_lite0.f16.onnx");
    let backbone = Backbone::open(Path::new(network)).expect("opens");
    let mut panel = Panel::default();
    for head in [&one, &two, &one] {
        let trunk = |model: &Model| anyhow::Ok(backbone.cut(&model.cut, &model.preprocess)?);
        panel.add(Model::open(Path::new(head)).expect("sound"), trunk).expect("its trunk");
    }
    let features = panel.features(&[&photo, &photo], || {});
    assert_eq!(
        panel.trunks().iter().map(|trunk| trunk.passes()).collect::<Vec<_>>(),
        [2, 2],
        "three heads, two trunks"
    );
    let predictions = panel.predict(features[0].as_ref().expect("a photo")).expect("finite");
    assert!(predictions.len() == 3 && predictions[0] == predictions[2]);
    let other_trunk = |_: &Model| anyhow::Ok(backbone.cut("b4_project", &backbone.preprocess().0)?);
    assert!(Panel::default().add(Model::open(Path::new(&one)).expect("sound"), other_trunk).is_err());
}

#[test]
fn a_network_of_grey_pictures_learns_too() {
    let scene = Scene::with_photos(&["birds", "tools"], 4);
    let network = format!("{DATA}/tiny_grey.onnx");
    let run = scene.learn(&["--backbone", &network]);
    assert!(run.code == 0 && run.stderr.contains("assuming"), "{}", run.stderr);
    let head = scene.head();
    let args = ["classify", "-m", head.to_str().unwrap(), "--backbone", &network, "--json"];
    let photo = format!("{DEMO}/new/birds/crowned_crane.jpg");
    let run = topgraft(args.iter().copied().chain([photo.as_str()]));
    assert_eq!((run.code, run.json_lines().len()), (0, 1), "{}", run.stderr);
    let inspected = topgraft(["inspect", head.to_str().unwrap(), "--json"]).succeeds().json();
    assert_eq!(inspected["preprocess"]["channels"], "grey");
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
    for scaling in ["standard", "none", "centred-l2", "l2", "auto"] {
        let learned = scene.learn(&["--scaling", scaling, "--force", "--json"]).succeeds().json();
        assert!(scaling == "auto" || learned["scaling"] == scaling, "{learned}");
        let inspected = topgraft(["inspect", head.to_str().unwrap(), "--json"]).succeeds().json();
        assert_eq!(inspected["scaling"], learned["scaling"]);
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
