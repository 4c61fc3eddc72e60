//! Necks: developed on a source task, reused on others.

use std::fmt::Write;
use std::fs;
use std::path::Path;

use crate::program::{DATA, DEMO, Run, Scene, topgraft};

/// `n` rows of four numbers. The class is whether the first two have the same sign, which no line tells.
fn signs(n: usize, seed: u64, [differ, agree]: [&str; 2]) -> String {
    let mut state = seed;
    let mut random = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f64 / f64::from(1 << 23) - 1.0
    };
    let mut csv = "a,b,c,d,kind\n".to_owned();
    for _ in 0..n {
        let [a, b, c, d] = [(); 4].map(|()| random());
        writeln!(csv, "{a},{b},{c},{d},{}", if a * b > 0.0 { agree } else { differ }).unwrap();
    }
    csv
}

/// A folder with `source.csv`.
fn scene(source: &str) -> Scene {
    let scene = Scene::empty();
    fs::write(scene.path("source.csv"), source).unwrap();
    scene
}

fn text(path: impl AsRef<Path>) -> String {
    path.as_ref().to_str().unwrap().to_owned()
}

/// `topgraft develop --source SOURCE -o NECK` in a scene, with settings that suit few rows, unless `more` has them.
fn develop(scene: &Scene, source: &str, neck: &str, more: &[&str]) -> Run {
    let (source, neck) = (text(scene.path(source)), text(scene.path(neck)));
    let quick = [("--hidden", "32"), ("--learning-rate", "0.01"), ("--dropout", "0.1"), ("--epochs", "80")];
    let quick = quick.iter().filter(|(option, _)| !more.contains(option)).flat_map(|(option, value)| [option, value]);
    topgraft(["develop", "--source", &source, "-o", &neck].iter().chain(quick).chain(more))
}

#[test]
fn a_neck_tells_what_no_line_parts_and_serves_another_task() {
    let scene = scene(&signs(600, 1, ["unlike", "alike"]));
    let json = develop(&scene, "source.csv", "neck.graft", &["--json"]).succeeds().json();
    assert_eq!(json["verdict"], "helps", "{json}");
    let accuracy = |model: &str| json[model]["accuracy"].as_f64().unwrap();
    assert!(accuracy("neck") > 0.85 && accuracy("linear") < 0.7 && accuracy("naive") < 0.65, "{json}");
    assert!((json["gain"].as_f64().unwrap() - (accuracy("neck") - accuracy("linear"))).abs() < 1e-12);
    assert_eq!(json["split"], serde_json::json!({ "train": 360, "validation": 120, "test": 120 }));
    assert!(json["best_epoch"].as_u64() <= json["epochs"].as_u64() && json["epochs"].as_u64() <= Some(80));
    assert_eq!((json["feature_dim"].as_u64(), json["hidden_dim"].as_u64()), (Some(4), Some(32)));
    let shown = develop(&scene, "source.csv", "neck.graft", &["--force"]).succeeds().stdout;
    for words in
        ["600 rows of 2 classes", "verdict    the neck helps: ", "above the linear head (p = ", "naive ", "written"]
    {
        assert!(shown.contains(words), "{words} is not in\n{shown}");
    }

    // Another task, of few rows and other names.
    fs::write(scene.path("few.csv"), signs(40, 2, ["no", "yes"])).unwrap();
    fs::write(scene.path("new.csv"), signs(300, 3, ["no", "yes"])).unwrap();
    let [neck, few, new, head, plain] =
        ["neck.graft", "few.csv", "new.csv", "b.graft", "plain.graft"].map(|name| text(scene.path(name)));
    let learned = topgraft(["learn", "--trunk", &neck, &few, "-o", &head, "--json"]).succeeds().json();
    assert_eq!((&learned["fingerprint"], learned["feature_dim"].as_u64()), (&json["fingerprint"], Some(32)));
    assert_eq!(learned["neck"]["trunk"], json["trunk"]);
    topgraft(["learn", &few, "-o", &plain]).succeeds();
    let accuracy = |head: &str, more: &[&str]| {
        let run = topgraft(["eval", "-m", head, &new, "--json"].iter().chain(more)).succeeds();
        run.json()["accuracy"].as_f64().unwrap()
    };
    let with_neck = accuracy(&head, &[]);
    assert!(with_neck > 0.8 && accuracy(&plain, &[]) < 0.65, "{with_neck}");
    // The head file holds the neck; to name it changes nothing.
    assert_eq!(accuracy(&head, &["--trunk", &neck]), with_neck);

    let lines = topgraft(["classify", "-m", &head, "--trunk", &neck, &new, "--json"]).succeeds().json_lines();
    assert_eq!(lines.len(), 300);
    assert!(lines[0]["path"].as_str().unwrap().ends_with("new.csv:2"), "{}", lines[0]);
    let truth = fs::read_to_string(&new).unwrap();
    let truth = truth.lines().skip(1).map(|line| line.rsplit(',').next().unwrap());
    let right = truth.zip(&lines).filter(|(class, line)| line["label"] == *class).count();
    assert_eq!(right as f64 / 300.0, with_neck);
    let shown = topgraft(["classify", "-m", &head, "--top", "1", "--no-unknown", &new]).succeeds().stdout;
    assert!(shown.lines().next().unwrap().contains("new.csv:2: "), "{shown}");

    // The neck's own file is a head of the source task.
    let own = topgraft(["eval", "-m", &neck, &text(scene.path("source.csv")), "--json"]).succeeds().json();
    assert!(own["accuracy"].as_f64().unwrap() > 0.85, "{own}");
    let inspected = topgraft(["inspect", &neck, "--json"]).succeeds().json();
    assert_eq!(
        (&inspected["neck"]["hidden_dim"], &inspected["evaluation"]["correct"]),
        (&32.into(), &json["neck"]["correct"])
    );
    assert!(topgraft(["inspect", &head]).succeeds().stdout.contains("32 units on 4 features, scaling standard"));
}

#[test]
fn a_neck_behind_a_network_goes_all_the_way() {
    let scene = Scene::empty();
    let tiny = format!("{DATA}/tiny.onnx");
    let (learn, new, neck) = (format!("{DEMO}/learn"), format!("{DEMO}/new"), text(scene.path("neck.graft")));
    let network = ["--backbone", tiny.as_str()];
    let source = ["develop", "--source", &learn, "-o", &neck, "--hidden", "16", "--epochs", "30"];
    let run = topgraft(source.iter().chain(&network).chain(&["--json"]));
    assert!(run.code == 0 && run.stderr.contains("assuming ImageNet's"), "{}", run.stderr);
    let developed = run.json();
    assert_eq!((developed["n_samples"].as_u64(), developed["feature_dim"].as_u64()), (Some(30), Some(8)));
    assert_eq!(developed["split"], serde_json::json!({ "train": 18, "validation": 6, "test": 6 }));
    // Random weights on six photos: nothing is proved, and that is said.
    assert_ne!(developed["verdict"], "helps");
    let shown = topgraft(source.iter().chain(&network).chain(&["--force"])).stdout;
    let verdict = shown.lines().find(|line| line.starts_with("verdict    ")).expect("a verdict");
    assert!(verdict.contains("nothing was learned") || verdict.contains("the neck does not help"), "{verdict}");

    let head = text(scene.head());
    let args = ["learn", "--trunk", &neck, &learn, "-o", &head, "--json"];
    let learned = topgraft(args.iter().chain(&network)).succeeds().json();
    assert_eq!((&learned["fingerprint"], learned["feature_dim"].as_u64()), (&developed["fingerprint"], Some(16)));
    let count = |more: &[&str]| {
        let run = topgraft(["classify", "-m", &head, &new, "--json"].iter().chain(&network).chain(more)).succeeds();
        run.json_lines().len()
    };
    assert_eq!((count(&[]), count(&["--trunk", &neck])), (24, 24));
    let eval = topgraft(["eval", "-m", &head, &new, "--json"].iter().chain(&network)).succeeds().json();
    assert_eq!(eval["n_samples"], 24);
    let review = topgraft(["review", "--trunk", &neck, &learn, "--json"].iter().chain(&network)).succeeds().json();
    assert_eq!(review["n_samples"], 30);

    // Another network, and another neck.
    topgraft(["classify", "-m", &head, &new]).refuses(&[
        "test.graft: ",
        "taught on backbone `tiny`",
        "another network",
    ]);
    let other = text(scene.path("other.graft"));
    let code =
        topgraft(["develop", "--source", &learn, "-o", &other, "--hidden", "16", "--seed", "1"].iter().chain(&network))
            .code;
    assert_eq!(code, 0);
    for command in ["classify", "eval"] {
        topgraft([command, "-m", &head, "--trunk", &other, &new].iter().chain(&network)).refuses(&[
            "test.graft: the head was not taught on the neck in ",
            "other.graft",
            "leave out --trunk",
        ]);
    }
    topgraft(["learn", "--trunk", &neck, &learn, "-o", &text(scene.path("x.graft"))])
        .refuses(&["neck.graft", "another network"]);
    let onnx = text(scene.path("out.onnx"));
    topgraft(["export", "-m", &head, "--onnx", &onnx].iter().chain(&network))
        .refuses(&["with a neck of 16", "cannot be carried"]);
}

#[test]
fn pixels_are_features_too() {
    let scene = Scene::empty();
    let (learn, new) = (format!("{DEMO}/learn"), format!("{DEMO}/new"));
    let [neck, head] = ["neck.graft", "b.graft"].map(|name| text(scene.path(name)));
    let args = ["develop", "--source", &learn, "--raw", "8", "-o", &neck, "--hidden", "16", "--epochs", "20", "--json"];
    let developed = topgraft(args).succeeds().json();
    assert_eq!((&developed["backbone"], developed["feature_dim"].as_u64()), (&"pixels".into(), Some(64)));
    topgraft(["learn", "--trunk", &neck, &learn, "-o", &head]).succeeds();
    assert_eq!(topgraft(["classify", "-m", &head, &new, "--json"]).succeeds().json_lines().len(), 24);
    let inspected = topgraft(["inspect", &head, "--json"]).succeeds().json();
    assert_eq!((&inspected["preprocess"]["channels"], &inspected["preprocess"]["width"]), (&"grey".into(), &8.into()));
    // Without a neck, too.
    topgraft(["learn", "--raw", "8", &learn, "-o", &head, "--force"]).succeeds();
    assert_eq!(topgraft(["eval", "-m", &head, &new, "--json"]).succeeds().json()["n_samples"], 24);

    let tiny = format!("{DATA}/tiny.onnx");
    topgraft(["classify", "-m", &head, "--backbone", &tiny, &new])
        .refuses(&["taught on backbone `pixels`", "tiny.onnx"]);
    topgraft(["learn", "--raw", "8", "--backbone", &tiny, &learn, "-o", &head])
        .refuses(&["--raw", "cannot be used with"]);
    topgraft(["learn", "--raw", "300", &learn, "-o", &head]).refuses(&["--raw", "300"]);
    let rows = text(scene.path("rows.csv"));
    fs::write(&rows, signs(20, 1, ["a", "b"])).unwrap();
    topgraft(["learn", "--trunk", &neck, &rows, "-o", &head, "--force"]).refuses(&["rows.csv: the trunk takes photos"]);
    topgraft(["eval", "-m", &neck, &rows]).refuses(&["rows.csv: the head knows no class `a`"]);
}

#[test]
fn the_same_seed_gives_the_same_neck_and_another_another() {
    let scene = scene(&signs(80, 5, ["a", "b"]));
    let neck = |seed: &str| {
        develop(&scene, "source.csv", "neck.graft", &["--seed", seed, "--epochs", "5", "--force"]).succeeds();
        fs::read(scene.path("neck.graft")).unwrap()
    };
    let first = neck("3");
    assert_eq!(neck("3"), first);
    assert_ne!(neck("4"), first);
}

#[test]
fn a_neck_that_does_not_help_says_so() {
    // The class is the sign of one number: a line is enough.
    let mut csv = "x,y,label\n".to_owned();
    for i in 0..400 {
        let x = f64::from(i * 37 % 401) - 200.0;
        writeln!(csv, "{x},{},{}", i * 53 % 97, if x > 0.0 { "up" } else { "down" }).unwrap();
    }
    let scene_of_lines = scene(&csv);
    let run = develop(&scene_of_lines, "source.csv", "neck.graft", &[]).succeeds();
    assert!(run.stdout.contains("verdict    the neck does not help: "), "{}", run.stdout);
    assert!(run.stdout.contains("which chance explains (p = ") && run.stdout.contains("learn on the trunk without it"));

    // Nothing to learn.
    let noise: String = (0..200).map(|i| format!("{},{}\n", i * 37 % 101, i * 7919 % 13 % 2)).collect();
    let scene = scene(&format!("x,label\n{noise}"));
    let json = develop(&scene, "source.csv", "neck.graft", &["--json"]).succeeds().json();
    assert_eq!(json["verdict"], "nothing-learned", "{json}");
    assert!(scene.path("neck.graft").exists());
}

#[test]
fn rows_are_scaled_as_suits_them_and_nothing_is_promised_of_noise() {
    let scene = Scene::empty();
    let learn = |name: &str, csv: &str, more: &[&str]| {
        fs::write(scene.path(name), csv).unwrap();
        let [rows, head] = [name, "x.graft"].map(|name| text(scene.path(name)));
        topgraft([&["learn", &rows, "-o", &head, "--json", "--force"], more].concat()).succeeds().json()
    };
    // Classes that only their size tells apart, which is lost when rows are scaled to length 1.
    let row = |i: usize, size: f64| size + 0.01 * (i * 37 % 11) as f64;
    let lines = |label: &str, size: f64| {
        (0..12).map(|i| format!("{},{},{label}\n", row(i, size), row(i + 5, size))).collect::<String>()
    };
    let csv = format!("x,y,label\n{}{}", lines("large", 10.0), lines("small", 1.0));
    assert_eq!(learn("sizes.csv", &csv, &[])["accuracy"], 1.0);
    assert!(learn("sizes.csv", &csv, &["--scaling", "l2"])["accuracy"].as_f64().unwrap() < 0.9);

    let noise: String = (0..60).map(|i| format!("{},{}\n", i * 37 % 101, i * 7919 % 13 % 2)).collect();
    let advice = &learn("noise.csv", &format!("x,label\n{noise}"), &[])["advice"];
    assert_eq!((&advice["more_photos"], &advice["gain"]), (&().into(), &0.0.into()));
    assert!(advice["text"].as_str().unwrap().starts_with("not shown to be better than always saying "), "{advice}");
}

/// A two-dimensional f32 array as NumPy writes it.
fn npy(rows: &[[f32; 2]]) -> Vec<u8> {
    let header = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': ({}, 2), }}", rows.len());
    let header = format!("{header:117}\n");
    let data = rows.as_flattened().iter().flat_map(|x| x.to_le_bytes()).collect::<Vec<u8>>();
    [b"\x93NUMPY\x01\0", (header.len() as u16).to_le_bytes().as_slice(), header.as_bytes(), &data].concat()
}

#[test]
fn numpy_files_are_sources_and_targets() {
    let scene = Scene::empty();
    let [x, y, neck, head] = ["x.npy", "y.txt", "neck.graft", "b.graft"].map(|name| text(scene.path(name)));
    let row = |i: usize| [(i * 37 % 101) as f32 - 50.0, (i * 53 % 97) as f32 - 48.0];
    let rows: Vec<[f32; 2]> = (0..200).map(row).collect();
    fs::write(&x, npy(&rows)).unwrap();
    let classes: Vec<&str> = rows.iter().map(|[a, b]| if a * b > 0.0 { "alike" } else { "unlike" }).collect();
    fs::write(&y, classes.join("\n")).unwrap();
    let quick = ["--hidden", "16", "--epochs", "10"];
    topgraft(["develop", "--source", &x, "--labels", &y, "-o", &neck].iter().chain(&quick)).succeeds();
    topgraft(["learn", "--trunk", &neck, &x, "--labels", &y, "-o", &head]).succeeds();
    let eval = topgraft(["eval", "-m", &head, &x, "--labels", &y, "--json"]).succeeds().json();
    assert_eq!(eval["n_samples"], 200);
    let lines = topgraft(["classify", "-m", &head, &x, "--json"]).succeeds().json_lines();
    assert!(lines[3]["path"].as_str().unwrap().ends_with("x.npy[3]"), "{}", lines[3]);

    let refused = |words: &[&str]| {
        topgraft(["learn", &x, "--labels", &y, "-o", &head, "--force"]).refuses(words);
    };
    topgraft(["learn", &x, "-o", &head, "--force"]).refuses(&["x.npy: has no labels in it; give them by --labels"]);
    fs::write(&y, "alike\n").unwrap();
    refused(&["y.txt: 1 labels for the 200 rows of", "x.npy"]);
    let whole = fs::read(&x).unwrap();
    fs::write(&x, &whole[..whole.len() - 5]).unwrap();
    refused(&["x.npy: 1595 bytes of elements, and its shape says 1600"]);
    fs::write(&x, b"text").unwrap();
    refused(&["x.npy: not a .npy file"]);
    fs::write(&x, npy(&[[1.0, f32::NAN]])).unwrap();
    refused(&["x.npy: element 1 is not finite"]);
}

#[test]
fn a_source_that_is_no_task_is_refused_with_its_line_and_column() {
    let scene = Scene::empty();
    let refused = |csv: &str, words: &[&str]| {
        fs::write(scene.path("source.csv"), csv).unwrap();
        develop(&scene, "source.csv", "neck.graft", &[]).refuses(words);
        assert!(!scene.path("neck.graft").exists());
    };
    refused("", &["source.csv: no header"]);
    refused("1,2\n3,4\n", &["source.csv: line 1 is numbers", "put a header"]);
    refused("x,y,label\n1,2,a\n1,2\n", &["source.csv: line 3 has 2 fields, and the header 3"]);
    refused("x,y,label\n1,2,a\n1,NaN,b\n", &["source.csv: line 3, column `y`: `NaN` is not finite"]);
    refused("x,y,label\n1,two,a\n", &["source.csv: line 2, column `y`: `two` is no number"]);
    let rows = |class: &str, n: usize| format!("1,2,{class}\n").repeat(n);
    refused(&format!("x,y,label\n{}", rows("a", 9)), &["source.csv: only one class, `a`"]);
    refused(&format!("x,y,label\n{}{}", rows("a", 9), rows("b", 3)), &["class `b` has 3 rows, at least 4 are needed"]);

    let photos = Scene::with_photos(&["birds", "fish"], 3);
    let [folder, neck] = [photos.photos(), photos.path("neck.graft")].map(text);
    topgraft(["develop", "--source", &folder, "-o", &neck])
        .refuses(&["class `birds` has 3 usable photos, at least 4 are needed"]);
    topgraft(["develop", "--source", &folder, "-o", &neck, "--labels", &folder])
        .refuses(&["--labels is for .npy files"]);
    photos.is_untouched();
}

#[test]
fn settings_and_places_that_mean_nothing_are_refused_before_the_work() {
    let scene = scene(&signs(60, 1, ["a", "b"]));
    let refused = |more: &[&str], words: &[&str]| develop(&scene, "source.csv", "neck.graft", more).refuses(words);
    refused(&["--hidden", "0"], &["--hidden"]);
    refused(&["--epochs", "0"], &["--epochs"]);
    refused(&["--learning-rate", "0"], &["learning rate is 0: it must be positive"]);
    refused(&["--dropout", "1"], &["dropout is 1: it must be from 0 to below 1"]);
    refused(&["--weight-decay", "inf"], &["weight decay is inf"]);
    refused(&["--validation", "0"], &["0 of the samples to validate", "must be above 0"]);
    refused(&["--validation", "0.5", "--test", "0.5"], &["their sum below 1"]);
    refused(&["--cut", "x"], &["source.csv: --cut is for photos"]);
    refused(&["--cache", &text(scene.path("c"))], &["source.csv: --cache is for photos"]);
    refused(&["--learning-rate", "1e30"], &["the neck cannot be trained: the loss was no longer finite"]);
    assert!(!scene.path("neck.graft").exists());

    fs::write(scene.path("neck.graft"), "mine").unwrap();
    refused(&[], &["neck.graft: is there already", "--force"]);
    assert_eq!(fs::read(scene.path("neck.graft")).unwrap(), b"mine");
    let source = text(scene.path("source.csv"));
    topgraft(["develop", "--source", &source, "-o", &source, "--force"])
        .refuses(&["source.csv: cannot be the neck too"]);
    topgraft(["develop", "--source", &source, "-o", "/no/folder/neck.graft"]).refuses(&["/no/folder: no such folder"]);
}

/// The file with a new length and a new checksum.
fn seal(bytes: &mut [u8]) {
    let len = bytes.len();
    bytes[12..16].copy_from_slice(&(len as u32).to_le_bytes());
    let crc = crc32fast::hash(&bytes[..len - 16]);
    bytes[len - 8..len - 4].copy_from_slice(&crc.to_le_bytes());
}

#[test]
fn a_hostile_neck_is_refused_whatever_was_done_to_it() {
    let scene = scene(&signs(60, 1, ["a", "b"]));
    develop(&scene, "source.csv", "neck.graft", &["--epochs", "2", "--hidden", "3"]).succeeds();
    let [neck, source, head] = ["neck.graft", "source.csv", "b.graft"].map(|name| text(scene.path(name)));
    let good = fs::read(&neck).unwrap();
    let refused = |bytes: &[u8], words: &[&str]| {
        fs::write(&neck, bytes).unwrap();
        topgraft(["learn", "--trunk", &neck, &source, "-o", &head]).refuses(words);
        assert!(!Path::new(&head).exists());
    };
    for len in [0, 7, 40, good.len() / 2, good.len() - 1] {
        refused(&good[..len], &["neck.graft: "]);
    }
    for at in (0..good.len()).step_by(good.len() / 25) {
        let mut bytes = good.clone();
        bytes[at] ^= 0x10;
        refused(&bytes, &["neck.graft: "]);
    }
    let chunk = good.windows(4).position(|tag| tag == b"neck").expect("the chunk");
    let changed = |at: usize, four: [u8; 4], words: &[&str]| {
        let mut bytes = good.clone();
        bytes[chunk + 8 + at..][..4].copy_from_slice(&four);
        seal(&mut bytes);
        refused(&bytes, words);
    };
    // Trunk, hidden_dim, feature_dim, kind of scaler, means.
    changed(0, [1; 4], &["the fingerprint of the trunk with its neck is out of range"]);
    changed(32, [0; 4], &["a dimension of the neck is out of range"]);
    changed(32, [0xff; 4], &["chunk neck has a wrong length"]);
    changed(36, [0xff, 0xff, 0xff, 0x7f], &["chunk neck has a wrong length"]);
    changed(40, [9, 0, 0, 0], &["kind of the neck's scaler is out of range"]);
    changed(44, f32::NAN.to_le_bytes(), &["a mean of the neck's scaler is out of range"]);
    changed(44 + 16, [0; 4], &["a scale of the neck's scaler is out of range"]);
    changed(44 + 32, f32::INFINITY.to_le_bytes(), &["a weight of the neck is out of range"]);
    let golden = fs::read(format!("{DATA}/golden.graft")).unwrap();
    refused(&golden, &["neck.graft: a head without a neck", "topgraft develop"]);
}

#[test]
fn a_head_can_start_from_another_ones_rows() {
    // Tells of the first two numbers, not always truly.
    let lines = |n: usize, seed: u64| {
        let rows = signs(n, seed, ["?", "?"]);
        let class = |row: &str| {
            let numbers: Vec<f64> = row.split(',').take(4).map(|number| number.parse().unwrap()).collect();
            if numbers[0] - 0.5 * numbers[1] + 0.8 * numbers[2].powi(3) > 0.1 { "a" } else { "b" }
        };
        let rows = rows.lines().skip(1).map(|row| row.replace('?', class(row)) + "\n");
        "a,b,c,d,kind\n".to_owned() + &rows.collect::<String>()
    };
    let scene = scene(&lines(300, 1));
    fs::write(scene.path("more.csv"), lines(400, 2)).unwrap();
    let [source, more, first, second, cold] =
        ["source.csv", "more.csv", "first.graft", "second.graft", "cold.graft"].map(|name| text(scene.path(name)));
    topgraft(["learn", "--head", "softmax", "--scaling", "standard", &source, "-o", &first]).succeeds();
    let learn = |output: &str, extra: &[&str]| {
        let run =
            topgraft(["learn", "--head", "softmax", &more, "-o", output, "--json"].iter().chain(extra)).succeeds();
        run.json()
    };
    let started = learn(&second, &["--warm-start", &first]);
    assert_eq!(started["warm_start"]["classes"], serde_json::json!(["a", "b"]));
    let [warm, cold_iterations] =
        ["iterations", "cold_iterations"].map(|key| started["warm_start"][key].as_u64().unwrap());
    assert!(warm <= cold_iterations && cold_iterations > 0, "{started}");
    // A start from another head keeps its scaling.
    let plain = learn(&cold, &["--scaling", "standard"]);
    assert!(plain["warm_start"].is_null());
    assert_eq!((&plain["accuracy"], &plain["l2"]), (&started["accuracy"], &started["l2"]));
    let shown =
        topgraft(["learn", "--head", "softmax", &more, "-o", &second, "--force", "--warm-start", &first]).succeeds();
    assert!(shown.stdout.contains("warm start from the rows of 2 classes: "), "{}", shown.stdout);

    fs::write(&source, lines(100, 1).replace(",a\n", ",x\n").replace(",b\n", ",y\n")).unwrap();
    topgraft(["learn", "--head", "softmax", &source, "-o", &cold, "--force", "--warm-start", &first])
        .refuses(&["first.graft: ", "none of its classes has the name of one here"]);
    let narrow = text(scene.path("narrow.csv"));
    fs::write(&narrow, "x,label\n1,a\n2,a\n3,b\n4,b\n").unwrap();
    topgraft(["learn", "--head", "softmax", &narrow, "-o", &cold, "--force", "--warm-start", &first])
        .refuses(&["first.graft: ", "taught on another trunk"]);
}
