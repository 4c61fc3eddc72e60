//! `topgraft teach`, `topgraft store`, `topgraft config`.

use std::fs;
use std::io::Write;

use serde_json::json;
use zip::write::SimpleFileOptions;

use super::{Bench, names, photos};
use crate::program::{DEMO, Scene, topgraft};

#[test]
fn photos_are_taught_and_the_head_is_that_of_learn() {
    let bench = Bench::new();
    let run = bench.teach("fish", &photos("fish"), &[]).succeeds();
    assert!(run.stdout.contains("taught     fish: 5 new, 0 known"), "{}", run.stdout);
    assert!(run.stdout.contains("it takes two classes"), "{}", run.stdout);
    let head = bench.path("x.graft");
    let run = bench.teach("birds", &photos("birds"), &["-o", head.to_str().unwrap(), "--json"]).succeeds().json();
    assert_eq!((&run["new"], &run["known"], &run["class"]), (&json!(5), &json!(0), &json!("birds")));
    assert_eq!(run["classes"], json!([{ "name": "birds", "samples": 5 }, { "name": "fish", "samples": 5 }]));
    assert_eq!(run["evaluation"]["n_samples"], 10);
    // The same photos, exported, in the order of their numbers: the same head, bit for bit.
    let exported = bench.path("exported");
    bench.on_store(&["export", exported.to_str().unwrap()]).succeeds();
    assert_eq!(names(&exported), ["birds", "fish"]);
    let learned = bench.path("learned.graft");
    let [exported, learned] = [&exported, &learned].map(|path| path.to_str().unwrap());
    topgraft(["learn", exported, "-o", learned, "--backbone", &bench.tiny(), "--head", "softmax"]).succeeds();
    let inspected = |path: &str| {
        let mut json = topgraft(["inspect", path, "--json"]).succeeds().json();
        json.as_object_mut().unwrap().retain(|key, _| !["path", "file", "unknown"].contains(&key.as_str()));
        json
    };
    assert_eq!(inspected(head.to_str().unwrap()), inspected(learned));
    topgraft(["classify", "-m", head.to_str().unwrap(), "--backbone", &bench.tiny(), &photos("fish")]).succeeds();
}

#[test]
fn what_was_done_is_listed_undone_and_rolled_back() {
    let bench = Bench::taught(&["fish", "birds"]);
    bench.teach("birds", &photos("birds"), &[]).succeeds();
    let list = bench.on_store(&["list", "--samples", "--json"]).succeeds().json();
    assert_eq!(list["samples"].as_array().unwrap().len(), 10);
    assert_eq!((&list["heads"], &list["removed"]), (&json!(1), &json!(0)));
    let id = list["samples"][0]["id"].to_string();
    bench.on_store(&["relabel", &id, "--class", "owls"]).succeeds();
    let undone = bench.on_store(&["undo", "--json"]).succeeds().json();
    assert_eq!(undone, json!({ "done": "undone", "what": "relabel 1 sample as owls", "count": 1 }));
    bench.on_store(&["rename", "birds", "Vögel"]).succeeds();
    bench.on_store(&["remove", "--class", "fish"]).succeeds();
    let text = bench.on_store(&["list"]).succeeds().stdout;
    assert!(text.contains("classes    1: Vögel 5\n") && text.contains("and 5 that can be brought back"), "{text}");
    bench.on_store(&["roll-back", "1"]).succeeds();
    let text = bench.on_store(&["list"]).succeeds().stdout;
    assert!(text.contains("classes    2: birds 5, fish 5\n"), "{text}");
    let photo = bench.path("photo.jpg");
    bench.on_store(&["photo", &id, "-o", photo.to_str().unwrap()]).succeeds();
    image::open(&photo).expect("a photo");
    let head = bench.path("old.graft");
    bench.on_store(&["head", "-o", head.to_str().unwrap()]).succeeds();
    topgraft(["inspect", head.to_str().unwrap()]).succeeds();
    assert!(bench.on_store(&["heads"]).succeeds().stdout.lines().count() == 2);
    bench.on_store(&["check"]).succeeds();
    bench.on_store(&["remove", &id]).succeeds();
    bench.on_store(&["compact"]).succeeds();
    bench.on_store(&["undo"]).refuses(&["there is nothing to undo"]);
    assert_eq!(bench.on_store(&["pending"]).succeeds().stdout, "no frame waits for a label\n");
}

#[test]
fn photos_of_other_programs_are_imported() {
    let bench = Bench::new();
    let zip = |name: &str, files: &[(&str, &str)]| {
        let path = bench.path(name);
        let mut archive = zip::ZipWriter::new(fs::File::create(&path).unwrap());
        for (name, photo) in files {
            archive.start_file(*name, SimpleFileOptions::default()).unwrap();
            archive.write_all(&fs::read(format!("{DEMO}/learn/{photo}")).unwrap()).unwrap();
        }
        archive.finish().unwrap();
        path
    };
    let photo = |class: &str, at: usize| format!("{class}/{}", names(std::path::Path::new(&photos(class)))[at]);
    // A folder per class.
    let folders = Scene::with_photos(&["fish", "fruit"], 2);
    folders.write("fruit/broken.jpg", b"no photo");
    let run = bench.on_store(&["import", folders.photos().to_str().unwrap()]);
    assert_eq!((run.code, run.stdout.as_str()), (2, "new        4 samples\nknown      0 photos\n"));
    assert!(run.stderr.contains("broken.jpg"), "{}", run.stderr);
    // Frigate's: what waits in `train` is nobody's yet.
    let frigate = Scene::empty();
    frigate.copy(format!("{DEMO}/learn/{}", photo("birds", 0)), "dataset/birds/1.jpg");
    frigate.copy(format!("{DEMO}/learn/{}", photo("birds", 1)), "train/1-2-birds-0.5.jpg");
    bench.on_store(&["import", frigate.photos().to_str().unwrap()]).succeeds();
    // Teachable Machine's, with a photo that is known by another name here: the last word holds.
    let machine = zip(
        "tools-samples.zip",
        &[("0.jpg", &photo("tools", 0)), ("1.jpg", &photo("fish", 0)), ("notes.txt", &photo("tools", 1))],
    );
    let json = bench.on_store(&["import", machine.to_str().unwrap(), "--json"]).succeeds().json();
    assert_eq!((&json["new"], &json["moved"][0]["from"]), (&json!(1), &json!("fish")));
    // A zip of folders, as people make them.
    let folders =
        zip("any.zip", &[("x/y/flowers/a.jpg", &photo("flowers", 0)), ("__MACOSX/x/._a.jpg", &photo("flowers", 1))]);
    bench.on_store(&["import", folders.to_str().unwrap()]).succeeds();
    let list = bench.on_store(&["list", "--json"]).succeeds().json();
    let classes: Vec<String> = list["classes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|c| format!("{} {}", c["name"].as_str().unwrap(), c["samples"]))
        .collect();
    assert_eq!(classes, ["birds 1", "fish 1", "flowers 1", "fruit 2", "tools 2"]);
    // Into another store, twice.
    let other = bench.path("other.store");
    let merge = ["store", "merge", &bench.store(), "-s", other.to_str().unwrap()].map(str::to_owned);
    assert_eq!(topgraft(&merge).succeeds().stdout, "new        7 samples\nknown      0 samples\n");
    assert_eq!(topgraft(&merge).succeeds().stdout, "new        0 samples\nknown      7 samples\n");
    // What is no archive, what has no photos, what is nothing.
    fs::write(bench.path("broken.zip"), "PK").unwrap();
    let refuse =
        |name: &str, words: &[&str]| bench.on_store(&["import", bench.path(name).to_str().unwrap()]).refuses(words);
    refuse("broken.zip", &["cannot be read as a zip archive"]);
    zip("empty.zip", &[("a.txt", &photo("fish", 0))]);
    refuse("empty.zip", &["no photos are in this archive"]);
    refuse("nothing", &["nothing"]);
}

#[test]
fn what_cannot_be_taught_is_refused_and_leaves_nothing() {
    let bench = Bench::new();
    bench.teach("fish", "no/such/folder", &[]).refuses(&["no/such/folder"]);
    bench.teach("fish", "", &[]).refuses(&["the camera has no name"]);
    bench.teach("fish", "ftp://x", &[]).refuses(&["URLs of \"ftp\" are not read"]);
    let empty = bench.path("empty");
    fs::create_dir(&empty).unwrap();
    bench.teach("fish", empty.to_str().unwrap(), &[]).refuses(&["no photos in this folder"]);
    assert_eq!(names(bench.folder.path()), ["empty"]);
    bench.teach("a/b", &photos("fish"), &[]).refuses(&["cannot be the name of a class"]);
    bench.teach("unknown", &photos("fish"), &[]).refuses(&["what is none of the classes"]);
    let broken = bench.path("broken");
    fs::create_dir(&broken).unwrap();
    fs::write(broken.join("a.jpg"), b"no photo").unwrap();
    assert_eq!(bench.teach("fish", broken.to_str().unwrap(), &[]).code, 2);
    assert_eq!(names(bench.folder.path()), ["broken", "empty"], "no store is made for nothing");
    bench.teach("fish", &photos("fish"), &["-o", &bench.store()]).refuses(&["is the store, or a part of it"]);
    topgraft(["teach", "-c", "x"]).refuses(&["no store to teach in", "--store"]);
    // Something of the user's is not written over.
    let mine = bench.path("mine.txt");
    fs::write(&mine, "mine").unwrap();
    bench.teach("fish", &photos("fish"), &["-o", mine.to_str().unwrap()]).refuses(&["is no head file"]);
    let not_a_store = ["teach", "-s", mine.to_str().unwrap(), "-c", "x", "--from", &photos("fish")].map(str::to_owned);
    topgraft(&not_a_store).refuses(&["is no store of samples"]);
    assert_eq!(fs::read(&mine).unwrap(), b"mine");
    for args in [&["list"][..], &["undo"], &["check"], &["roll-back", "1"], &["remove", "7"]] {
        let none = bench.path("none.store");
        topgraft(["store"].iter().chain(args).chain(&["-s", none.to_str().unwrap()]))
            .refuses(&["there is no such store"]);
        assert!(!none.exists());
    }
    let bench = Bench::taught(&["fish", "birds"]);
    bench.on_store(&["remove", "99"]).refuses(&["no sample 99"]);
    bench.on_store(&["relabel", "1", "--class", ".."]).refuses(&["cannot be the name of a class"]);
    bench.on_store(&["rename", "cats", "dogs"]).refuses(&["no class `cats`"]);
    bench.on_store(&["roll-back", "9"]).refuses(&["no head 9"]);
    bench.on_store(&["label", "4", "--class", "x"]).refuses(&["no frame 4 waits"]);
    bench.on_store(&["head", "-o", "/dev/null"]).refuses(&["no head was measured yet"]);
    let folder = bench.folder.path().to_str().unwrap();
    bench.on_store(&["export", folder]).refuses(&["is there already"]);
    let text = bench.on_store(&["list"]).succeeds().stdout;
    assert!(text.contains("classes    2: birds 5, fish 5\n"), "{text}");
}

#[test]
fn settings_are_checked_and_used() {
    let bench = Bench::new();
    let example = topgraft(["config", "example"]).succeeds().stdout;
    let path = bench.path("t.toml");
    fs::write(&path, &example).unwrap();
    let shown = topgraft(["config", "check", path.to_str().unwrap()]).succeeds().stdout;
    assert!(shown.contains("camera     rpicam\n") && shown.contains("topgraft.store"), "{shown}");
    fs::write(&path, example.replace("fps = 10.0", "fsp = 10.0")).unwrap();
    let line = example.lines().position(|line| line.starts_with("fps")).unwrap() + 1;
    topgraft(["config", "check", path.to_str().unwrap()]).refuses(&[&format!("line {line}: unknown field `fsp`")]);
    topgraft(["config", "check", "no.toml"]).refuses(&["no.toml"]);
    let settings =
        format!("store = \"x.store\"\nbackbone = {:?}\nhead = \"y.graft\"\n[limits]\nsamples = 7\n", bench.tiny());
    fs::write(&path, settings).unwrap();
    let teach = |class: &str| {
        let args = ["teach", "--config", path.to_str().unwrap(), "-c", class, "--from", &photos(class), "--json"];
        topgraft(args).succeeds().json()
    };
    teach("fish");
    let second = teach("birds");
    assert_eq!(second["gone"].as_array().unwrap().len(), 3, "the limit holds: {second}");
    assert_eq!(names(bench.folder.path()), ["t.toml", "x.store", "y.graft"]);
}
