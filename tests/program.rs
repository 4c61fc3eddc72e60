//! Runs the program, on real photos.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;
use tempfile::TempDir;

pub const DEMO: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/models/demo");
pub const DATA: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data");

/// What `tests/data/tiny.onnx` takes, for a catalog beside it.
pub const TINY_CATALOG: &str = r#"
[[backbone]]
name = "tiny"
file = "tiny.onnx"
input = { width = 16, height = 16, layout = "nchw", channels = "rgb" }
mean = [127.5, 127.5, 127.5]
scale = [127.5, 127.5, 127.5]
resize = { rule = "squeeze" }
filter = "bilinear"
"#;

/// Says that a test ends early, for want of something that can be installed: a failure where everything was, which whoever
/// installed it says by `TOPGRAFT_TEST_ALL`.
pub fn lacks(what: &str) {
    assert!(std::env::var_os("TOPGRAFT_TEST_ALL").is_none(), "{what}");
    println!("skipped: {what}");
}

/// Python with these modules: `PYTHON`, or `python3`. tests/requirements.txt lists what the tests want of it.
pub fn python(modules: &str) -> Option<String> {
    let python = python_if_there(modules);
    if python.is_none() {
        lacks(&format!("Python has not all of {modules}; pip install -r tests/requirements.txt"));
    }
    python
}

/// The same for modules that are in no requirements.
pub fn python_if_there(modules: &str) -> Option<String> {
    let python = std::env::var("PYTHON").unwrap_or_else(|_| "python3".into());
    let found = Command::new(&python).args(["-c", &format!("import {modules}")]).output();
    found.is_ok_and(|output| output.status.success()).then_some(python)
}

/// Standard output of a program that must succeed.
#[track_caller]
pub fn succeeds(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("UTF-8")
}

/// A run that ended.
pub struct Run {
    pub code: i32,
    pub stdout: String,
    /// Without the line that says what the fit will take.
    pub stderr: String,
    /// That line, if it is there.
    pub estimate: Option<String>,
}

/// Runs `topgraft` in the repository.
pub fn topgraft<S: AsRef<std::ffi::OsStr>>(args: impl IntoIterator<Item = S>) -> Run {
    let mut command = Command::new(env!("CARGO_BIN_EXE_topgraft"));
    command.current_dir(env!("CARGO_MANIFEST_DIR")).args(args);
    run(&mut command)
}

/// Runs a command that ends.
pub fn run(command: &mut Command) -> Run {
    let Output { status, stdout, stderr } = command.output().expect("the program starts");
    let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
    let (estimates, stderr): (Vec<String>, Vec<String>) = text(stderr)
        .split_inclusive('\n')
        .map(str::to_owned)
        .partition(|line| line.starts_with("topgraft: the fit to "));
    assert!(estimates.len() <= 1, "{estimates:?}");
    let (code, estimate) = (status.code().expect("no signal"), estimates.into_iter().next());
    Run { code, stdout: text(stdout), stderr: stderr.concat(), estimate }
}

impl Run {
    #[track_caller]
    pub fn succeeds(self) -> Self {
        assert_eq!(self.code, 0, "{}", self.stderr);
        assert_eq!(self.stderr, "");
        self
    }

    /// Exit code 2, nothing on standard output, and one line on standard error that has each of `words`.
    #[track_caller]
    pub fn refuses(self, words: &[&str]) {
        assert_eq!(self.code, 2, "{} {}", self.stdout, self.stderr);
        assert_eq!(self.stdout, "");
        assert_eq!(self.stderr.lines().count(), 1, "one line, not\n{}", self.stderr);
        assert!(self.stderr.starts_with("topgraft: "), "{}", self.stderr);
        for word in words {
            assert!(self.stderr.contains(word), "{word:?} is not in {}", self.stderr);
        }
    }

    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error} in {}", self.stdout))
    }

    /// One object a line.
    pub fn json_lines(&self) -> Vec<Value> {
        self.stdout.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
    }
}

/// A folder of photos for a test to spoil, and a place for its head file.
pub struct Scene {
    folder: TempDir,
}

impl Scene {
    pub fn empty() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        fs::create_dir(folder.path().join("photos")).expect("a folder");
        Self { folder }
    }

    /// `shots` demo photos of each of `classes`.
    pub fn with_photos(classes: &[&str], shots: usize) -> Self {
        let scene = Self::empty();
        for class in classes {
            let mut photos: Vec<PathBuf> = fs::read_dir(format!("{DEMO}/learn/{class}"))
                .expect("demo photos")
                .map(|entry| entry.expect("an entry").path())
                .collect();
            photos.sort();
            for photo in &photos[..shots] {
                scene.copy(photo, &format!("{class}/{}", photo.file_name().unwrap().to_str().unwrap()));
            }
        }
        scene
    }

    pub fn copy(&self, from: impl AsRef<Path>, to: &str) {
        self.write(to, &fs::read(from).expect("a file"));
    }

    pub fn write(&self, to: &str, bytes: &[u8]) {
        let path = self.photos().join(to);
        fs::create_dir_all(path.parent().expect("below photos")).expect("a folder");
        fs::write(path, bytes).expect("written");
    }

    pub fn photos(&self) -> PathBuf {
        self.folder.path().join("photos")
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn head(&self) -> PathBuf {
        self.path("test.graft")
    }

    /// `topgraft learn PHOTOS -o HEAD` and more arguments.
    pub fn learn(&self, more: &[&str]) -> Run {
        let [photos, head] = [self.photos(), self.head()].map(|path| path.to_str().unwrap().to_owned());
        topgraft(["learn", &photos, "-o", &head].iter().chain(more))
    }

    /// Nothing but the photos is in the folder: no head, no half of one, no temporary file.
    #[track_caller]
    pub fn is_untouched(&self) {
        let names: Vec<_> = fs::read_dir(self.folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(names, ["photos"]);
    }
}
