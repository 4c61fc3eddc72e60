//! The loop of camera, trunk and head: what docs/live.md says of it.
//!
//! `cargo bench --bench live -- teach|soak|memory|drift [SHARED]`, SHARED being a folder with `data/images/` and `data/splits/`
//! (default `../shared`).
//!
//! - `teach`: from 'hold the button' on a frame to a prediction that knows it, beside 1,000 samples of ten classes;
//! - `soak`: 864,000 frames, a day of ten a second, as fast as they go, taught all the time; resident memory and the store's size;
//! - `memory`: most resident memory of `topgraft watch` and `topgraft teach` on 1,000 samples (needs GNU time);
//! - `drift`: how often the alarm is false, and how soon it comes when the camera sees something else.

mod drift;
mod memory;
mod scene;
mod soak;
mod teach;

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};

#[path = "../splits.rs"]
mod splits;

fn main() -> Result<()> {
    let mut args = std::env::args().skip(1).filter(|arg| !arg.starts_with("--"));
    let what = args.next().unwrap_or_default();
    let shared = args.next().map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared"), PathBuf::from);
    match what.as_str() {
        "teach" => teach::run(&shared),
        "soak" => soak::run(),
        "memory" => memory::run(&shared),
        "drift" => drift::run(&shared),
        _ => bail!("give one of teach, soak, memory, drift"),
    }
}
