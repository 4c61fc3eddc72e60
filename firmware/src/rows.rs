//! Rows of a sensor: handwritten digits, 8 x 8 pixels. They stand for what a board would measure.

/// Length of a feature vector.
pub const FEATURE_DIM: usize = 64;
/// Names of the classes.
pub const LABELS: [&str; 4] = ["zero", "one", "two", "three"];
/// Number of classes.
pub const CLASSES: usize = LABELS.len();

/// Pixels 0 to 15, the first of two in the low bits.
pub type Row = [u8; FEATURE_DIM / 2];

static ROWS: &[u8] = include_bytes!("../data/digits.rows");

/// Each row with its label, which stands before it.
fn rows() -> impl ExactSizeIterator<Item = (&'static Row, u16)> {
    let (rows, _) = ROWS.as_chunks::<{ 1 + FEATURE_DIM / 2 }>();
    rows.iter().map(|[label, row @ ..]| (row, u16::from(*label)))
}

/// Those to learn from.
pub fn train() -> impl ExactSizeIterator<Item = (&'static Row, u16)> {
    rows().take(rows().len() / 2)
}

/// The others.
pub fn test() -> impl ExactSizeIterator<Item = (&'static Row, u16)> {
    rows().skip(rows().len() / 2)
}

/// A pixel a byte, 0 to 15.
pub fn pixels(row: &Row) -> [u8; FEATURE_DIM] {
    core::array::from_fn(|i| row[i / 2] >> (4 * (i % 2)) & 15)
}

/// Pixels 0 to 15 as features 0 to 1.
pub fn features(row: &Row) -> [f32; FEATURE_DIM] {
    pixels(row).map(|pixel| f32::from(pixel) / 15.0)
}
