//! Random numbers that come in: the same for the same seed, on every machine.

/// Sebastiano Vigna's SplitMix64 (Steele, Lea & Flood 2014, "Fast splittable pseudorandom number generators"), from a seed.
///
/// ```
/// use topgraft_core::random::SplitMix64;
/// assert_eq!(SplitMix64(0).next(), 0xe220_a839_7b1d_cdaf);
/// assert!((0.0..1.0).contains(&SplitMix64(7).unit()));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SplitMix64(pub u64);

impl SplitMix64 {
    /// 64 random bits.
    #[allow(clippy::should_implement_trait, reason = "a generator that never ends")]
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `bound`; the bias of the multiplication is below `bound / 2^64`.
    pub fn below(&mut self, bound: usize) -> usize {
        ((u128::from(self.next()) * bound as u128) >> 64) as usize
    }

    /// A number in 0..1, a multiple of 2^-24: each is an f32.
    pub fn unit(&mut self) -> f32 {
        (self.next() >> 40) as f32 / (1u32 << 24) as f32
    }

    /// Brings the elements into a random order (Fisher & Yates).
    pub fn shuffle<T>(&mut self, elements: &mut [T]) {
        for i in 1..elements.len() {
            elements.swap(i, self.below(i + 1));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_order_comes_about_as_often() {
        let (mut random, mut counts) = (SplitMix64(1), [0; 6]);
        for _ in 0..6000 {
            let mut order = [0usize, 1, 2];
            random.shuffle(&mut order);
            counts[2 * order[0] + usize::from(order[1] > order[2])] += 1;
        }
        assert!(counts.iter().all(|count| (850..1150).contains(count)), "{counts:?}");
    }

    #[test]
    fn units_fill_their_range() {
        let mut random = SplitMix64(3);
        let mut tenths = [0; 10];
        (0..10_000).for_each(|_| tenths[(10.0 * random.unit()) as usize] += 1);
        assert!(tenths.iter().all(|count| (850..1150).contains(count)), "{tenths:?}");
    }
}
