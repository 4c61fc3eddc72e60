//! Source models: how much of one to use, and which.

use serde_json::Value;

use crate::program::{DATA, Scene, topgraft};

fn number(of: &Value, key: &str) -> f64 {
    of[key].as_f64().unwrap_or_else(|| panic!("{key} in {of}"))
}

#[test]
fn probe_measures_cuts_as_learn_does_and_recommends_one_of_them() {
    let scene = Scene::with_photos(&["birds", "fish", "tools"], 5);
    let photos = scene.photos();
    let photos = photos.to_str().unwrap();
    let json = topgraft(["probe", photos, "--cuts", "3", "--json"]).succeeds().json();
    let cuts = json["cuts"].as_array().unwrap();
    // Two maps, each pooled in three ways, the features, and the two best together, which are read last.
    assert_eq!((cuts.len(), json["n_samples"].as_u64()), (2 * 3 + 1 + 1, Some(15)));
    assert!(cuts[..7].is_sorted_by_key(|cut| cut["multiply_adds"].as_u64()), "{json}");
    let parts: Vec<usize> = cuts.iter().map(|cut| cut["layers"].as_array().unwrap().len()).collect();
    assert_eq!(parts, [1, 1, 1, 1, 1, 1, 1, 2]);
    // What is recommended is the deepest, or has a lower loss than that.
    let recommended = cuts.iter().find(|cut| cut["cut"] == json["recommended"]).expect("is one of them");
    assert!(number(recommended, "log_loss") <= number(&cuts[6], "log_loss"), "{json}");
    for cut in [&cuts[1], &cuts[2], &cuts[6], &cuts[7]] {
        let name = cut["cut"].as_str().unwrap();
        let learned = scene.learn(&["--cut", name, "--force", "--json"]).succeeds().json();
        assert_eq!(learned["feature_dim"], cut["feature_dim"]);
        assert_eq!(learned["head"], cut["head"], "{name}");
        assert!((number(&learned, "accuracy") - number(cut, "accuracy")).abs() < 1e-9, "{name}");
    }
    let text = topgraft(["probe", photos, "--cut", "b4_project", "--cut", "features"]).succeeds().stdout;
    assert!(
        text.contains("b4_project+features") && text.contains("topgraft learn --cut ") && text.contains("in one pass")
    );
    assert_eq!(text.lines().filter(|line| line.starts_with('*')).count(), 2, "{text}");

    let refuses = |args: &[&str], words: &[&str]| topgraft([&["probe", photos], args].concat()).refuses(words);
    refuses(&["--cut", "b99"], &["b99", "efficientnet_lite0"]);
    refuses(&["--cut", "features:max"], &["no map at layer features", "1x1280"]);
    refuses(&["--cuts", "0"], &["--cuts"]);
    refuses(&["--pooling", "mean"], &["--pooling", "pyramid"]);
    refuses(&["--cuts", "3", "--cut", "features"], &["cannot be used with"]);
    topgraft(["probe", "/no/folder"]).refuses(&["/no/folder: no such folder"]);
}

#[test]
fn select_ranks_networks_by_log_me_and_has_the_accuracy_that_learn_reports() {
    let scene = Scene::with_photos(&["birds", "fish", "tools"], 5);
    let photos = scene.photos();
    let photos = photos.to_str().unwrap();
    let [tiny, separable] = ["tiny", "tiny_separable"].map(|name| format!("{DATA}/{name}.onnx"));
    // Nothing is known of how the tiny networks want their pictures, which is said.
    let run = topgraft(["select", &tiny, "efficientnet_lite0", &separable, "--json", "--", photos]);
    assert_eq!((run.code, run.stderr.matches("warning: nothing is known").count()), (0, 2), "{}", run.stderr);
    let json = run.json();
    let models = json["models"].as_array().unwrap();
    assert_eq!((models.len(), &json["best"]), (3, &models[0]["model"]));
    // Random weights are worth less than ImageNet's.
    assert_eq!(json["best"], "efficientnet_lite0");
    assert!(models.is_sorted_by(|a, b| number(a, "log_me") >= number(b, "log_me")), "{json}");
    for model in models {
        let beaten = models.iter().any(|other| {
            let [faster, better] =
                [["milliseconds"; 2], ["log_me"; 2]].map(|[key, _]| (number(model, key), number(other, key)));
            (faster.1 < faster.0 && better.1 >= better.0) || (faster.1 <= faster.0 && better.1 > better.0)
        });
        assert_eq!(model["pareto"], !beaten, "{json}");
    }
    let learned = scene.learn(&["--json"]).succeeds().json();
    assert!((number(&learned, "accuracy") - number(&models[0], "accuracy")).abs() < 1e-9);
    assert!(number(&models[0], "log_me") > number(&models[2], "log_me") && number(&models[0], "h_score") > 0.0);

    let text = topgraft(["select", "efficientnet_lite0", "--", photos]).succeeds().stdout;
    assert!(text.contains("LogME") && text.contains("topgraft learn --backbone efficientnet_lite0"), "{text}");
    topgraft(["select", "--", photos]).refuses(&["MODEL"]);
    topgraft(["select", &tiny]).refuses(&["PHOTOS"]);
    topgraft(["select", "no.onnx", "--", photos]).refuses(&["no.onnx"]);
}
