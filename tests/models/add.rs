//! `topgraft models add`, and what can be done by name then.

use std::fs;
use std::path::PathBuf;

use super::{Home, content, hex};
use crate::program::{DATA, Scene};

const CATALOG: &str = "[[backbone]]\nname = 'theirs'\nfile = 'net.onnx'\nlicence = 'MIT'\nmean = [1, 2, 3]\nscale = [9, 9, 9]\n\
    input = { width = 20, height = 18, layout = 'nchw', channels = 'bgr' }\nresize = { rule = 'squeeze' }\nfilter = 'bicubic'\n";

/// A copy of the tiny network in a folder of its own, as `net.onnx`.
fn network(home: &Home) -> PathBuf {
    let folder = home.folder.path().join("mine");
    fs::create_dir_all(&folder).expect("a folder");
    let path = folder.join("net.onnx");
    fs::copy(format!("{DATA}/tiny.onnx"), &path).expect("copied");
    path
}

#[test]
fn a_known_file_is_added_by_its_sum_whatever_it_is_called() {
    let home = Home::new();
    home.catalog("https://example.org/net.bin", Some(200_000), Some(&content()));
    let file = home.folder.path().join("download (1)");
    fs::write(&file, content()).unwrap();
    let add = |more: &[&str]| home.run(&[&["models", "add", file.to_str().unwrap()], more].concat());
    let json = add(&["--json"]).succeeds().json();
    assert_eq!((json["name"].as_str(), json["state"].as_str()), (Some("net"), Some("added")));
    assert_eq!((json["copied"].as_bool(), json["checked"].as_bool()), (Some(true), Some(true)));
    assert_eq!((json["sha256"].as_str(), json["bytes"].as_u64()), (Some(&*hex(&content())), Some(200_000)));
    assert!(fs::read(home.path("net.bin")).unwrap() == content());
    assert!(add(&[]).succeeds().stdout.contains("net is here already"));
    add(&["--name", "other"]).refuses(&["is the model net", "leave --name out"]);
    assert_eq!(home.files(), ["catalog.toml", "net.bin"]);
    // A damaged one is replaced.
    fs::write(home.path("net.bin"), "damaged").unwrap();
    assert!(add(&["--name", "net"]).succeeds().stdout.contains("added      net: "));
    assert!(fs::read(home.path("net.bin")).unwrap() == content());
    #[cfg(feature = "embed-backbone")]
    {
        let builtin = concat!(env!("CARGO_MANIFEST_DIR"), "/models/efficientnet_lite0.f16.onnx");
        assert!(home.run(&["models", "add", builtin]).succeeds().stdout.contains("built into this program"));
        assert_eq!(home.files(), ["catalog.toml", "net.bin"]);
    }
}

#[test]
fn a_file_with_a_known_name_and_another_sum_is_refused() {
    let home = Home::new();
    let file = home.folder.path().join("resnet18-v1-7.onnx");
    fs::copy(format!("{DATA}/tiny.onnx"), &file).unwrap();
    let add = |more: &[&str]| home.run(&[&["models", "add", file.to_str().unwrap()], more].concat());
    let sum = hex(&fs::read(&file).unwrap());
    add(&[]).refuses(&["is called like the file of resnet18-v1", &sum, "4e8f8653e7a2222b", "--name"]);
    assert!(!home.path("").exists());
    for taken in ["resnet18-v1", "resnet18-v1-7", "glove-6b", "efficientnet_lite0"] {
        add(&["--name", taken]).refuses(&[taken, "another model's name already"]);
    }
    for bad in ["../evil", "a/b", ".hidden", "", "a b", "x.onnx", "/tmp/x"] {
        add(&[&format!("--name={bad}")]).refuses(&["cannot be a model's name"]);
    }
    assert!(!home.path("").exists() && !home.folder.path().join("topgraft/evil.onnx").exists());
    // Where no sum is known, the name has to do; the size too, if it is known.
    home.catalog("https://example.org/net.bin", Some(5), None);
    let file = home.folder.path().join("net.bin");
    for (bytes, good) in [("1234", false), ("12345", true)] {
        fs::write(&file, bytes).unwrap();
        let run = home.run(&["models", "add", file.to_str().unwrap(), "--json"]);
        match good {
            true => assert_eq!(run.succeeds().json()["checked"], false),
            false => run.refuses(&["its size of 4 is not 5 bytes"]),
        }
    }
}

#[test]
fn an_unknown_network_gets_a_name_and_what_is_said_beside_it() {
    let home = Home::new();
    let file = network(&home);
    let file = file.to_str().unwrap();
    fs::write(home.folder.path().join("mine/catalog.toml"), CATALOG.to_owned() + "labels = 'l.txt'\n").unwrap();
    fs::write(home.folder.path().join("mine/l.txt"), "cat\ndog\nbird\nfish\n").unwrap();
    home.run(&["models", "add", file]).refuses(&["net.onnx: no catalog knows this file", "--name"]);
    assert!(!home.path("").exists());
    home.run(&["models", "add", file, "--name", "mine"]).succeeds();
    assert_eq!(home.files(), ["catalog.lock", "catalog.toml", "mine.labels.txt", "mine.onnx"]);
    // Again, by its sum, under its name, and beside another one.
    home.run(&["models", "add", file]).succeeds();
    home.run(&["models", "add", file, "--name", "mine"]).succeeds();
    home.run(&["models", "add", file, "--name", "yours"]).refuses(&["is the model mine"]);
    let grey = format!("{DATA}/tiny_grey.onnx");
    home.run(&["models", "add", &grey, "--name", "mine"]).refuses(&["mine is another model's name already"]);

    let json = home.run(&["models", "show", "mine", "--json"]).succeeds().json();
    assert_eq!((json["state"].as_str(), json["licence"].as_str()), (Some("added"), Some("MIT")));
    let preprocess = &json["preprocess"];
    assert_eq!((preprocess["width"].as_u64(), preprocess["channels"].as_str()), (Some(20), Some("bgr")));

    // By name, with that preprocessing, and without a warning.
    let scene = Scene::with_photos(&["birds", "fish"], 3);
    let (photos, head) = (scene.photos(), scene.head());
    let (photos, head) = (photos.to_str().unwrap(), head.to_str().unwrap());
    home.run(&["learn", photos, "-o", head, "--backbone", "mine"]).succeeds();
    let json = home.run(&["inspect", head, "--json"]).succeeds().json();
    assert_eq!((json["backbone"].as_str(), &json["preprocess"]), (Some("mine"), preprocess));
    home.run(&["eval", "-m", head, "--backbone", "mine", photos]).succeeds();
    home.run(&["classify", "-m", head, "--backbone", file, photos]).succeeds();
    let onnx = scene.path("out.onnx");
    home.run(&["export", "-m", head, "--backbone", "mine", "--onnx", onnx.to_str().unwrap()]).succeeds();
    let first = home.run(&["classify", "--imagenet", "--backbone", "mine", photos, "--json"]).succeeds().json_lines();
    assert!(["cat", "dog", "bird", "fish"].contains(&first[0]["label"].as_str().unwrap()));
    // The head cannot be written over the network that it is learned with.
    let kept = home.path("mine.onnx");
    home.run(&["learn", photos, "-o", kept.to_str().unwrap(), "--force", "--backbone", "mine"])
        .refuses(&["cannot be the head file too"]);
}

#[test]
fn a_network_of_which_nothing_is_known_is_added_with_a_warning() {
    let home = Home::new();
    let file = network(&home);
    let add = |file: &str, name: &str| home.run(&["models", "add", file, "--name", name, "--json"]);
    let run = add(file.to_str().unwrap(), "bare");
    assert_eq!((run.code, run.stderr.lines().count()), (0, 1), "{}", run.stderr);
    assert!(run.stderr.contains("warning: nothing is known of how bare wants its pictures; 16 x 16 pixels"));
    assert_eq!((run.json()["assumed"]["width"].as_u64(), home.files()), (Some(16), vec!["bare.onnx".to_owned()]));
    let json = home.run(&["models", "show", "bare", "--json"]).succeeds().json();
    assert_eq!((json["state"].as_str(), &json["preprocess"]), (Some("added"), &().into()));
    assert!(home.run(&["models", "list"]).succeeds().stdout.contains("bare"));
    assert_eq!(home.run(&["layers", "bare", "--json"]).succeeds().json()["backbone"], "bare");
    // Said later.
    fs::write(home.folder.path().join("mine/catalog.toml"), CATALOG).unwrap();
    add(file.to_str().unwrap(), "bare").succeeds();
    assert_eq!(home.run(&["models", "show", "bare", "--json"]).succeeds().json()["preprocess"]["channels"], "bgr");

    // What is no network is not added, and what is not there neither.
    let text = home.folder.path().join("text.onnx");
    fs::write(&text, "a shopping list").unwrap();
    add(text.to_str().unwrap(), "text").refuses(&["text.onnx is not an ONNX network"]);
    add("/no/such/file.onnx", "none").refuses(&["/no/such/file.onnx: cannot be read"]);
    add(home.folder.path().to_str().unwrap(), "folder").refuses(&["is no file"]);
    assert_eq!(home.files(), ["bare.onnx", "catalog.lock", "catalog.toml"]);
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_leaves_no_half_of_an_added_file() {
    let home = Home::new();
    home.catalog("https://example.org/net.bin", Some(200_000), Some(&content()));
    let file = home.folder.path().join("net.bin");
    fs::write(&file, content()).unwrap();
    let run = home.run_on_full_disk(100, &["add", file.to_str().unwrap()]);
    assert_eq!((run.code, run.stdout.as_str(), run.stderr.lines().count()), (1, "", 1), "{}", run.stderr);
    assert!(run.stderr.contains("topgraft/models/net.bin: "), "{}", run.stderr);
    assert_eq!(home.files(), ["catalog.toml"]);
}
