//! Trunks without a network: the pixels of small grey photos, or the numbers of a table's rows.

use sha2::{Digest, Sha256};
use topgraft_core::preprocess::{Channels, Filter, Layout, Preprocess, Resize};

use super::cut::{Body, Trunk};

/// Grey pixels 0..=1 of the whole photo, squeezed to `side` x `side`.
fn grey(side: u16) -> Preprocess {
    Preprocess {
        width: side,
        height: side,
        layout: Layout::Nchw,
        channels: Channels::Grey,
        resize: Resize::Squeeze,
        filter: Filter::Bilinear,
        mean: [0.0; 3],
        scale: [255.0; 3],
    }
}

impl Trunk {
    /// The longest side of a photo whose pixels are features: 65,536 of them.
    pub const MAX_SIDE: u16 = 256;

    /// No network: features are the `side * side` grey pixels of the photo, squeezed to a square, 0 (black) to 1 (white).
    ///
    /// # Panics
    /// If the side is not 1 to [`MAX_SIDE`](Self::MAX_SIDE).
    ///
    /// ```
    /// use topgraft::{trunk::Trunk, vision::Preprocessor};
    /// let trunk = Trunk::pixels(8);
    /// let white = image::RgbImage::from_pixel(64, 48, image::Rgb([255; 3]));
    /// let features = trunk.features(Preprocessor::new(trunk.preprocess())?.apply(&white))?;
    /// assert_eq!(features, [1.0; 64]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn pixels(side: u16) -> Self {
        assert!((1..=Self::MAX_SIDE).contains(&side), "a side of {side} pixels");
        let preprocess = grey(side);
        let fingerprint = Sha256::new_with_prefix(b"topgraft pixels\0").chain_update(preprocess.to_bytes());
        Self {
            body: Body::Pixels { cut: format!("{side} x {side} grey") },
            backbone: "pixels".to_owned(),
            fingerprint: fingerprint.finalize().into(),
            preprocess,
            neck: None,
            passes: Default::default(),
        }
    }

    /// No network and no photos: features are the `columns` numbers of a table's row, given to
    /// [`row_features`](Self::row_features).
    ///
    /// ```
    /// use topgraft::trunk::Trunk;
    /// assert_eq!(Trunk::rows(2).row_features(&[3.0, 4.0])?, [3.0, 4.0]);
    /// # Ok::<(), topgraft::trunk::RunError>(())
    /// ```
    pub fn rows(columns: u32) -> Self {
        let fingerprint = Sha256::new_with_prefix(b"topgraft rows\0").chain_update(columns.to_le_bytes());
        Self {
            body: Body::Rows { columns: columns as usize, cut: format!("{columns} columns") },
            backbone: "rows".to_owned(),
            fingerprint: fingerprint.finalize().into(),
            // A head file has to have one.
            preprocess: grey(1),
            neck: None,
            passes: Default::default(),
        }
    }

    /// No network and no photos: features are the `columns` numbers that something else makes, such as
    /// [`words`](crate::words) of a text; `backbone` and `cut` are what that is called, the fingerprint names all that they depend
    /// on. They are given to [`row_features`](Self::row_features).
    pub fn made_elsewhere(backbone: &str, cut: &str, columns: u32, fingerprint: [u8; 32]) -> Self {
        let body = Body::Rows { columns: columns as usize, cut: cut.to_owned() };
        Self { body, backbone: backbone.to_owned(), fingerprint, ..Self::rows(columns) }
    }

    /// The trunk without a network that has this fingerprint, if there is one that makes photos into input as `preprocess`
    /// says, or takes rows of so many columns.
    pub fn raw_of(fingerprint: [u8; 32], preprocess: &Preprocess, columns: usize) -> Option<Self> {
        let pixels = (1..=Self::MAX_SIDE).contains(&preprocess.width).then(|| Self::pixels(preprocess.width));
        let rows = u32::try_from(columns).ok().map(Self::rows);
        [pixels, rows].into_iter().flatten().find(|trunk| trunk.fingerprint() == fingerprint)
    }
}

#[cfg(test)]
mod tests {
    use super::super::error::RunError;
    use super::*;
    use ndarray::Array4;

    #[test]
    fn a_fingerprint_leads_back_to_the_trunk() {
        for trunk in [Trunk::pixels(9), Trunk::pixels(1), Trunk::rows(1), Trunk::rows(81)] {
            let again = Trunk::raw_of(trunk.fingerprint(), trunk.preprocess(), trunk.feature_dim());
            let again = again.expect("is one");
            assert_eq!((again.to_string(), again.fingerprint()), (trunk.to_string(), trunk.fingerprint()));
            assert!(trunk.tap().is_none());
        }
        assert!(Trunk::raw_of([0; 32], &Preprocess::IMAGENET, 64).is_none());
        assert_ne!(Trunk::pixels(9).fingerprint(), Trunk::rows(81).fingerprint());
    }

    #[test]
    fn rows_are_not_photos_and_have_their_length() {
        let rows = Trunk::rows(2);
        assert_eq!(rows.columns(), Some(2));
        assert!(matches!(rows.features(Array4::zeros((1, 1, 1, 1))), Err(RunError::Kind { .. })));
        assert!(matches!(Trunk::pixels(2).row_features(&[0.0; 4]), Err(RunError::Kind { .. })));
        let error = rows.row_features(&[1.0]).expect_err("too short");
        assert_eq!(error.to_string(), "the trunk rows/2 columns takes rows of 2 numbers, not 1");
        let error = rows.row_features(&[1.0, f32::NAN]).expect_err("not finite");
        assert!(matches!(error, RunError::InputNotFinite { index: 1, .. }));
    }
}
