//! How often a word that is hidden is among those nearest to the mean of the others in its text.

use std::path::Path;

use anyhow::Result;
use topgraft::learn::Texts;
use topgraft::words::{Limits, Vectors, tokens};

const TOP: [usize; 3] = [1, 10, 100];

pub fn run(shared: &Path) -> Result<()> {
    let vectors = Vectors::open(&shared.join("data/vectors/glove.6B.50d.top20k.txt"), &Limits::default())?;
    let texts = Texts::open(&shared.join("data/text/trec_test.tsv"))?.texts;
    println!(
        "| hidden words of {} questions | nearest to the mean of the others | the most frequent words | chance |",
        texts.len()
    );
    println!("|---|---|---|---|");
    let (mut asked, mut nearest, mut frequent) = (0, [0; 3], [0; 3]);
    for text in &texts {
        let found = tokens(text).filter_map(|token| vectors.find(&token.to_lowercase()));
        let words: Vec<usize> = found.filter(|number| vectors.word(*number).chars().all(char::is_alphabetic)).collect();
        for (at, hidden) in words.iter().enumerate() {
            let others: Vec<usize> =
                words.iter().enumerate().filter(|(i, _)| *i != at).map(|(_, word)| *word).collect();
            if others.is_empty() || others.contains(hidden) {
                continue;
            }
            asked += 1;
            let found = vectors.nearest(&vectors.analogy(&others, &[])?, TOP[2], &others)?;
            let place = found.iter().position(|near| near.number == *hidden);
            let rank = (0..*hidden).filter(|number| !others.contains(number)).count();
            for (at, top) in TOP.into_iter().enumerate() {
                nearest[at] += u32::from(place.is_some_and(|place| place < top));
                frequent[at] += u32::from(rank < top);
            }
        }
    }
    for (at, top) in TOP.into_iter().enumerate() {
        let share = |count: u32| 100.0 * f64::from(count) / f64::from(asked);
        let chance = 100.0 * top as f64 / vectors.len() as f64;
        println!(
            "| {asked}: first {top} | {:.1} % | {:.1} % | {chance:.3} % |",
            share(nearest[at]),
            share(frequent[at])
        );
    }
    println!();
    Ok(())
}
