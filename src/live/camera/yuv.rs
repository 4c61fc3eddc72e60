//! Raw frames of cameras -> RGB, by ITU-R BT.601 in integers.

/// What values luma and chroma have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Range {
    /// 0 to 255, as in JPEG files.
    Full,
    /// Luma 16 to 235, chroma 16 to 240, as in video.
    Limited,
}

/// Bits behind the point.
const BITS: u32 = 16;
const HALF: i32 = 1 << (BITS - 1);

/// BT.601's coefficients times 2^16.
struct Matrix {
    black: i32,
    luma: i32,
    v_to_red: i32,
    u_to_green: i32,
    v_to_green: i32,
    u_to_blue: i32,
}

/// 1, 1.402, 0.344136, 0.714136, 1.772.
const FULL: Matrix =
    Matrix { black: 0, luma: 65_536, v_to_red: 91_881, u_to_green: 22_553, v_to_green: 46_802, u_to_blue: 116_130 };
/// The same times 255 / 224, luma's times 255 / 219.
const LIMITED: Matrix =
    Matrix { black: 16, luma: 76_309, v_to_red: 104_597, u_to_green: 25_675, v_to_green: 53_279, u_to_blue: 132_201 };

impl Range {
    fn matrix(self) -> &'static Matrix {
        match self {
            Self::Full => &FULL,
            Self::Limited => &LIMITED,
        }
    }
}

impl Matrix {
    /// What the colour of two neighbours adds to red, green and blue.
    #[inline(always)]
    fn colour(&self, u: u8, v: u8) -> [i32; 3] {
        let (u, v) = (i32::from(u) - 128, i32::from(v) - 128);
        [self.v_to_red * v, -self.u_to_green * u - self.v_to_green * v, self.u_to_blue * u]
    }

    #[inline(always)]
    fn pixel(&self, luma: u8, colour: [i32; 3]) -> [u8; 3] {
        let luma = self.luma * (i32::from(luma) - self.black) + HALF;
        colour.map(|colour| ((luma + colour) >> BITS).clamp(0, 255) as u8)
    }
}

/// Bytes of an I420 frame; its sides are even.
pub(super) fn i420_len(width: u32, height: u32) -> usize {
    width as usize * height as usize * 3 / 2
}

/// I420, planes Y `[height, width]`, U and V `[height / 2, width / 2]` without padding, -> RGB `[height, width, 3]`.
///
/// # Panics
/// If a side is odd, or a length is wrong.
pub(super) fn i420_to_rgb(frame: &[u8], width: u32, height: u32, range: Range, rgb: &mut [u8]) {
    let (width, height) = (width as usize, height as usize);
    assert!(width.is_multiple_of(2) && height.is_multiple_of(2) && rgb.len() == 3 * width * height);
    if rgb.is_empty() {
        return;
    }
    let (y, chroma) = frame.split_at(width * height);
    let (u, v) = chroma.split_at(width * height / 4);
    assert_eq!(u.len(), v.len());
    let matrix = range.matrix();
    let chroma = u.chunks_exact(width / 2).zip(v.chunks_exact(width / 2));
    let rows = y.chunks_exact(2 * width).zip(rgb.chunks_exact_mut(6 * width));
    for ((luma, rgb), (u, v)) in rows.zip(chroma) {
        for (luma, rgb) in luma.chunks_exact(width).zip(rgb.chunks_exact_mut(3 * width)) {
            let pairs = luma.as_chunks::<2>().0.iter().zip(rgb.as_chunks_mut::<6>().0);
            for ((luma, rgb), (&u, &v)) in pairs.zip(u.iter().zip(v)) {
                write_pair(matrix, *luma, u, v, rgb);
            }
        }
    }
}

/// YUYV, rows of Y0 U Y1 V that are `stride` bytes apart, -> RGB `[height, width, 3]`.
///
/// # Panics
/// If the width is odd, or a length is too small.
pub(super) fn yuyv_to_rgb(frame: &[u8], stride: usize, width: u32, range: Range, rgb: &mut [u8]) {
    let width = width as usize;
    assert!(width.is_multiple_of(2) && stride >= 2 * width);
    if rgb.is_empty() {
        return;
    }
    let rows = rgb.len() / (3 * width);
    assert!(frame.len() >= stride * (rows - 1) + 2 * width);
    let matrix = range.matrix();
    for (row, rgb) in frame.chunks(stride).zip(rgb.chunks_exact_mut(3 * width)) {
        for (&[y0, u, y1, v], rgb) in row.as_chunks::<4>().0.iter().zip(rgb.as_chunks_mut::<6>().0) {
            write_pair(matrix, [y0, y1], u, v, rgb);
        }
    }
}

#[inline(always)]
fn write_pair(matrix: &Matrix, luma: [u8; 2], u: u8, v: u8, rgb: &mut [u8; 6]) {
    let colour = matrix.colour(u, v);
    rgb[..3].copy_from_slice(&matrix.pixel(luma[0], colour));
    rgb[3..].copy_from_slice(&matrix.pixel(luma[1], colour));
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The definition: BT.601's luma is 0.299 R + 0.587 G + 0.114 B, chroma the scaled differences of blue and red to it.
    fn exact(y: u8, u: u8, v: u8, range: Range) -> [f64; 3] {
        let (y, u, v) = match range {
            Range::Full => (f64::from(y) / 255.0, (f64::from(u) - 128.0) / 255.0, (f64::from(v) - 128.0) / 255.0),
            Range::Limited => {
                ((f64::from(y) - 16.0) / 219.0, (f64::from(u) - 128.0) / 224.0, (f64::from(v) - 128.0) / 224.0)
            }
        };
        let red = y + 2.0 * (1.0 - 0.299) * v;
        let blue = y + 2.0 * (1.0 - 0.114) * u;
        let green = (y - 0.299 * red - 0.114 * blue) / 0.587;
        [red, green, blue].map(|channel| (255.0 * channel).clamp(0.0, 255.0))
    }

    #[test]
    fn integers_are_within_rounding_of_the_definition() {
        for range in [Range::Full, Range::Limited] {
            let matrix = range.matrix();
            for y in 0..=255u8 {
                for (u, v) in (0..=255).step_by(5).flat_map(|u| (0..=255).step_by(5).map(move |v| (u, v))) {
                    let pixel = matrix.pixel(y, matrix.colour(u, v));
                    for (seen, expected) in pixel.iter().zip(exact(y, u, v, range)) {
                        assert!((f64::from(*seen) - expected).abs() < 0.51, "{range:?} {y} {u} {v}: {pixel:?}");
                    }
                }
            }
        }
    }

    #[test]
    fn black_white_and_grey_are_so() {
        let grey = |range: Range, luma| range.matrix().pixel(luma, range.matrix().colour(128, 128));
        assert_eq!([0, 127, 255].map(|luma| grey(Range::Full, luma)), [[0; 3], [127; 3], [255; 3]]);
        assert_eq!([0, 16, 235, 255].map(|luma| grey(Range::Limited, luma)), [[0; 3], [0; 3], [255; 3], [255; 3]]);
    }

    #[test]
    fn each_plane_goes_to_its_pixels() {
        let (width, height) = (6, 4);
        let luma = (0..24).map(|i| 5 * i + 60);
        let (u, v) = ((0..6).map(|i| 90 + 9 * i), (0..6).map(|i| 160 - 7 * i));
        let frame: Vec<u8> = luma.chain(u).chain(v).collect();
        assert_eq!(frame.len(), i420_len(width, height));
        let mut rgb = vec![0; 72];
        i420_to_rgb(&frame, width, height, Range::Full, &mut rgb);
        for (at, pixel) in rgb.chunks_exact(3).enumerate() {
            let (x, y) = (at % 6, at / 6);
            let colour = y / 2 * 3 + x / 2;
            let expected = FULL.pixel(frame[at], FULL.colour(frame[24 + colour], frame[30 + colour]));
            assert_eq!(pixel, expected, "{x} {y}");
        }
    }

    #[test]
    fn padding_of_yuyv_rows_is_left_out() {
        let row = [10, 90, 20, 160, 30, 100, 40, 150];
        // The last row may be without padding.
        let frame = [&row[..], &[99, 98], &row].concat();
        let mut rgb = vec![0; 24];
        yuyv_to_rgb(&frame, 10, 4, Range::Limited, &mut rgb);
        let expected = [(10, 90, 160), (20, 90, 160), (30, 100, 150), (40, 100, 150)]
            .map(|(y, u, v)| LIMITED.pixel(y, LIMITED.colour(u, v)));
        assert_eq!(rgb, [expected, expected].concat().concat());
    }
}
