//! Teaching and watching: the commands; a program that is killed; disks that are full or read-only.

mod disk;
#[cfg(feature = "mqtt")]
mod fleet;
mod kill;
#[cfg(feature = "mqtt")]
mod mqtt;
mod teaching;
mod watching;

use std::path::{Path, PathBuf};

use crate::program::{DATA, DEMO, Run, TINY_CATALOG, topgraft};

/// A folder for a store, and a small network, which takes no time.
struct Bench {
    folder: tempfile::TempDir,
    model: tempfile::TempDir,
}

impl Bench {
    fn new() -> Self {
        let [folder, model] = [0, 1].map(|_| tempfile::tempdir().expect("a folder"));
        std::fs::copy(format!("{DATA}/tiny.onnx"), model.path().join("tiny.onnx")).expect("is in the tree");
        std::fs::write(model.path().join("catalog.toml"), TINY_CATALOG).expect("writes");
        Self { folder, model }
    }

    fn tiny(&self) -> String {
        self.model.path().join("tiny.onnx").to_str().expect("UTF-8").to_owned()
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn store(&self) -> String {
        self.path("x.store").to_str().expect("UTF-8").to_owned()
    }

    /// `topgraft store COMMAND... -s STORE`
    fn on_store(&self, args: &[&str]) -> Run {
        topgraft(["store"].iter().chain(args).chain(&["-s", &self.store()]))
    }

    /// Teaches photos with it.
    fn teach(&self, class: &str, from: &str, more: &[&str]) -> Run {
        let (store, tiny) = (self.store(), self.tiny());
        topgraft(["teach", "-s", &store, "-c", class, "--from", from, "--backbone", &tiny].iter().chain(more))
    }

    /// Two classes of demo photos.
    fn taught(classes: &[&str]) -> Self {
        let bench = Self::new();
        for class in classes {
            bench.teach(class, &photos(class), &["--no-measure"]).succeeds();
        }
        bench
    }
}

fn photos(class: &str) -> String {
    format!("{DEMO}/learn/{class}")
}

/// Names in a folder, sorted.
fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).expect("a folder");
    let mut names: Vec<String> =
        entries.map(|entry| entry.expect("an entry").file_name().into_string().expect("UTF-8")).collect();
    names.sort();
    names
}
