//! `topgraft store statistics` and `topgraft merge`: what several devices have learned, in one store or one head.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::json;
use topgraft::learn::{Model, Statistics, StatisticsHead};

use crate::program::{DATA, DEMO, Run, topgraft};

/// A folder for stores, and a small network, which takes no time.
struct Fleet {
    folder: tempfile::TempDir,
}

impl Fleet {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        for name in ["tiny", "other"] {
            fs::copy(format!("{DATA}/tiny.onnx"), folder.path().join(format!("{name}.onnx"))).expect("is in the tree");
        }
        let entry = |name: &str, mean: f32| {
            format!(
                "[[backbone]]\nname = '{name}'\nfile = '{name}.onnx'\nmean = [{mean}, {mean}, {mean}]\n\
                 scale = [127.5, 127.5, 127.5]\nresize = {{ rule = 'squeeze' }}\nfilter = 'bilinear'\n\
                 input = {{ width = 16, height = 16, layout = 'nchw', channels = 'rgb' }}\n"
            )
        };
        let catalog = [entry("tiny", 127.5), entry("other", 100.0)].concat();
        fs::write(folder.path().join("catalog.toml"), catalog).expect("writes");
        Self { folder }
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).to_str().expect("UTF-8").to_owned()
    }

    /// Teaches demo photos, `shots` of each class.
    fn teach(&self, store: &str, class: &str, photos: &[PathBuf]) {
        for photo in photos {
            let (store, tiny, photo) = (self.path(store), self.path("tiny.onnx"), photo.to_str().expect("UTF-8"));
            topgraft(["teach", "-s", &store, "-c", class, "--from", photo, "--backbone", &tiny, "--no-measure"])
                .succeeds();
        }
    }

    fn statistics(&self, store: &str, to: &str, more: &[&str]) -> Run {
        let (store, to, tiny) = (self.path(store), self.path(to), self.path("tiny.onnx"));
        topgraft(["store", "statistics", "-s", &store, "-o", &to, "--backbone", &tiny].iter().chain(more))
    }

    fn merge(&self, inputs: &[&str], to: &str, more: &[&str]) -> Run {
        let inputs: Vec<String> = inputs.iter().map(|name| self.path(name)).collect();
        let to = self.path(to);
        let args =
            ["merge", "-o", &to].into_iter().chain(more.iter().copied()).chain(inputs.iter().map(String::as_str));
        topgraft(args)
    }

    /// Names in the folder, sorted.
    fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(self.folder.path()).expect("a folder");
        let mut names: Vec<String> =
            entries.map(|entry| entry.expect("an entry").file_name().into_string().expect("UTF-8")).collect();
        names.sort();
        names
    }
}

fn photos(class: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(format!("{DEMO}/learn/{class}")).expect("demo photos");
    let mut photos: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
    photos.sort();
    photos
}

/// Two devices: `a` knows birds and fish, `b` fish and tools, and one photo by another name.
fn two_devices() -> Fleet {
    let fleet = Fleet::new();
    let [birds, fish, tools] = ["birds", "fish", "tools"].map(photos);
    fleet.teach("a.store", "birds", &birds[..3]);
    fleet.teach("a.store", "fish", &fish[..2]);
    fleet.teach("b.store", "fish", &fish[1..4]);
    fleet.teach("b.store", "tools", &tools[..2]);
    fleet.teach("b.store", "tools", &birds[..1]);
    fleet
}

#[test]
fn stores_become_one_and_conflicts_are_named() {
    let fleet = two_devices();
    let run = fleet.merge(&["a.store", "b.store"], "union.store", &[]).succeeds();
    assert!(run.stdout.contains("a.store: 5 new, 0 known\n"), "{}", run.stdout);
    assert!(run.stdout.contains("b.store: 4 new, 1 known\n"), "{}", run.stdout);
    assert!(run.stdout.contains("conflict   sample 1 stays birds, it is tools in "), "{}", run.stdout);
    assert!(run.stdout.contains("classes    3: birds 3, fish 4, tools 2\n"), "{}", run.stdout);
    assert!(run.stdout.ends_with("union.store (9 samples)\n"), "{}", run.stdout);
    let left: Vec<String> = fleet.names().into_iter().filter(|name| name.contains("union")).collect();
    assert_eq!(left, ["union.store"], "no log, and nothing temporary");
    topgraft(["store", "check", "-s", &fleet.path("union.store")]).succeeds();
    // The first one that is named holds.
    let json = fleet.merge(&["b.store", "a.store"], "other.store", &["--json"]).succeeds().json();
    assert_eq!((&json["kind"], &json["samples"]), (&json!("store"), &json!(9)));
    assert_eq!(json["sources"][1]["new"], 3);
    assert_eq!(json["sources"][1]["conflicts"][0]["here"], "tools");
    assert_eq!(json["classes"][0], json!({ "name": "birds", "samples": 2 }));

    fleet.merge(&["a.store", "b.store"], "union.store", &[]).refuses(&["union.store: is there already", "--force"]);
    let json = fleet.merge(&["a.store"], "union.store", &["--force", "--json"]).succeeds().json();
    assert_eq!(json["samples"], 5);
    fs::write(fleet.path("union.store-wal"), "a log").expect("writes");
    fleet
        .merge(&["a.store"], "union.store", &["--force"])
        .refuses(&["union.store: another program has this store open"]);
}

#[test]
fn statistics_become_a_head_that_classifies() {
    let fleet = two_devices();
    let run = fleet.statistics("a.store", "a.stats", &["--least", "1"]).succeeds();
    assert!(run.stdout.starts_with("classes    2: birds 3, fish 2\nwritten    "), "{}", run.stdout);
    let json = fleet.statistics("b.store", "b.stats", &["--least", "3", "--json"]).succeeds().json();
    assert_eq!(json["classes"], json!([{ "name": "fish", "samples": 3 }, { "name": "tools", "samples": 3 }]));
    let bytes = fs::metadata(fleet.path("b.stats")).expect("is there").len();
    assert_eq!((&json["bytes"], &json["withheld"]), (&json!(bytes), &json!([])));
    let run = fleet.merge(&["a.stats", "b.stats"], "union.graft", &[]).succeeds();
    assert!(run.stdout.contains("a.stats: 5 samples, 2 classes\n"), "{}", run.stdout);
    assert!(run.stdout.contains("classes    3: birds 3, fish 5, tools 3\n"), "{}", run.stdout);
    assert!(run.stdout.contains("head       lda, shrinkage 0."), "{}", run.stdout);
    // The other way round: the same bytes.
    let json = fleet.merge(&["b.stats", "a.stats"], "again.graft", &["--json"]).succeeds().json();
    assert_eq!((&json["kind"], &json["samples"], &json["head"]), (&json!("head"), &json!(11), &json!("lda")));
    assert_eq!(fs::read(fleet.path("again.graft")).unwrap(), fs::read(fleet.path("union.graft")).unwrap());
    let [head, tiny] = ["union.graft", "tiny.onnx"].map(|name| fleet.path(name));
    topgraft(["inspect", &head]).succeeds();
    let fish = photos("fish")[0].to_str().unwrap().to_owned();
    let seen = topgraft(["classify", "-m", &head, "--backbone", &tiny, &fish, "--json"]).succeeds().json();
    assert_eq!((seen["top"].as_array().unwrap().len(), &seen["unknown"]), (3, &json!(null)));
    fleet.merge(&["a.stats", "b.stats"], "union.graft", &[]).refuses(&["union.graft: is there already"]);
    fleet.merge(&["a.stats", "b.stats"], "union.graft", &["--force"]).succeeds();
    // The library reads what the program wrote.
    let all = ["a.stats", "b.stats"].map(|name| Statistics::open(Path::new(&fleet.path(name))).expect("sound"));
    let model = Statistics::merge(&all).expect("alike").model(StatisticsHead::Lda).expect("fits");
    assert_eq!(Model::open(Path::new(&head)).expect("sound"), model);
    // Of means alone; stores have no kind.
    let run = fleet.merge(&["a.stats", "b.stats"], "means.graft", &["--head", "prototype"]).succeeds();
    assert!(run.stdout.contains("head       prototype; not measured"), "{}", run.stdout);
    fleet.merge(&["a.store"], "x.store", &["--head", "prototype"]).refuses(&["--head is for statistics"]);
}

#[test]
fn few_samples_stay_at_home() {
    let fleet = two_devices();
    fleet.statistics("a.store", "a.stats", &[]).refuses(&["no class has 5 samples, the most is 3", "teach more"]);
    let run = fleet.statistics("a.store", "a.stats", &["--least", "3"]).succeeds();
    assert!(run.stdout.contains("withheld   fish: 2 samples, fewer than 3\n"), "{}", run.stdout);
    let written = fs::read(fleet.path("a.stats")).expect("is there");
    assert!(!written.windows(4).any(|text| text == b"fish"), "not even its name");
    fleet.merge(&["a.stats"], "a.graft", &[]).refuses(&["only one class, `birds`"]);
    assert!(!fleet.names().contains(&"a.graft".to_owned()));
    assert_eq!(fleet.statistics("a.store", "b.stats", &["--least", "0"]).code, 2);
}

#[test]
fn what_cannot_be_merged_is_told_in_one_line() {
    let fleet = two_devices();
    fleet.statistics("a.store", "a.stats", &["--least", "1"]).succeeds();
    fleet.merge(&["none.store"], "x.store", &[]).refuses(&["none.store: there is no such store"]);
    fleet.merge(&["none.stats"], "x.graft", &[]).refuses(&["none.stats: No such file", "topgraft store statistics"]);
    fleet.merge(&["catalog.toml"], "x.store", &[]).refuses(&["catalog.toml: is no store of samples"]);
    fleet.merge(&["a.store", "a.stats"], "x", &[]).refuses(&["a.store is a store and", "a.stats is statistics"]);
    fleet.merge(&["a.stats", "a.stats"], "x.graft", &[]).refuses(&["a.stats: is given twice"]);
    fs::copy(fleet.path("a.stats"), fleet.path("copy.stats")).expect("copied");
    fleet.merge(&["a.stats", "copy.stats"], "x.graft", &[]).refuses(&["are the same statistics", "count twice"]);
    fleet.merge(&["a.store"], "a.store", &["--force"]).refuses(&["a.store: cannot be what is merged too"]);
    fleet.merge(&["a.store"], "a.store-wal", &[]).refuses(&["a.store-wal: is the store, or a part of it"]);
    let run = fleet.merge(&["a.store"], "no/folder/x.store", &[]);
    assert!(run.code == 1 && run.stderr.contains("no/folder/x.store: cannot be written"), "{}", run.stderr);
    fleet.statistics("none.store", "x.stats", &[]).refuses(&["none.store: there is no such store"]);
    fleet.statistics("a.store", "a.stats", &[]).refuses(&["a.stats: is there already"]);
    fleet.statistics("a.store", "a.store", &["--force"]).refuses(&["a.store: is the store"]);

    let mut damaged = fs::read(fleet.path("a.stats")).expect("is there");
    damaged[200] ^= 1;
    fs::write(fleet.path("damaged.stats"), &damaged).expect("writes");
    fleet.merge(&["a.stats", "damaged.stats"], "x.graft", &[]).refuses(&["damaged.stats: damaged: its checksum"]);
    fs::write(fleet.path("cut.stats"), &damaged[..150]).expect("writes");
    fleet.merge(&["cut.stats"], "x.graft", &[]).refuses(&["cut.stats: cut off or extended: 150 bytes instead of"]);

    // Another mean of the pixels is another trunk.
    let (store, other) = (fleet.path("b.store"), fleet.path("other.onnx"));
    let to = fleet.path("b.stats");
    topgraft(["store", "statistics", "-s", &store, "-o", &to, "--backbone", &other, "--least", "1"]).succeeds();
    fleet.merge(&["a.stats", "b.stats"], "x.graft", &[]).refuses(&[
        "statistics of two trunks",
        "tiny cut at",
        "other cut at",
    ]);
    assert!(!fleet.names().iter().any(|name| name.starts_with('x') || name.starts_with('.')), "{:?}", fleet.names());
}
