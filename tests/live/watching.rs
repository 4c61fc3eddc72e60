//! `topgraft watch`.

use std::process::{Command, Stdio};

use serde_json::Value;

use super::{Bench, names, photos};
use crate::program::{Run, topgraft};

fn watch(bench: &Bench, from: &str, more: &[&str]) -> Run {
    let (store, tiny) = (bench.store(), bench.tiny());
    topgraft(["watch", "-s", &store, "--backbone", &tiny, "--from", from].iter().chain(more))
}

#[test]
fn frames_are_named_a_line_each() {
    let bench = Bench::taught(&["fish", "birds"]);
    let run = watch(&bench, &photos("fish"), &["--json"]);
    assert_eq!(run.code, 0, "{}", run.stderr);
    let lines = run.json_lines();
    let last = lines.last().expect("frames");
    assert_eq!(last["frame"], 4, "five photos, the newest wins");
    for line in &lines {
        let class = line["class"].as_str().expect("a class");
        let probabilities = line["probabilities"].as_object().expect("of each class");
        assert_eq!(probabilities.keys().collect::<Vec<_>>(), ["birds", "fish"]);
        let sum: f64 = probabilities.values().filter_map(Value::as_f64).sum();
        assert!((sum - 1.0).abs() < 1e-5 && probabilities[class].as_f64() >= Some(0.5), "{line}");
        assert!(line["trunk_ms"].as_f64() > Some(0.0) && line["drift"] == false, "{line}");
    }
    assert!(run.stderr.contains("camera: started"), "{}", run.stderr);
}

#[test]
fn a_head_alone_is_enough_and_the_screen_shows_it() {
    let bench = Bench::taught(&["fish", "birds"]);
    let head = bench.path("x.graft");
    let [head, png] = [head.clone(), bench.path("screen.png")].map(|path| path.to_str().unwrap().to_owned());
    bench.teach("birds", &photos("birds"), &["-o", &head]).succeeds();
    let run =
        topgraft(["watch", "-m", &head, "--backbone", &bench.tiny(), "--from", &photos("fish"), "--screen", &png]);
    assert_eq!(run.code, 0, "{}", run.stderr);
    let picture = image::open(&png).expect("a picture").into_rgb8();
    assert_eq!(picture.dimensions(), (320, 240));
    let colours: std::collections::HashSet<_> = picture.pixels().collect();
    assert!(colours.len() > 200, "the photo is in it: {} colours", colours.len());
    assert!(!names(bench.folder.path()).iter().any(|name| name.ends_with(".part")));
}

/// A card that loses a page, a program that was set back to an older version: the camera still sees what it was taught.
#[test]
fn a_damaged_store_is_named_and_the_head_file_used() {
    let bench = Bench::taught(&["fish", "birds"]);
    let head = bench.path("x.graft").to_str().unwrap().to_owned();
    bench.teach("birds", &photos("birds"), &["-o", &head]).succeeds();
    let path = bench.path("x.store");
    let sound = std::fs::read(&path).expect("is there");
    let damaged = |from: usize, to: usize| {
        let mut bytes = sound.clone();
        bytes[from..to].fill(0x5a);
        std::fs::write(&path, bytes).expect("writes");
    };
    // Everything behind the first page, and its count of versions.
    for (from, to, word) in [(4096, sound.len(), "the store is damaged"), (60, 64, "is a store of version")] {
        damaged(from, to);
        watch(&bench, &photos("fish"), &[]).refuses(&[word]);
        let run = watch(&bench, &photos("fish"), &["-m", &head, "--json"]);
        assert_eq!(run.code, 0, "{}", run.stderr);
        assert!(run.stderr.contains(word) && run.stderr.contains("x.graft meanwhile"), "{}", run.stderr);
        assert_eq!(run.json_lines()[0]["probabilities"].as_object().unwrap().len(), 2);
    }
    damaged(4096, sound.len());
    let check = bench.on_store(&["check"]);
    assert_eq!(check.code, 2, "{}", check.stderr);
}

#[test]
fn what_cannot_be_watched_is_refused() {
    let bench = Bench::new();
    watch(&bench, &photos("fish"), &[]).refuses(&["x.store: there is no such store"]);
    assert!(names(bench.folder.path()).is_empty());
    let bench = Bench::taught(&["fish", "birds"]);
    let store = bench.store();
    watch(&bench, &photos("fish"), &["-m", &store]).refuses(&["is the store, or a part of it"]);
    topgraft(["watch", "--from", "-"]).refuses(&["nothing to watch with", "--store", "--model"]);
    watch(&bench, "/no/such/video.mp4", &[]).refuses(&["/no/such/video.mp4"]);
    watch(&bench, &photos("fish"), &["--screen", "lcd"]).refuses(&["lcd: no kind of screen"]);
    watch(&bench, &photos("fish"), &["--screen", "framebuffer:/dev/none"]).refuses(&["/dev/none"]);
    let texts = topgraft(["watch", "-m", "tests/data/mood.tsv", "--from", &photos("fish")]);
    texts.refuses(&["mood.tsv"]);
}

/// What systemd is told: ready with the first frame, what is seen, and that it is alive.
#[test]
fn systemd_is_told() {
    let bench = Bench::taught(&["fish", "birds"]);
    let socket = bench.path("notify");
    let listener = std::os::unix::net::UnixDatagram::bind(&socket).expect("a socket");
    listener.set_read_timeout(Some(std::time::Duration::from_secs(60))).expect("sets");
    let config = bench.path("t.toml");
    std::fs::write(&config, "[camera]\nrepeat = true\nfps = 20.0").expect("writes");
    let (store, tiny) = (bench.store(), bench.tiny());
    let mut command = Command::new(env!("CARGO_BIN_EXE_topgraft"));
    command.args([
        "watch",
        "--config",
        config.to_str().unwrap(),
        "-s",
        &store,
        "--backbone",
        &tiny,
        "--from",
        &photos("fish"),
    ]);
    command.env("NOTIFY_SOCKET", &socket).env("WATCHDOG_USEC", "300000").stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = command.spawn().expect("starts");
    let mut told = std::collections::HashSet::new();
    let mut buffer = [0; 500];
    while told.len() < 3 {
        let length = listener.recv(&mut buffer).expect("is told");
        for line in std::str::from_utf8(&buffer[..length]).expect("UTF-8").lines() {
            if let Some((key, value)) = line.split_once('=') {
                assert!(key != "STATUS" || value.contains("sees "), "{line}");
                told.insert(key.to_owned());
            }
        }
    }
    assert!(["READY", "STATUS", "WATCHDOG"].iter().all(|key| told.contains(*key)), "{told:?}");
    child.kill().expect("runs");
    child.wait().expect("ends");
}

/// Standard input is a camera, too; and a camera that shows nothing taught is no failure.
#[test]
fn jpegs_on_standard_input_are_frames_and_a_signal_ends_it() {
    let bench = Bench::new();
    let mut command = Command::new(env!("CARGO_BIN_EXE_topgraft"));
    // A store that the settings name is made.
    let config = bench.path("t.toml");
    std::fs::write(&config, "store = 'x.store'").expect("writes");
    command.args(["watch", "--config", config.to_str().unwrap(), "--backbone", &bench.tiny(), "--from", "-", "--json"]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("starts");
    let photo = names(std::path::Path::new(&photos("fish"))).remove(0);
    let photo = std::fs::read(format!("{}/{photo}", photos("fish"))).expect("a photo");
    let mut stdin = child.stdin.take().expect("piped");
    std::io::Write::write_all(&mut stdin, &photo).expect("is read");
    let mut lines = std::io::BufRead::lines(std::io::BufReader::new(child.stdout.take().expect("piped")));
    let line: Value = serde_json::from_str(&lines.next().expect("a frame").expect("UTF-8")).expect("JSON");
    assert!(line["class"].is_null() && line["label"].is_null(), "{line}");
    let killed = Command::new("kill").args(["-TERM", &child.id().to_string()]).status().expect("runs");
    assert!(killed.success());
    assert!(child.wait().expect("ends").success(), "it was asked to end");
    drop(stdin);
}
