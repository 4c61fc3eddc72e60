//! The program on an ARM board, or under QEMU, against this machine's: the same head from the same features, and from the same
//! photos the same features on 64-bit ARM, nearly the same elsewhere.
//!
//! `TOPGRAFT_BOARD` is the command that runs it, its arguments parted by blanks, e.g. `qemu-aarch64-static -cpu cortex-a53
//! target/debian/aarch64-unknown-linux-gnu/release/topgraft`. Without it there is nothing to compare.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use topgraft_core::kernel::{Isa, Kernels};

use super::program::{DEMO, topgraft};

/// The program on the board; `None` says why the test ends here.
fn board() -> Option<impl Fn(&[&str]) -> String> {
    let Ok(command) = std::env::var("TOPGRAFT_BOARD") else {
        eprintln!("skipped: TOPGRAFT_BOARD names no program to compare with");
        return None;
    };
    Some(move |args: &[&str]| {
        let mut words = command.split_whitespace();
        let mut run = Command::new(words.next().expect("a program"));
        let run = run.current_dir(env!("CARGO_MANIFEST_DIR")).args(words).args(args);
        let output = run.output().unwrap_or_else(|error| panic!("{command}: {error}"));
        let [out, err] = [output.stdout, output.stderr].map(|text| String::from_utf8(text).expect("UTF-8"));
        assert!(output.status.success(), "{command} {args:?}: {} {err}", output.status);
        out
    })
}

/// Features by the photo's hash: records of the file that `src/learn/cache.rs` describes.
fn features(cache: &Path) -> BTreeMap<[u8; 32], Vec<f32>> {
    let bytes = fs::read(cache).expect("a file of features");
    let feature_dim = u32::from_le_bytes(bytes[40..44].try_into().expect("four")) as usize;
    let row = |record: &[u8]| record.as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
    let records = bytes[44..].chunks_exact(36 + 4 * feature_dim);
    records.map(|record| (record[..32].try_into().expect("a hash"), row(&record[32..32 + 4 * feature_dim]))).collect()
}

#[test]
fn the_board_makes_the_same_head_of_the_same_features_and_nearly_the_same_features() {
    let Some(board) = board() else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| folder.path().join(name).to_str().expect("UTF-8").to_owned();
    let photos = format!("{DEMO}/learn");
    let [cache, copy, own] = ["features", "copy", "own"].map(path);
    let [here, there] = ["here.graft", "there.graft"].map(path);
    topgraft(["learn", &photos, "-o", &here, "--cache", &cache]).succeeds();
    fs::copy(&cache, &copy).expect("a copy");
    board(&["learn", &photos, "-o", &there, "--cache", &copy]);
    let bytes = |path: &str| fs::read(path).expect("a head");
    assert!(bytes(&here) == bytes(&there), "the heads differ");
    assert!(bytes(&cache) == bytes(&copy), "the board ran its trunk on photos that the cache knew");

    board(&["learn", &photos, "-o", &there, "--cache", &own, "--force"]);
    let (here, there) = (features(Path::new(&cache)), features(Path::new(&own)));
    assert!(here.keys().eq(there.keys()) && here.len() == 30);
    let mut worst: f32 = 0.0;
    for (photo, row) in &here {
        let norm = |row: &mut dyn Iterator<Item = f32>| row.map(|x| x * x).sum::<f32>().sqrt();
        let difference = norm(&mut row.iter().zip(&there[photo]).map(|(a, b)| a - b));
        worst = worst.max(difference / norm(&mut row.iter().copied()));
    }
    println!("features differ by {worst:e} at most, relative L2");
    assert!(worst < 1e-3, "{worst}");
    // Where our own kernels run the trunk, on both, they are the same.
    let is_ours = matches!(Kernels::detect().isa(), Isa::Avx2 | Isa::Avx512 | Isa::Neon);
    if is_ours && std::env::var("TOPGRAFT_BOARD").is_ok_and(|board| board.contains("aarch64")) {
        assert!(here == there, "features differ in their bits");
    }
}

#[test]
fn the_board_runs_the_demo_and_classifies_as_this_machine_does() {
    let Some(board) = board() else { return };
    let demo = board(&["demo"]);
    println!("{demo}");
    assert!(demo.contains(" of 24 right"), "{demo}");
    let folder = tempfile::tempdir().expect("a folder");
    let head = folder.path().join("head.graft").to_str().expect("UTF-8").to_owned();
    topgraft(["learn", &format!("{DEMO}/learn"), "-o", &head]).succeeds();
    let photos = format!("{DEMO}/new/fish");
    let labels = |lines: &str| -> Vec<String> {
        let label = |line| serde_json::from_str::<serde_json::Value>(line).expect("JSON")["label"].to_string();
        lines.lines().map(label).collect()
    };
    let args = ["classify", "-m", &head, "--json", &photos];
    assert_eq!(labels(&board(&args)), labels(&topgraft(args).succeeds().stdout));
}
