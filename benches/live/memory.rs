//! Most resident memory of the commands, with 1,000 samples and the default network: as they are here, and on a board of 512 MB,
//! where `watch` has less of it (`src/cli/memory.rs`). That board is this machine with another `/proc/meminfo`, which only root can
//! give it.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::scene::{self, thousand};

pub fn run(shared: &Path) -> Result<()> {
    let folder = scene::folder()?;
    let store = folder.path().join("x.store");
    drop(thousand(shared, &store)?);
    let board = folder.path().join("meminfo");
    let meminfo = std::fs::read_to_string("/proc/meminfo")?;
    let total = meminfo.lines().next().context("empty")?;
    std::fs::write(&board, meminfo.replace(total, "MemTotal:         442336 kB"))?;
    let photos = shared.join("data/images/signdigits10/digit0");
    let settings = folder.path().join("t.toml");
    std::fs::write(&settings, "[camera]\nrepeat = true\n[teaching]\nsettle = 0.0")?;
    let [store, photos, settings, board] =
        [&store, &photos, &settings, &board].map(|path| path.to_string_lossy().into_owned());
    println!("| command, 1,000 samples, the default network | most resident, MB | median pass, ms |\n|---|---|---|");
    // Long enough to be measured meanwhile.
    let watch = ["watch", "--config", &settings, "-s", &store, "--from", &photos, "--frames", "300", "--json"];
    let teach = ["teach", "-s", &store, "-c", "digit0", "--from", &photos, "--json"];
    for (name, args) in [("watch, measuring", &watch[..]), ("teach, measuring", &teach)] {
        for (place, board) in [("here", None), ("on a board of 512 MB", Some(&board))] {
            let (peak, pass) = measure(args, board)?;
            println!("| {name}, {place} | {peak:.0} | {} |", pass.map_or("-".to_owned(), |pass| format!("{pass:.0}")));
        }
    }
    Ok(())
}

/// MB; milliseconds of the trunk's pass, where frames are printed.
fn measure(args: &[&str], board: Option<&String>) -> Result<(f64, Option<f64>)> {
    let mut command = match board {
        None => Command::new("/usr/bin/time"),
        Some(board) => {
            let mut command = Command::new("unshare");
            let script = "mount --bind \"$0\" /proc/meminfo && exec /usr/bin/time \"$@\"";
            command.args(["--mount", "sh", "-c", script, board]);
            command
        }
    };
    let output = command.arg("-v").arg(env!("CARGO_BIN_EXE_topgraft")).args(args).output();
    let output = output.context("GNU time or unshare is not installed")?;
    let report = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{report}");
    let lines = String::from_utf8(output.stdout)?;
    let lines = lines.lines().map(serde_json::from_str).collect::<Result<Vec<Value>, _>>()?;
    let is_measured = report.contains("measured: ") || lines.iter().any(|line| line["evaluation"].is_object());
    ensure!(is_measured, "it ended before the head was measured");
    let mut passes: Vec<f64> = lines.iter().filter_map(|line| line["trunk_ms"].as_f64()).collect();
    passes.sort_by(f64::total_cmp);
    let peak = report.lines().find_map(|line| line.trim().strip_prefix("Maximum resident set size (kbytes): "));
    let kilobytes: f64 = peak.context("no figure from GNU time")?.parse()?;
    Ok((kilobytes * 1024.0 / 1e6, passes.get(passes.len() / 2).copied()))
}
