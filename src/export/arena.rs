//! Where each value lies in the one block of memory that firmware works in.

/// A value's first and last use, as indices of layers, and its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Life {
    pub first: usize,
    pub last: usize,
    pub bytes: usize,
}

/// Offset of each value, and how many bytes all need: values that live at the same time do not overlap. The largest is
/// placed first, each at the lowest place that is free during its life (Pisarchyk and Lee, "Efficient Memory Management for
/// Deep Neural Net Inference", 2020: greedy by size).
pub(super) fn plan(lives: &[Life]) -> (Vec<usize>, usize) {
    let mut order: Vec<usize> = (0..lives.len()).collect();
    order.sort_by_key(|&at| std::cmp::Reverse(lives[at].bytes));
    let mut offsets = vec![0; lives.len()];
    let mut placed: Vec<usize> = Vec::new();
    for at in order {
        let life = lives[at];
        let meets = |other: &&usize| lives[**other].first <= life.last && life.first <= lives[**other].last;
        let mut taken: Vec<(usize, usize)> =
            placed.iter().filter(meets).map(|&other| (offsets[other], offsets[other] + lives[other].bytes)).collect();
        taken.sort();
        offsets[at] = first_fit(&taken, life.bytes);
        placed.push(at);
    }
    let total = (0..lives.len()).map(|at| offsets[at] + lives[at].bytes).max().unwrap_or(0);
    (offsets, total)
}

/// The lowest place of `bytes` that is not `taken`, starts and ends sorted by the start.
fn first_fit(taken: &[(usize, usize)], bytes: usize) -> usize {
    let mut free = 0;
    for &(start, end) in taken {
        if free + bytes <= start {
            return free;
        }
        free = free.max(end);
    }
    free
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_that_live_together_do_not_overlap() {
        let mut seed = 1u64;
        let mut random = |n: usize| {
            seed = seed.wrapping_mul(6364136223846793005).wrapping_add(1);
            (seed >> 33) as usize % n
        };
        for _ in 0..100 {
            let mut life = || {
                let first = random(20);
                Life { first, last: first + random(4), bytes: 1 + random(100) }
            };
            let lives: Vec<Life> = (0..15).map(|_| life()).collect();
            let (offsets, total) = plan(&lives);
            for (a, b) in (0..15).flat_map(|a| (0..a).map(move |b| (a, b))) {
                let together = lives[a].first <= lives[b].last && lives[b].first <= lives[a].last;
                let apart = offsets[a] + lives[a].bytes <= offsets[b] || offsets[b] + lives[b].bytes <= offsets[a];
                assert!(!together || apart, "{lives:?} {offsets:?}");
            }
            let at_once =
                |step: usize| lives.iter().filter(|l| (l.first..=l.last).contains(&step)).map(|l| l.bytes).sum();
            assert!(total >= (0..24).map(at_once).max().unwrap_or(0usize));
        }
    }

    #[test]
    fn a_chain_needs_its_largest_pair() {
        let chain = [(0, 100), (1, 30), (2, 80), (3, 20)].map(|(first, bytes)| Life { first, last: first + 1, bytes });
        assert_eq!(plan(&chain).1, 130);
        assert_eq!(plan(&[]), (vec![], 0));
    }
}
