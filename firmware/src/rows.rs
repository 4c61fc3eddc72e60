//! Rows of a sensor: handwritten digits, 8 x 8 pixels. They stand for what a board would measure.

/// Length of a feature vector.
pub const FEATURE_DIM: usize = 64;
/// Names of the classes.
pub const LABELS: [&str; 4] = ["zero", "one", "two", "three"];
/// Number of classes.
pub const CLASSES: usize = LABELS.len();

static ROWS: &[u8] = include_bytes!("../data/digits.rows");

/// Features 0 to 16 and label of each row.
fn rows() -> impl ExactSizeIterator<Item = (&'static [u8], u16)> {
    ROWS.chunks_exact(1 + FEATURE_DIM).map(|row| (&row[1..], u16::from(row[0])))
}

/// Those to learn from.
pub fn train() -> impl ExactSizeIterator<Item = (&'static [u8], u16)> {
    rows().take(rows().len() / 2)
}

/// The others.
pub fn test() -> impl ExactSizeIterator<Item = (&'static [u8], u16)> {
    rows().skip(rows().len() / 2)
}

/// Pixels 0 to 16 as features 0 to 1.
pub fn features(pixels: &[u8]) -> [f32; FEATURE_DIM] {
    let mut features = [0.0; FEATURE_DIM];
    features.iter_mut().zip(pixels).for_each(|(x, pixel)| *x = f32::from(*pixel) / 16.0);
    features
}
