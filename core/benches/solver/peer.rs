//! The other programs: `benches/peers/solver.py`, one process that answers a line of numbers to each command.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use crate::data::Samples;
use crate::timing::Timing;

/// What a fit came to.
#[derive(Clone, Copy, Debug)]
pub struct Fit {
    /// In float64, from the parameters that it gave.
    pub objective: f64,
    pub iterations: f64,
    pub timing: Timing,
}

pub struct Peer {
    child: Child,
    commands: ChildStdin,
    answers: BufReader<ChildStdout>,
    folder: PathBuf,
    /// Names and versions of what it has.
    pub versions: String,
}

impl Peer {
    /// On one thread, and with nothing in its environment that slows its BLAS down.
    ///
    /// # Panics
    /// Without a Python that has scikit-learn.
    pub fn start() -> Self {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../benches/peers/solver.py");
        let python = std::env::var("PYTHON").unwrap_or_else(|_| "python3".to_owned());
        let mut command = Command::new(&python);
        command.arg(script).stdin(Stdio::piped()).stdout(Stdio::piped());
        command.envs(["OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"].map(|name| (name, "1")));
        command.env_remove("OPENBLAS_CORETYPE").env_remove("OPENBLAS_L2_SIZE");
        let mut child = command.spawn().unwrap_or_else(|error| panic!("{python}: {error}"));
        let commands = child.stdin.take().expect("piped");
        let mut answers = BufReader::new(child.stdout.take().expect("piped"));
        let mut versions = String::new();
        answers.read_line(&mut versions).expect("UTF-8");
        assert!(!versions.is_empty(), "{python} needs benches/peers/requirements.txt; PYTHON may name another one");
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("solver-{}", child.id()));
        fs::create_dir_all(&folder).expect("a folder for the features");
        Self { child, commands, answers, folder, versions: versions.trim().to_owned() }
    }

    pub fn has(&self, name: &str) -> bool {
        self.versions.contains(name)
    }

    fn ask<const N: usize>(&mut self, words: &[&str]) -> [f64; N] {
        writeln!(self.commands, "{}", words.join("\t")).expect("the peer listens");
        let mut line = String::new();
        self.answers.read_line(&mut line).expect("UTF-8");
        let numbers: Vec<f64> = line.split_whitespace().map(|word| word.parse().expect("a number")).collect();
        numbers.try_into().unwrap_or_else(|_| panic!("{words:?}: the peer answers {line:?}"))
    }

    fn path(&self, name: &str) -> String {
        self.folder.join(name).to_str().expect("a path in UTF-8").to_owned()
    }

    /// Hands over the samples that the next commands are about.
    pub fn load(&mut self, samples: &Samples) {
        let (features, labels) = (self.path("features.f32"), self.path("labels.u16"));
        write_floats(&features, &samples.features);
        let bytes: Vec<u8> = samples.labels.iter().flat_map(|label| label.to_le_bytes()).collect();
        fs::write(&labels, bytes).expect("room for the labels");
        let [n, d, classes] = [samples.len(), samples.feature_dim, samples.n_classes].map(|number| number.to_string());
        let _: [f64; 2] = self.ask(&["load", &features, &labels, &n, &d, &classes]);
    }

    /// Recorded features of photos.
    pub fn photos(&mut self, shared: &Path) -> Samples {
        let (features, labels) = (self.path("photos.f32"), self.path("photos.u16"));
        let shared = shared.to_str().expect("a path in UTF-8");
        let [_, feature_dim, n_classes] = self.ask(&["photos", shared, &features, &labels]);
        let [features, labels] = [features, labels].map(|path| fs::read(path).expect("written by the peer"));
        Samples {
            features: features.as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect(),
            labels: labels.as_chunks().0.iter().map(|bytes| u16::from_le_bytes(*bytes)).collect(),
            n_classes: n_classes as usize,
            feature_dim: feature_dim as usize,
        }
    }

    /// Objective of a head, weights then bias.
    pub fn objective(&mut self, parameters: &[f32], l2: f64) -> f64 {
        let path = self.path("head.f32");
        write_floats(&path, parameters);
        let [objective] = self.ask(&["objective", &path, &l2.to_string()]);
        objective
    }

    /// Fits so often, from nothing each time.
    pub fn fit(&mut self, name: &str, dtype: &str, l2: f64, tolerance: f64, runs: usize) -> Fit {
        let [l2, tolerance, runs] = [l2.to_string(), tolerance.to_string(), runs.to_string()];
        let [objective, iterations, wall, cpu] = self.ask(&["fit", name, dtype, &l2, &tolerance, &runs]);
        Fit { objective, iterations, timing: Timing { wall, cpu } }
    }

    /// Index of the penalty that `RidgeClassifierCV` chooses.
    pub fn ridge(&mut self, path: &[f32], runs: usize) -> (usize, Timing) {
        let runs = runs.to_string();
        let path: Vec<String> = path.iter().map(|l2| f64::from(*l2).to_string()).collect();
        let words: Vec<&str> = ["ridge", &runs].into_iter().chain(path.iter().map(String::as_str)).collect();
        let [choice, wall, cpu] = self.ask(&words);
        (choice as usize, Timing { wall, cpu })
    }

    /// Bytes that a fit of scikit-learn adds to the peak. Only of use in a new process.
    pub fn memory(&mut self, l2: f64) -> f64 {
        let [bytes] = self.ask(&["memory", &l2.to_string()]);
        bytes
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        // Only a folder of temporary files may be left.
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = fs::remove_dir_all(&self.folder);
    }
}

fn write_floats(path: &str, floats: &[f32]) {
    let bytes: Vec<u8> = floats.iter().flat_map(|x| x.to_le_bytes()).collect();
    fs::write(path, bytes).expect("room for the features");
}
