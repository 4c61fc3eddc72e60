//! What a head says of a photo.

/// What a head says of one photo.
#[derive(Clone, Debug, PartialEq)]
pub struct Prediction {
    /// Probability of each class, `[n_classes]`, in the order of the model's labels.
    pub probabilities: Vec<f32>,
    /// Classes, the most probable first.
    pub ranking: Vec<u16>,
    /// Whether the photo is of none of the classes; `None` if the head has nothing to tell that by.
    pub unknown: Option<bool>,
    /// How much the photo looks like the classes: below the head's threshold it is unknown. `None` as for `unknown`.
    pub score: Option<f32>,
}

impl Prediction {
    /// Ranks the classes by probability, the first of equals first. Whether the photo is of none of them is left open.
    pub fn new(probabilities: Vec<f32>) -> Self {
        let mut ranking: Vec<u16> = (0..probabilities.len() as u16).collect();
        ranking.sort_by(|a, b| probabilities[usize::from(*b)].total_cmp(&probabilities[usize::from(*a)]));
        Self { probabilities, ranking, unknown: None, score: None }
    }

    /// The most probable class.
    pub fn class(&self) -> u16 {
        self.ranking.first().copied().unwrap_or(0)
    }

    /// The most probable classes with their probabilities, at most `k`.
    pub fn top(&self, k: usize) -> impl Iterator<Item = (u16, f32)> {
        self.ranking.iter().take(k).map(|class| (*class, self.probabilities[usize::from(*class)]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_probable_class_comes_first_and_ties_keep_their_order() {
        let prediction = Prediction::new(vec![0.2, 0.4, 0.4, 0.0]);
        assert_eq!(prediction.class(), 1);
        assert_eq!(prediction.top(3).collect::<Vec<_>>(), [(1, 0.4), (2, 0.4), (0, 0.2)]);
    }
}
