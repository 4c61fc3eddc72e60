//! A hidden layer behind a trunk, frozen with it: what was developed on a source task.

use sha2::{Digest, Sha256};
use topgraft_core::format::ParseError;
use topgraft_core::head::parameter_count;
use topgraft_core::kernel::Kernels;
use topgraft_core::neck::Neck as Layer;
use topgraft_core::scaler::Scaler;

/// Features of one trunk -> features `[hidden_dim]`: scaled, then through a hidden layer.
#[derive(Clone, Debug, PartialEq)]
pub struct Neck {
    /// Fingerprint of the trunk whose features it takes.
    pub trunk: [u8; 32],
    /// Scaling of that trunk's features, `[feature_dim]`.
    pub scaler: Scaler<Vec<f32>>,
    /// The hidden layer.
    pub layer: Layer<Vec<f32>>,
}

/// Tag of the chunk of a head file that holds a neck.
pub const CHUNK: [u8; 4] = *b"neck";

impl Neck {
    /// Length of what it gives.
    pub fn hidden_dim(&self) -> usize {
        self.layer.hidden_dim()
    }

    /// Length of what it takes.
    pub fn feature_dim(&self) -> usize {
        self.layer.feature_dim()
    }

    /// Hidden features `[n_samples, hidden_dim]` of the trunk's `features [n_samples, feature_dim]`, which are scaled in
    /// place. The same bits on every CPU.
    ///
    /// # Panics
    /// If the features are not whole rows.
    pub fn apply(&self, kernels: Kernels, features: &mut [f32]) -> Vec<f32> {
        let rows = features.chunks_exact_mut(self.feature_dim().max(1));
        let mut hidden = vec![0.0; rows.len() * self.hidden_dim()];
        rows.for_each(|row| self.scaler.apply(kernels, row));
        self.layer.apply(kernels, features, &mut hidden);
        hidden
    }

    /// Names the trunk together with this neck: SHA-256 of [`to_bytes`](Self::to_bytes), which begins with the trunk's own.
    pub fn fingerprint(&self) -> [u8; 32] {
        Sha256::digest(self.to_bytes()).into()
    }

    /// Payload of the chunk `neck`; FORMAT.md has it byte by byte.
    pub fn to_bytes(&self) -> Vec<u8> {
        let (kind, mean, scale): (u32, &[f32], &[f32]) = match &self.scaler {
            Scaler::None => (0, &[], &[]),
            Scaler::L2 => (1, &[], &[]),
            Scaler::Standard { mean, scale } => (2, mean, scale),
            Scaler::CentredL2 { mean } => (3, mean, &[]),
        };
        let mut bytes = self.trunk.to_vec();
        for number in [self.hidden_dim() as u32, self.feature_dim() as u32, kind] {
            bytes.extend(number.to_le_bytes());
        }
        let floats = [mean, scale, self.layer.parameters()];
        bytes.extend(floats.into_iter().flatten().flat_map(|x| x.to_le_bytes()));
        bytes
    }

    /// Checks the payload of a chunk and copies it out. Nothing is allocated before the length is known to fit.
    ///
    /// # Errors
    /// [`ParseError::ChunkLength`] or [`ParseError::Value`], the first thing that is wrong.
    pub fn parse(bytes: &[u8]) -> Result<Self, ParseError> {
        let wrong_length = ParseError::ChunkLength { chunk: CHUNK };
        let (trunk, rest) = bytes.split_first_chunk().ok_or(wrong_length)?;
        let (numbers, rest) = rest.split_first_chunk::<12>().ok_or(wrong_length)?;
        let number = |at: usize| u32::from_le_bytes([numbers[at], numbers[at + 1], numbers[at + 2], numbers[at + 3]]);
        let (hidden_dim, feature_dim, kind) = (number(0) as usize, number(4) as usize, number(8));
        if hidden_dim == 0 || feature_dim == 0 {
            return Err(ParseError::Value { what: "a dimension of the neck" });
        }
        let (means, scales) = match kind {
            0 | 1 => (0, 0),
            2 => (feature_dim, feature_dim),
            3 => (feature_dim, 0),
            _ => return Err(ParseError::Value { what: "kind of the neck's scaler" }),
        };
        let count = parameter_count(hidden_dim, feature_dim).and_then(|count| count.checked_add(means + scales));
        if count.and_then(|count| count.checked_mul(4)) != Some(rest.len()) {
            return Err(wrong_length);
        }
        let floats: Vec<f32> = rest.as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
        let (mean, floats) = floats.split_at(means);
        let (scale, parameters) = floats.split_at(scales);
        for (what, floats) in [
            ("a mean of the neck's scaler", mean),
            ("a scale of the neck's scaler", scale),
            ("a weight of the neck", parameters),
        ] {
            if !floats.iter().all(|x| x.is_finite()) {
                return Err(ParseError::Value { what });
            }
        }
        if scale.contains(&0.0) {
            return Err(ParseError::Value { what: "a scale of the neck's scaler" });
        }
        let scaler = match kind {
            0 => Scaler::None,
            1 => Scaler::L2,
            2 => Scaler::Standard { mean: mean.to_vec(), scale: scale.to_vec() },
            _ => Scaler::CentredL2 { mean: mean.to_vec() },
        };
        let layer = Layer::new(hidden_dim, feature_dim, parameters.to_vec()).expect("of this length");
        Ok(Self { trunk: *trunk, scaler, layer })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn neck(scaler: Scaler<Vec<f32>>) -> Neck {
        let layer = Layer::new(2, 3, vec![1.0, -1.0, 0.5, 0.0, 2.0, 1.0, 0.25, -0.5]).expect("of this length");
        Neck { trunk: [7; 32], scaler, layer }
    }

    fn scalers() -> [Scaler<Vec<f32>>; 4] {
        let (mean, scale) = (vec![1.0, 2.0, 3.0], vec![2.0, 1.0, 4.0]);
        [Scaler::None, Scaler::L2, Scaler::Standard { mean: mean.clone(), scale }, Scaler::CentredL2 { mean }]
    }

    #[test]
    fn every_scaler_survives_the_bytes_and_has_a_fingerprint_of_its_own() {
        let mut seen = std::collections::HashSet::new();
        for scaler in scalers() {
            let neck = neck(scaler);
            assert_eq!(Neck::parse(&neck.to_bytes()).as_ref(), Ok(&neck));
            assert!(seen.insert(neck.fingerprint()) && seen.insert(Neck { trunk: [8; 32], ..neck }.fingerprint()));
        }
    }

    #[test]
    fn features_are_scaled_then_go_through_the_layer() {
        let scaler = Scaler::Standard { mean: vec![1.0, 2.0, 3.0], scale: vec![2.0, 1.0, 4.0] };
        let hidden = neck(scaler).apply(Kernels::detect(), &mut [3.0, 4.0, 7.0, 5.0, 2.0, 3.0]);
        // (1, 2, 1) and (2, 0, 0).
        assert_eq!(hidden, [0.0, 4.5, 2.25, 0.0]);
    }

    #[test]
    fn bytes_that_are_no_neck_say_why() {
        let length = Err(ParseError::ChunkLength { chunk: CHUNK });
        let value = |what| Err(ParseError::Value { what });
        for scaler in scalers() {
            let good = neck(scaler).to_bytes();
            for len in 0..good.len() {
                assert_eq!(Neck::parse(&good[..len]), length, "{len}");
            }
            assert_eq!(Neck::parse(&[good.as_slice(), &[0; 4]].concat()), length);
        }
        let good = neck(scalers()[2].clone()).to_bytes();
        let changed = |at: usize, four: [u8; 4]| {
            let mut bytes = good.clone();
            bytes[at..at + 4].copy_from_slice(&four);
            Neck::parse(&bytes)
        };
        for at in [32, 36] {
            assert_eq!(changed(at, [0; 4]), value("a dimension of the neck"));
            assert_eq!(changed(at, [0xff; 4]), length, "as large as that it is not");
        }
        assert_eq!(changed(40, [4, 0, 0, 0]), value("kind of the neck's scaler"));
        let nan = f32::NAN.to_le_bytes();
        assert_eq!(changed(44, nan), value("a mean of the neck's scaler"));
        assert_eq!(changed(44 + 12, nan), value("a scale of the neck's scaler"));
        assert_eq!(changed(44 + 12, [0; 4]), value("a scale of the neck's scaler"));
        assert_eq!(changed(44 + 24, f32::INFINITY.to_le_bytes()), value("a weight of the neck"));
    }
}
