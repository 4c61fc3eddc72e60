//! Texts a second on one core, means of the words' vectors, beside gensim and numpy in the same run.

use std::fs;
use std::path::Path;
use std::time::Instant;

use anyhow::{Context, Result};
use topgraft::learn::Texts;
use topgraft::words::{Embedder, Limits, Precision, TextPooling, VectorReader, Vectors, convert};

/// Each side is timed so often in a row; the median counts.
const TIMES: usize = 11;
/// The sides take turns so often, as machines are faster and slower by the minute; the median of the ratios counts.
const TURNS: usize = 7;

pub fn run(shared: &Path) -> Result<()> {
    let glove = shared.join("data/vectors/glove.6B.50d.top20k.txt");
    let tsv = shared.join("data/text/sms_spam.tsv");
    let texts = Texts::open(&tsv)?.texts;
    let folder = tempfile::tempdir()?;
    let table = folder.path().join("glove.words");
    let mut file = fs::File::create_new(&table)?;
    convert(VectorReader::open(&glove)?, &Limits::default(), Precision::Float16, &table, &mut file)?;
    println!("| features of {} texts, one thread | texts a second |\n|---|---|", texts.len());
    for (name, path, pooling) in [
        ("topgraft, mean, vectors in memory", &glove, TextPooling::Mean),
        ("topgraft, max+mean, vectors in memory", &glove, TextPooling::MaxMean),
        ("topgraft, sif, vectors in memory", &glove, TextPooling::Sif),
        ("topgraft, mean, float16 table on disk", &table, TextPooling::Mean),
    ] {
        println!("| {name} | {:.0} |", texts_a_second(&embedder(path, pooling, &texts)?, &texts)?);
    }
    let mean = embedder(&glove, TextPooling::Mean, &texts)?;
    let mut peers = [("gensim's get_mean_vector", Vec::new()), ("numpy on gensim's table", Vec::new())];
    let mut ours = Vec::new();
    for _ in 0..TURNS {
        ours.push(texts_a_second(&mean, &texts)?);
        let mut peer = super::python("texts.py");
        peer.arg(&glove).arg(&tsv).arg(TIMES.to_string());
        let text = match super::output(peer) {
            Ok(text) => text,
            Err(reason) => {
                println!("| gensim and numpy | not measured: {reason} |\n");
                return Ok(());
            }
        };
        for (line, (_, speeds)) in text.lines().zip(&mut peers) {
            speeds.push(line.parse::<f64>().context("the peer's speed")?);
        }
    }
    for (name, speeds) in &peers {
        println!("| {name}, mean, the same words | {:.0} |", median(&mut speeds.clone()));
    }
    println!();
    for (name, speeds) in peers {
        let mut ratios: Vec<f64> = ours.iter().zip(&speeds).map(|(ours, peer)| ours / peer).collect();
        let middle = median(&mut ratios);
        let (least, most) = (ratios[0], ratios[TURNS - 1]);
        println!("topgraft / {name}, {TURNS} turns: {middle:.1} times as fast ({least:.1} to {most:.1})");
    }
    println!();
    Ok(())
}

fn embedder(path: &Path, pooling: TextPooling, texts: &[String]) -> Result<Embedder> {
    let some: Vec<&str> = texts.iter().take(1000).map(String::as_str).collect();
    Ok(Embedder::fit(Vectors::open(path, &Limits::default())?, pooling, None, &some)?)
}

fn texts_a_second(embedder: &Embedder, texts: &[String]) -> Result<f64> {
    let mut times = Vec::new();
    for _ in 0..TIMES {
        let start = Instant::now();
        for text in texts {
            std::hint::black_box(embedder.features(text)?);
        }
        times.push(start.elapsed().as_secs_f64());
    }
    Ok(texts.len() as f64 / median(&mut times))
}

/// Sorts them.
fn median(numbers: &mut [f64]) -> f64 {
    numbers.sort_by(f64::total_cmp);
    numbers[numbers.len() / 2]
}
