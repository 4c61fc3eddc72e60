//! What is handed out beside the program: the inbox of the Debian package, the unit of systemd, cross.toml.

use std::fs;
use std::path::Path;
use std::process::Command;

use topgraft::learn::Model;

use crate::program::{self, DATA, DEMO, Scene};

const DEPLOY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/deploy");

/// Runs the script with the program under test on its path.
fn inbox(scene: &Scene) -> (i32, Vec<serde_json::Value>, String) {
    let path = std::env::var("PATH").expect("is set");
    let program = Path::new(env!("CARGO_BIN_EXE_topgraft")).parent().expect("a folder");
    let run = Command::new(format!("{DEPLOY}/inbox"))
        .args([scene.head(), scene.path("state")])
        .env("PATH", format!("{}:{path}", program.display()))
        .output()
        .expect("a shell");
    let [out, err] = [run.stdout, run.stderr].map(|text| String::from_utf8(text).expect("UTF-8"));
    let lines = out.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    (run.status.code().expect("no signal"), lines, err)
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<_> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn the_inbox_classifies_what_is_put_into_it_once() {
    let scene = Scene::with_photos(&["birds", "fish"], 4);
    scene.learn(&[]).succeeds();
    let state = scene.path("state");
    fs::create_dir_all(state.join("inbox")).unwrap();
    let put = |from: &str, name: &str| fs::copy(from, state.join("inbox").join(name)).unwrap();
    put(&format!("{DEMO}/new/birds/crowned_crane.jpg"), "a crane.jpg");
    put(&format!("{DATA}/formats/text.jpg"), "text.jpg");
    put(&format!("{DEMO}/new/fish/coraltrout.jpg"), "half.jpg.part");
    let (code, lines, err) = inbox(&scene);
    assert_eq!((code, lines.len()), (0, 2), "{err}");
    let names_and_labels: Vec<_> = lines.iter().map(|line| (line["path"].as_str(), line["label"].as_str())).collect();
    assert_eq!(names_and_labels[0].0, Some("work/a crane.jpg"));
    assert!(names_and_labels[0].1.is_some(), "{}", lines[0]);
    assert_eq!(names_and_labels[1], (Some("work/text.jpg"), None));
    assert!(err.contains("text.jpg"), "{err}");
    assert_eq!(names(&state.join("inbox")), ["half.jpg.part"]);
    assert_eq!(names(&state.join("done")), ["a crane.jpg", "text.jpg"]);
    // The other one is whole now; and what a crash left behind in work is not lost.
    fs::rename(state.join("inbox/half.jpg.part"), state.join("inbox/trout.jpg")).unwrap();
    fs::copy(format!("{DEMO}/new/birds/crowned_crane.jpg"), state.join("work/left.jpg")).unwrap();
    let (code, lines, err) = inbox(&scene);
    assert_eq!((code, lines.len()), (0, 2), "{err}");
    assert_eq!(names(&state.join("done")), ["a crane.jpg", "left.jpg", "text.jpg", "trout.jpg"]);
    assert!(names(&state.join("work")).is_empty());
    // A camera that numbers its photos starts anew some day: both are kept.
    put(&format!("{DEMO}/new/fish/coraltrout.jpg"), "a crane.jpg");
    put(&format!("{DATA}/formats/text.jpg"), "notes.txt");
    let (code, lines, err) = inbox(&scene);
    assert_eq!((code, lines.len()), (0, 2), "{err}");
    let done = ["a crane.jpg", "a crane.jpg.~1~", "left.jpg", "notes.txt", "text.jpg", "trout.jpg"];
    assert_eq!(names(&state.join("done")), done);
    // Without a head, or with one of another trunk, nothing is lost either.
    put(&format!("{DEMO}/new/fish/coraltrout.jpg"), "again.jpg");
    let good = fs::read(scene.head()).unwrap();
    let wait = || {
        let (code, lines, err) = inbox(&scene);
        assert_eq!((code, lines.len()), (1, 0), "{err}");
        assert_eq!(
            (names(&state.join("work")), names(&state.join("done"))),
            (vec!["again.jpg".to_owned()], done.map(str::to_owned).to_vec())
        );
    };
    fs::write(scene.head(), "spoilt").unwrap();
    wait();
    fs::copy(format!("{DATA}/golden.graft"), scene.head()).unwrap();
    wait();
    // Or with one that fails only at a photo, after a line about one that is none.
    let mut model = Model::parse(&good).expect("sound");
    model.head.linear_mut().unwrap().parameters_mut().fill(3e38);
    fs::write(scene.head(), model.to_bytes().expect("fits")).unwrap();
    put(&format!("{DATA}/formats/text.jpg"), "a text.jpg");
    let (code, lines, err) = inbox(&scene);
    assert_eq!((code, lines.len()), (1, 1), "{err}");
    assert_eq!(names(&state.join("work")), ["a text.jpg", "again.jpg"]);
    fs::write(scene.head(), good).unwrap();
    let (code, lines, err) = inbox(&scene);
    assert_eq!((code, lines.len()), (0, 2), "{err}");
}

#[test]
fn systemd_finds_nothing_wrong_with_the_unit() {
    let folder = tempfile::tempdir().expect("a folder");
    let copy = |name: &str, from: &str, to: &str| {
        let text = fs::read_to_string(format!("{DEPLOY}/{name}")).expect("is there");
        fs::write(folder.path().join(name), text.replace(from, to)).expect("written");
        folder.path().join(name)
    };
    // The script is not installed here.
    let service = copy("topgraft-inbox.service", "/usr/lib/topgraft/inbox", &format!("{DEPLOY}/inbox"));
    let path = copy("topgraft-inbox.path", "", "");
    let watch = copy("topgraft-watch.service", "/usr/bin/topgraft", env!("CARGO_BIN_EXE_topgraft"));
    let run = match Command::new("systemd-analyze").arg("verify").args([service, path, watch]).output() {
        Ok(run) => run,
        Err(error) => return program::lacks(&format!("systemd-analyze does not run: {error}")),
    };
    let text = String::from_utf8_lossy(&run.stderr);
    assert!(run.status.success() && text.trim().is_empty(), "{text}");
}

#[test]
fn cross_toml_has_a_table_for_each_board() {
    let text = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/cross.toml")).expect("is there");
    let table: toml::Table = text.parse().expect("TOML");
    assert!(table.keys().all(|key| ["build", "target"].contains(&key.as_str())), "{table:?}");
    let targets = table["target"].as_table().expect("a table");
    for target in ["aarch64-unknown-linux-gnu", "armv7-unknown-linux-gnueabihf", "arm-unknown-linux-gnueabihf"] {
        let table = targets[target].as_table().expect("a table");
        // The keys that cross knows; of others it only warns.
        let known = ["runner", "env", "image", "pre-build", "build-std", "zig", "dockerfile", "rustflags"];
        assert!(table.keys().all(|key| known.contains(&key.as_str())), "{target}: {table:?}");
        assert_eq!(table["runner"].as_str(), Some("qemu-user"));
    }
}
