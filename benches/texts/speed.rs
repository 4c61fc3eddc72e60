//! Texts a second on one core, means of the words' vectors, beside gensim and numpy in the same run.

use std::fs;
use std::path::Path;
use std::time::Instant;

use anyhow::{Context, Result};
use topgraft::learn::Texts;
use topgraft::words::{Embedder, Limits, Precision, TextPooling, VectorReader, Vectors, convert};

/// Each side is timed so often; the median counts.
const TIMES: usize = 11;

pub fn run(shared: &Path) -> Result<()> {
    let glove = shared.join("data/vectors/glove.6B.50d.top20k.txt");
    let tsv = shared.join("data/text/sms_spam.tsv");
    let texts = Texts::open(&tsv)?.texts;
    let folder = tempfile::tempdir()?;
    let table = folder.path().join("glove.words");
    let mut file = fs::File::create_new(&table)?;
    convert(VectorReader::open(&glove)?, &Limits::default(), Precision::Float16, &table, &mut file)?;
    println!("| features of {} texts, one thread | texts a second |\n|---|---|", texts.len());
    let mut ours = 0.0;
    for (name, path, pooling) in [
        ("topgraft, mean, vectors in memory", &glove, TextPooling::Mean),
        ("topgraft, max+mean, vectors in memory", &glove, TextPooling::MaxMean),
        ("topgraft, sif, vectors in memory", &glove, TextPooling::Sif),
        ("topgraft, mean, float16 table on disk", &table, TextPooling::Mean),
    ] {
        let some: Vec<&str> = texts.iter().take(1000).map(String::as_str).collect();
        let embedder = Embedder::fit(Vectors::open(path, &Limits::default())?, pooling, None, &some)?;
        let mut times = Vec::new();
        for _ in 0..TIMES {
            let start = Instant::now();
            for text in &texts {
                std::hint::black_box(embedder.features(text)?);
            }
            times.push(start.elapsed().as_secs_f64());
        }
        times.sort_by(f64::total_cmp);
        let speed = texts.len() as f64 / times[TIMES / 2];
        println!("| {name} | {speed:.0} |");
        if ours == 0.0 {
            ours = speed;
        }
    }
    let mut peer = super::python("texts.py");
    peer.arg(&glove).arg(&tsv).arg(TIMES.to_string());
    match super::output(peer) {
        Ok(text) => {
            let speed: f64 = text.trim().parse().context("the peer's speed")?;
            println!("| gensim's KeyedVectors and numpy, mean, the same words | {speed:.0} |\n");
            println!("topgraft / gensim and numpy: {:.1} times as fast\n", ours / speed);
        }
        Err(reason) => println!("| gensim and numpy | not measured: {reason} |\n"),
    }
    Ok(())
}
