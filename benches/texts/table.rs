//! What a table of 400,000 words takes: to make, to open, to look words up in.

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result};
use topgraft::words::{Limits, Precision, VectorReader, Vectors, convert};

const WORDS: u64 = 400_000;
const DIMS: u64 = 50;

/// A number that looks random, the same in each run.
fn mixed(seed: u64) -> u64 {
    let x = (seed ^ (seed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

/// Words of 3 to 12 letters, each another.
fn word(at: u64) -> String {
    let letters = 3 + mixed(at) % 7;
    let random = (0..letters).map(|letter| char::from(b'a' + (mixed(at * 31 + letter) % 26) as u8));
    format!("{}{at:x}", random.collect::<String>())
}

pub fn run() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let text = folder.path().join("vectors.txt");
    let mut out = BufWriter::new(File::create_new(&text)?);
    for at in 0..WORDS {
        write!(out, "{}", word(at))?;
        for number in 0..DIMS {
            write!(out, " {:.5}", mixed(at * DIMS + number) as f64 / u64::MAX as f64 - 0.5)?;
        }
        writeln!(out)?;
    }
    out.into_inner()?.sync_all()?;
    println!("| {WORDS} x {DIMS}, text of {:.0} MB | time | most resident |\n|---|---|---|", size(&text)?);
    println!("| read the text into memory | {} |", measured("open", &text)?);
    println!("| convert to float16 | {} |", measured("convert", &text)?);
    let table = text.with_extension("words");
    println!("| open the table of {:.0} MB | {} |", size(&table)?, measured("open", &table)?);
    println!("| open, 1,000 words looked up | {} |\n", measured("look-up", &table)?);
    Ok(())
}

fn size(path: &Path) -> Result<f64> {
    Ok(fs::metadata(path)?.len() as f64 / 1e6)
}

/// `12.3 ms | 4.5 MB`, of a process of its own; the median time of five.
fn measured(step: &str, file: &Path) -> Result<String> {
    let mut lines = Vec::new();
    for _ in 0..5 {
        let output = Command::new(std::env::current_exe()?).arg(format!("child-{step}")).arg(file).output()?;
        anyhow::ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let text = String::from_utf8(output.stdout)?;
        let (time, memory) = text.trim().split_once(' ').context("two numbers")?;
        lines.push((time.parse::<f64>()?, memory.parse::<f64>()?));
    }
    lines.sort_by(|a, b| a.0.total_cmp(&b.0));
    let most = lines.iter().fold(0.0f64, |most, line| most.max(line.1));
    Ok(format!("{:.1} ms | {most:.1} MB", lines[2].0))
}

/// Does a step; prints the milliseconds and the most resident megabytes.
pub fn child(step: &str, file: &Path) -> Result<()> {
    let start = Instant::now();
    match step {
        "convert" => {
            let table = file.with_extension("words");
            let mut out = File::create(&table)?;
            convert(VectorReader::open(file)?, &Limits::default(), Precision::Float16, &table, &mut out)?;
        }
        _ => {
            let vectors = Vectors::open(file, &Limits::default())?;
            let lookups = if step == "look-up" { 1000 } else { 0 };
            let mut row = vec![0.0; vectors.dims()];
            for at in 0..lookups {
                let number = vectors.find(&word(mixed(at) % WORDS)).context("is in it")?;
                vectors.row(number, &mut row)?;
            }
        }
    }
    let time = start.elapsed();
    let status = fs::read_to_string("/proc/self/status")?;
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).context("no VmHWM")?;
    let kilobytes: f64 = peak.trim().trim_end_matches(" kB").parse()?;
    println!("{} {}", 1e3 * time.as_secs_f64(), kilobytes / 1e3);
    Ok(())
}
