//! The words whose vectors point the same way.

use topgraft_core::kernel::Kernels;

use super::error::WordsError;
use super::table::Vectors;

/// Bytes of vectors that are looked at together.
const BLOCK: usize = 1 << 18;

/// A word that is near, by its number, and the cosine of the angle, -1..=1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Neighbour {
    /// Number of the word.
    pub number: usize,
    /// Cosine of the angle between its vector and what was asked for.
    pub cosine: f32,
}

impl Vectors {
    /// The `k` words nearest to `direction` `[dims]` by cosine, the nearest first and of equals the more frequent, without those
    /// of the numbers `without` and those whose vector is 0.
    ///
    /// # Errors
    /// [`WordsError`] if a table cannot be read.
    ///
    /// # Panics
    /// If `direction` is of another length.
    pub fn nearest(&self, direction: &[f32], k: usize, without: &[usize]) -> Result<Vec<Neighbour>, WordsError> {
        let (kernels, dims) = (Kernels::detect(), self.dims());
        assert_eq!(direction.len(), dims, "a direction of {} numbers", direction.len());
        let length = norm(kernels, direction);
        let unit: Vec<f32> = direction.iter().map(|x| if length > 0.0 { x / length } else { 0.0 }).collect();
        let per_block = (BLOCK / (4 * dims)).max(1);
        let mut block = vec![0.0; per_block * dims];
        let mut dots = vec![0.0; per_block];
        let mut best: Vec<Neighbour> = Vec::with_capacity(k + 1);
        for start in (0..self.len()).step_by(per_block) {
            let count = per_block.min(self.len() - start);
            let rows = &mut block[..count * dims];
            self.rows(start, rows)?;
            kernels.gemv([count, dims], rows, &unit, &mut dots[..count]);
            for (at, row) in rows.chunks_exact(dims).enumerate() {
                let norm = norm(kernels, row);
                let found = Neighbour { number: start + at, cosine: (dots[at] / norm).clamp(-1.0, 1.0) };
                let is_better = best.len() < k || best.last().is_some_and(|last| found.cosine > last.cosine);
                if norm > 0.0 && is_better && !without.contains(&found.number) {
                    let place = best.partition_point(|other| other.cosine >= found.cosine);
                    best.insert(place, found);
                    best.truncate(k);
                }
            }
        }
        Ok(best)
    }

    /// The direction `[dims]` of an analogy: the mean of the `plus` words' unit vectors and those of the `minus` words, turned
    /// around (3CosAdd of Levy and Goldberg 2014). Of a single word its own.
    ///
    /// # Errors
    /// [`WordsError`] if a table cannot be read.
    pub fn analogy(&self, plus: &[usize], minus: &[usize]) -> Result<Vec<f32>, WordsError> {
        let (kernels, count) = (Kernels::detect(), (plus.len() + minus.len()).max(1) as f32);
        let (mut sum, mut row) = (vec![0.0; self.dims()], vec![0.0; self.dims()]);
        let signed = plus.iter().map(|number| (*number, 1.0)).chain(minus.iter().map(|number| (*number, -1.0)));
        for (number, sign) in signed {
            self.row(number, &mut row)?;
            let norm = norm(kernels, &row);
            if norm > 0.0 {
                kernels.axpy(sign / (norm * count), &row, &mut sum);
            }
        }
        Ok(sum)
    }
}

fn norm(kernels: Kernels, x: &[f32]) -> f32 {
    kernels.dot(x, x).sqrt()
}

#[cfg(test)]
mod tests {
    use super::super::{Limits, VectorReader};
    use super::*;
    use std::path::Path;

    fn vectors(text: &str) -> Vectors {
        let reader = VectorReader::new("v.txt", text.as_bytes()).expect("sound");
        Vectors::read(reader, Path::new("v.txt"), &Limits::default()).expect("sound")
    }

    #[test]
    fn the_nearest_come_first_without_those_asked_with() {
        let vectors = vectors("king 1 1\nqueen 2 2.2\nnull 0 0\nman 1 0\nback -1 -1\ntwin 2 2\n");
        let words = |found: Vec<Neighbour>| -> Vec<String> {
            found.iter().map(|near| vectors.word(near.number).to_owned()).collect()
        };
        let king = vectors.find("king").expect("there");
        let found = vectors.nearest(&[1.0, 1.0], 10, &[king]).expect("in memory");
        assert_eq!(found[0].cosine, 1.0);
        assert_eq!(found.last().map(|near| near.cosine), Some(-1.0));
        assert_eq!(words(found), ["twin", "queen", "man", "back"]);
        assert_eq!(words(vectors.nearest(&[1.0, 1.0], 2, &[]).expect("in memory")), ["king", "twin"]);
        assert!(vectors.nearest(&[1.0, 1.0], 0, &[]).expect("in memory").is_empty());
    }

    #[test]
    fn an_analogy_adds_unit_vectors() {
        let vectors = vectors("a 3 0\nb 0 5\nc 2 2\n");
        let found = vectors.analogy(&[0, 1], &[2]).expect("in memory");
        let half = 0.5f32.sqrt();
        assert!(found.iter().all(|x| (x - (1.0 - half) / 3.0).abs() < 1e-6), "{found:?}");
    }
}
