//! How the map of a layer becomes features.

use serde::Serialize;

/// How a cut's output becomes features.
///
/// ```
/// use topgraft::trunk::Pooling;
/// assert_eq!(Pooling::from_name("max"), Some(Pooling::Max));
/// assert_eq!(Pooling::Pyramid.name(), "pyramid");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Pooling {
    /// The output `[1, D]` is the features.
    None = 0,
    /// Each channel of `[1, C, H, W]` is averaged over its map: global average pooling. `C` features.
    Average = 1,
    /// The largest number of each channel: global max pooling. `C` features.
    Max = 2,
    /// The averages of the four quarters of each channel's map, so that features say where: `4 C` features, channel by
    /// channel the quarters above left, above right, below left, below right. The second level of a spatial pyramid
    /// (Lazebnik, Schmid & Ponce 2006, "Beyond bags of features"); its first, the average, is a sum of these. In a map of
    /// odd height or width the row or column in the middle belongs to both halves. Not for maps of one row or column.
    Pyramid = 3,
}

impl Pooling {
    /// Those of a map.
    pub const OF_MAPS: [Self; 3] = [Self::Average, Self::Max, Self::Pyramid];

    /// As it is written in a cut: `average`, `max`, `pyramid`, `none`.
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Average => "average",
            Self::Max => "max",
            Self::Pyramid => "pyramid",
        }
    }

    /// The pooling of a map of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::OF_MAPS.into_iter().find(|pooling| pooling.name() == name)
    }

    /// How many features a channel gives.
    pub(super) fn per_channel(self) -> usize {
        if self == Self::Pyramid { 4 } else { 1 }
    }

    /// Features of the numbers of a tensor `[1, D]` or `[1, C, H, W]`, sums in f64, since early maps are large.
    pub(super) fn apply(self, numbers: &[f32], shape: &[usize]) -> Vec<f32> {
        let &[_, _, height, width] = shape else { return numbers.to_vec() };
        let maps = numbers.chunks_exact(height * width);
        match self {
            Self::None => numbers.to_vec(),
            Self::Average => maps.map(|map| mean(map.iter())).collect(),
            // A NaN must not be lost: the caller refuses it.
            Self::Max => maps
                .map(|map| map.iter().copied().reduce(|a, b| if a.is_nan() || b <= a { a } else { b }).unwrap())
                .collect(),
            Self::Pyramid => maps.flat_map(|map| quarters(map, height, width)).collect(),
        }
    }
}

/// Where the two halves of a length begin and end.
fn halves(length: usize) -> [std::ops::Range<usize>; 2] {
    [0..length.div_ceil(2), length / 2..length]
}

fn quarters(map: &[f32], height: usize, width: usize) -> impl Iterator<Item = f32> {
    let quarter = move |rows: std::ops::Range<usize>, columns: std::ops::Range<usize>| {
        mean(rows.flat_map(move |row| &map[row * width..][columns.clone()]))
    };
    halves(height).into_iter().flat_map(move |rows| halves(width).map(|columns| quarter(rows.clone(), columns)))
}

fn mean<'a>(numbers: impl Iterator<Item = &'a f32>) -> f32 {
    let (sum, n) = numbers.fold((0.0, 0), |(sum, n), &x| (sum + f64::from(x), n + 1));
    (sum / f64::from(n)) as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_channel_is_pooled_by_itself() {
        let maps = [1.0, 3.0, 5.0, 7.0, 9.0, 11.0, -2.0, 0.0, -4.0, -6.0, -8.0, -10.0];
        let pooled = |pooling: Pooling| pooling.apply(&maps, &[1, 2, 2, 3]);
        assert_eq!(pooled(Pooling::Average), [6.0, -5.0]);
        assert_eq!(pooled(Pooling::Max), [11.0, 0.0]);
        // The column in the middle is in both halves, as in PyTorch's adaptive_avg_pool2d.
        assert_eq!(pooled(Pooling::Pyramid), [2.0, 4.0, 8.0, 10.0, -1.0, -2.0, -7.0, -9.0]);
        for pooling in Pooling::OF_MAPS {
            assert_eq!(pooled(pooling).len(), 2 * pooling.per_channel());
            assert!(pooling.apply(&[0.0, f32::NAN, 1.0, 2.0], &[1, 1, 2, 2]).iter().any(|x| x.is_nan()));
        }
        assert_eq!(Pooling::None.apply(&[1.0, 2.0], &[1, 2]), [1.0, 2.0]);
    }
}
