//! Most resident memory of the commands, with 1,000 samples and the default network: as they are here, and as on a board of 1 GB
//! or less (`src/cli/memory.rs`).

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};

use super::scene::thousand;

pub fn run(shared: &Path) -> Result<()> {
    let folder = tempfile::tempdir_in(".")?;
    let store = folder.path().join("x.store");
    drop(thousand(shared, &store)?);
    let photos = shared.join("data/images/signdigits10/digit0");
    println!("| command, 1,000 samples, the default network | most resident, MB | on a small board |\n|---|---|---|");
    let store = store.to_str().context("UTF-8")?;
    let folder = photos.to_str().context("UTF-8")?;
    measure("watch --store, 100 frames", &["watch", "-s", store, "--from", folder, "--frames", "100", "--json"])?;
    measure("teach, a photo, measured", &["teach", "-s", store, "-c", "digit0", "--from", folder, "--json"])
}

fn measure(name: &str, args: &[&str]) -> Result<()> {
    let [here, small] = [false, true].map(|is_small| peak(args, is_small));
    println!("| {name} | {:.0} | {:.0} |", here?, small?);
    Ok(())
}

/// MB.
fn peak(args: &[&str], is_small: bool) -> Result<f64> {
    let mut command = Command::new("/usr/bin/time");
    command.arg("-v").arg(env!("CARGO_BIN_EXE_topgraft")).args(args);
    if is_small {
        command.envs([("MALLOC_MMAP_THRESHOLD_", "131072"), ("MALLOC_TRIM_THRESHOLD_", "67108864")]);
    }
    let output = command.output().context("GNU time is not installed")?;
    let report = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{report}");
    let peak = report.lines().find_map(|line| line.trim().strip_prefix("Maximum resident set size (kbytes): "));
    let kilobytes: f64 = peak.context("no figure from GNU time")?.parse()?;
    Ok(kilobytes * 1024.0 / 1e6)
}
