//! Wrong and hostile input: one clear line, exit code 2, nothing lost, nothing half-written.

use std::fs;

use crate::program::{DATA, DEMO, Scene, topgraft};

#[test]
fn folders_that_cannot_be_learned_from() {
    let scene = Scene::empty();
    scene.learn(&[]).refuses(&["photos: no class in it", "make one folder per class"]);
    scene.is_untouched();

    let missing = scene.path("nowhere");
    topgraft(["learn", missing.to_str().unwrap(), "-o", scene.head().to_str().unwrap()])
        .refuses(&["nowhere: no such folder", "one folder of photos per class"]);
    let file = format!("{DATA}/tiny.onnx");
    topgraft(["learn", &file, "-o", scene.head().to_str().unwrap()]).refuses(&["tiny.onnx: is a file"]);

    let one_class = Scene::with_photos(&["birds"], 3);
    one_class.learn(&[]).refuses(&["only one class, `birds`", "add a folder"]);
    one_class.is_untouched();

    let one_photo = Scene::with_photos(&["birds", "fish"], 2);
    one_photo.copy(format!("{DEMO}/new/tools/wrench.jpg"), "tools/wrench.jpg");
    one_photo.learn(&[]).refuses(&["class `tools` has 1 usable photo", "add photos"]);
    one_photo.is_untouched();
    fs::remove_file(one_photo.photos().join("tools/wrench.jpg")).unwrap();
    one_photo.learn(&[]).refuses(&["tools: no photo in this class", "remove the folder"]);

    let few = Scene::with_photos(&["birds", "fish"], 2);
    few.learn(&["--shots", "3"]).refuses(&["class `birds` has 2 photo(s), fewer than the 3 shots", "lower --shots"]);
    few.is_untouched();

    let loose = Scene::empty();
    loose.copy(format!("{DEMO}/new/tools/wrench.jpg"), "wrench.jpg");
    loose.learn(&[]).refuses(&["holds 1 photos but no class"]);
}

#[test]
fn photos_that_cannot_be_read_are_named_skipped_and_counted() {
    let scene = Scene::with_photos(&["birds", "tools"], 4);
    scene.copy(format!("{DATA}/formats/truncated.jpg"), "birds/cut_off.jpg");
    scene.copy(format!("{DATA}/formats/text.jpg"), "tools/text.jpg");
    scene.copy(format!("{DATA}/formats/empty.jpg"), "tools/empty.jpg");
    scene.copy(format!("{DATA}/formats/huge_header.png"), "tools/huge_header.png");
    let run = scene.learn(&["--json"]);
    assert_eq!(run.code, 2, "the exit code says so");
    let lines: Vec<_> = run.stderr.lines().collect();
    assert_eq!(lines.len(), 4, "{}", run.stderr);
    for (line, name) in lines.iter().zip(["cut_off.jpg", "empty.jpg", "huge_header.png", "text.jpg"]) {
        assert!(line.starts_with("topgraft: skipped ") && line.contains(name), "{line}");
    }
    let json = run.json();
    assert_eq!((json["n_samples"].as_u64(), json["skipped"].as_array().unwrap().len()), (Some(8), 4));
    assert!(json["skipped"][0]["error"].as_str().unwrap().contains("cut_off.jpg"));
    // The head was learned from the good ones and is the same as without the others.
    let head = fs::read(scene.head()).unwrap();
    let clean = Scene::with_photos(&["birds", "tools"], 4);
    clean.learn(&[]).succeeds();
    assert_eq!(fs::read(clean.head()).unwrap(), head);

    let text = scene.learn(&["--force"]);
    assert_eq!(text.code, 2);
    assert!(text.stdout.contains("4 of 12 photos could not be read"), "{}", text.stdout);

    let head = scene.head();
    let run = topgraft(["eval", "-m", head.to_str().unwrap(), scene.photos().to_str().unwrap(), "--json"]);
    assert_eq!((run.code, run.json()["skipped"].as_array().unwrap().len()), (2, 4));
    let run = topgraft(["classify", "-m", head.to_str().unwrap(), scene.photos().to_str().unwrap(), "--json"]);
    assert_eq!(run.code, 2);
    let errors = run.json_lines().iter().filter(|line| line["error"].is_string()).count();
    assert_eq!((run.json_lines().len(), errors), (12, 4));
}

#[test]
fn a_class_that_is_left_with_one_photo_is_refused_and_no_head_is_written() {
    let scene = Scene::with_photos(&["birds", "tools"], 2);
    let photo = fs::read_dir(scene.photos().join("tools")).unwrap().next().unwrap().unwrap().path();
    fs::write(&photo, "not a photo").unwrap();
    let run = scene.learn(&[]);
    assert_eq!(run.code, 2);
    let lines: Vec<_> = run.stderr.lines().collect();
    assert_eq!(lines.len(), 2, "{}", run.stderr);
    assert!(lines[0].contains("skipped") && lines[1].contains("class `tools` has 1 usable photo"), "{}", run.stderr);
    scene.is_untouched();
}

#[test]
fn a_head_file_is_never_written_over_or_half_written() {
    let scene = Scene::with_photos(&["birds", "tools"], 2);
    fs::write(scene.head(), "mine").unwrap();
    scene.learn(&[]).refuses(&["test.graft: is there already", "--force"]);
    assert_eq!(fs::read(scene.head()).unwrap(), b"mine");
    fs::remove_file(scene.head()).unwrap();

    let photos = scene.photos();
    let learn_to = |to: &str| topgraft(["learn", photos.to_str().unwrap(), "-o", scene.path(to).to_str().unwrap()]);
    learn_to("no/folder/x.graft").refuses(&["no/folder: no such folder"]);
    let photos_again = topgraft(["learn", photos.to_str().unwrap(), "-o", photos.to_str().unwrap(), "--force"]);
    photos_again.refuses(&["photos: is a folder"]);
    scene.is_untouched();
}

#[test]
fn folders_that_cannot_be_reviewed() {
    let scene = Scene::with_photos(&["birds"], 3);
    let review =
        |scene: &Scene, more: &[&str]| topgraft(["review", scene.photos().to_str().unwrap()].iter().chain(more));
    topgraft(["review", "/no/such/folder"]).refuses(&["/no/such/folder: no such folder"]);
    review(&scene, &[]).refuses(&["only one class, `birds`"]);
    let scene = Scene::with_photos(&["birds", "tools"], 2);
    review(&scene, &["--cut", "feature"]).refuses(&["no layer feature"]);
    assert_eq!(review(&scene, &["--top", "0"]).code, 2);
    scene.copy(format!("{DATA}/formats/truncated.jpg"), "birds/cut_off.jpg");
    let run = review(&scene, &["--json"]);
    assert_eq!((run.code, run.json()["n_samples"].as_u64()), (2, Some(4)));
    assert!(run.json()["skipped"][0]["path"].as_str().unwrap().ends_with("cut_off.jpg"), "{}", run.stdout);
    assert!(run.stderr.starts_with("topgraft: skipped ") && run.stderr.lines().count() == 1, "{}", run.stderr);
    fs::write(scene.photos().join("tools").read_dir().unwrap().next().unwrap().unwrap().path(), "text").unwrap();
    let run = review(&scene, &[]);
    assert_eq!((run.code, run.stdout.as_str()), (2, ""));
    assert!(run.stderr.contains("class `tools` has 1 usable photo"), "{}", run.stderr);
}

#[test]
fn damaged_head_files() {
    let scene = Scene::with_photos(&["birds", "tools"], 2);
    scene.learn(&[]).succeeds();
    let sound = fs::read(scene.head()).unwrap();
    let photo = format!("{DEMO}/new/birds/pigeon.jpg");
    let damaged = scene.path("damaged.graft");
    let damaged = damaged.to_str().unwrap();
    let classify = || topgraft(["classify", "-m", damaged, &photo]);

    classify().refuses(&["damaged.graft", "No such file", "topgraft learn"]);
    fs::write(damaged, &sound[..sound.len() / 2]).unwrap();
    classify().refuses(&["damaged.graft: cut off", "teach it again"]);
    topgraft(["inspect", damaged]).refuses(&["damaged.graft: cut off"]);
    topgraft(["eval", "-m", damaged, DEMO]).refuses(&["damaged.graft: cut off"]);
    let mut flipped = sound.clone();
    flipped[sound.len() / 2] ^= 0x10;
    fs::write(damaged, &flipped).unwrap();
    classify().refuses(&["damaged.graft: damaged: its checksum"]);
    fs::write(damaged, "hello").unwrap();
    classify().refuses(&["damaged.graft: not a head file"]);
    fs::write(damaged, "").unwrap();
    classify().refuses(&["damaged.graft: not a head file"]);
    topgraft(["inspect", DATA]).refuses(&[DATA]);
}

#[test]
fn a_head_on_the_wrong_trunk() {
    let scene = Scene::with_photos(&["birds", "tools"], 2);
    scene.learn(&[]).succeeds();
    let (head, tiny) = (scene.head(), format!("{DATA}/tiny.onnx"));
    let photo = format!("{DEMO}/new/birds/pigeon.jpg");
    let words =
        ["taught on backbone `efficientnet_lite0` cut at `features`", "this `tiny` is another network", "--backbone"];
    topgraft(["classify", "-m", head.to_str().unwrap(), "--backbone", &tiny, &photo]).refuses(&words);
    topgraft(["eval", "-m", head.to_str().unwrap(), "--backbone", &tiny, DEMO]).refuses(&["no class of that name"]);
    let new = format!("{DEMO}/new");
    let mut of_two = Scene::with_photos(&["birds", "tools"], 2).photos();
    of_two.clone_from(&scene.photos());
    topgraft(["eval", "-m", head.to_str().unwrap(), "--backbone", &tiny, of_two.to_str().unwrap()]).refuses(&words);
    topgraft(["eval", "-m", head.to_str().unwrap(), &new])
        .refuses(&["fish: the head knows no class of that name, only birds, tools"]);
}

#[test]
fn files_that_are_no_network_and_layers_that_are_not_there() {
    let scene = Scene::with_photos(&["birds", "tools"], 2);
    let text = scene.path("model.onnx");
    fs::write(&text, "this is not a network").unwrap();
    let text = text.to_str().unwrap();
    scene.learn(&["--backbone", text]).refuses(&["model.onnx", "not an ONNX network"]);
    topgraft(["layers", text]).refuses(&["model.onnx", "not an ONNX network"]);
    let tiny = fs::read(format!("{DATA}/tiny.onnx")).unwrap();
    fs::write(text, &tiny[..tiny.len() / 2]).unwrap();
    topgraft(["layers", text]).refuses(&["model.onnx", "not an ONNX network"]);
    topgraft(["layers", "/no/such/model.onnx"]).refuses(&["/no/such/model.onnx"]);
    topgraft(["layers", &format!("{DATA}/tiny_two_inputs.onnx")]).refuses(&["2 inputs"]);
    fs::remove_file(text).unwrap();

    scene.learn(&["--cut", "feature"]).refuses(&["no layer feature", "nearest names are features"]);
    scene.learn(&["--cut", "b1_expnd"]).refuses(&["no layer b1_expnd", "b1_expand"]);
    scene.is_untouched();
}

#[test]
fn wrong_usage() {
    for args in [
        &["learn"][..],
        &["classify", "x.jpg"],
        &["unknown"],
        &["learn", "x", "-o", "y", "--shots", "1"],
        &["learn", "x", "-o", "y", "--unknown-rate", "50"],
        &["learn", "x", "-o", "y", "--unknown-rate", "NaN"],
    ] {
        let run = topgraft(args);
        assert_eq!(run.code, 2, "{args:?}");
        assert!(run.stderr.contains("error:") && run.stdout.is_empty(), "{}", run.stderr);
    }
    let scene = Scene::with_photos(&["birds", "tools"], 2);
    scene.learn(&[]).succeeds();
    let run =
        topgraft(["classify", "-m", scene.head().to_str().unwrap(), "/no/photo.jpg", scene.path("").to_str().unwrap()]);
    assert_eq!(run.code, 2);
    assert_eq!(run.stdout.lines().count(), 4, "the folder's photos are classified all the same");
    assert!(run.stderr.contains("/no/photo.jpg") && run.stderr.lines().count() == 1, "{}", run.stderr);
}
