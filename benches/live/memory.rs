//! Most resident memory of the commands, with 1,000 samples and the default network.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};

use super::scene::thousand;

pub fn run(shared: &Path) -> Result<()> {
    let folder = tempfile::tempdir_in(".")?;
    let store = folder.path().join("x.store");
    drop(thousand(shared, &store)?);
    let photos = shared.join("data/images/signdigits10/digit0");
    println!("| command, 1,000 samples, the default network | most resident, MB |\n|---|---|");
    let store = store.to_str().context("UTF-8")?;
    let folder = photos.to_str().context("UTF-8")?;
    measure("watch --store, 100 frames", &["watch", "-s", store, "--from", folder, "--frames", "100", "--json"])?;
    measure("teach, a photo, measured", &["teach", "-s", store, "-c", "digit0", "--from", folder, "--json"])
}

fn measure(name: &str, args: &[&str]) -> Result<()> {
    let output = Command::new("/usr/bin/time")
        .arg("-v")
        .arg(env!("CARGO_BIN_EXE_topgraft"))
        .args(args)
        .output()
        .context("GNU time is not installed")?;
    let report = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{report}");
    let peak = report.lines().find_map(|line| line.trim().strip_prefix("Maximum resident set size (kbytes): "));
    let kilobytes: f64 = peak.context("no figure from GNU time")?.parse()?;
    println!("| {name} | {:.0} |", kilobytes * 1024.0 / 1e6);
    Ok(())
}
