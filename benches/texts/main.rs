//! Texts by word vectors: accuracy beside scikit-learn's, speed beside gensim's, and what a table on disk takes.
//!
//! `cargo bench --bench texts -- SHARED`, SHARED being a folder with `data/text/`, `data/vectors/` and `data/splits/` (default
//! `../shared`). With `accuracy`, `speed` or `table` behind it only that part.

mod accuracy;
mod speed;
mod table;

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;

fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().skip(1).filter(|arg| !arg.starts_with("--")).collect();
    // The part of `table` that is measured in a process of its own.
    if let [part, file] = &args[..]
        && let Some(step) = part.strip_prefix("child-")
    {
        return table::child(step, Path::new(file));
    }
    let shared = args.first().map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared"), PathBuf::from);
    let wanted = |part: &str| args.len() < 2 || args[1..].iter().any(|arg| arg == part);
    if wanted("accuracy") {
        accuracy::run(&shared)?;
    }
    if wanted("speed") {
        speed::run(&shared)?;
    }
    if wanted("table") {
        table::run()?;
    }
    Ok(())
}

/// Python for a peer, on one thread. What slows OpenBLAS down says nothing of the peer.
fn python(script: &str) -> Command {
    let mut python = Command::new(std::env::var("PYTHON").unwrap_or("python3".to_owned()));
    python.env_remove("OPENBLAS_CORETYPE").env_remove("OPENBLAS_L2_SIZE");
    python.env("OMP_NUM_THREADS", "1").env("OPENBLAS_NUM_THREADS", "1");
    python.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/peers").join(script));
    python
}

/// What a peer prints, or why it does not.
fn output(mut peer: Command) -> Result<String, String> {
    let output = peer.output().map_err(|error| error.to_string())?;
    match output.status.success() {
        true => Ok(String::from_utf8_lossy(&output.stdout).into_owned()),
        false => {
            let text = String::from_utf8_lossy(&output.stderr);
            Err(text.lines().last().unwrap_or("failed").to_owned())
        }
    }
}
