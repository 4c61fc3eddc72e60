//! Layers on 8-bit integers, without floats and without an allocator: what the interpreter runs, what every generated Rust
//! file carries, and what the generated C is a translation of.
//!
//! A value is `scale * (q - zero)`, q in -128..=127. Weights are symmetric, with a scale for each output channel.
//! Maps are row by row, pixel by pixel, channel by channel.

/// A window that slides over a map; all in pixels, but for the channels.
pub struct Window {
    /// Height, width, channels of the input.
    pub input: [usize; 3],
    /// Height, width, channels of the output.
    pub output: [usize; 3],
    /// Height, width of the window.
    pub kernel: [usize; 2],
    /// Steps down and to the right.
    pub stride: [usize; 2],
    /// Pixels above and to the left of the input.
    pub pad: [usize; 2],
}

/// Weights `[n_out, taps]`; for each output channel its bias, in units of the sums, and how a sum becomes an output.
pub struct Linear<'a> {
    pub weights: &'a [i8],
    pub bias: &'a [i32],
    pub multiplier: &'a [i32],
    pub shift: &'a [u8],
}

/// Zeros of input and output, and the least and largest output.
pub struct Levels {
    pub zero_in: i32,
    pub zero_out: i32,
    pub least: i32,
    pub largest: i32,
}

impl Levels {
    fn output(&self, rescaled: i64) -> i8 {
        (rescaled + self.zero_out as i64).clamp(self.least as i64, self.largest as i64) as i8
    }
}

/// `sum * multiplier / 2^shift`, rounded to the nearest, halves up; shift 1..=62.
pub fn rescale(sum: i32, multiplier: i32, shift: u8) -> i64 {
    (sum as i64 * multiplier as i64 + (1i64 << (shift - 1))) >> shift
}

/// Convolution over all channels; weights `[n_out, height, width, n_in]`. What is outside of the map is the zero.
pub fn conv(input: &[i8], output: &mut [i8], window: &Window, linear: &Linear, levels: &Levels) {
    let [_, width, channels] = window.input;
    let taps = window.kernel[0] * window.kernel[1] * channels;
    let mut at = 0;
    for y in 0..window.output[0] {
        for x in 0..window.output[1] {
            for n in 0..window.output[2] {
                let mut sum = linear.bias[n];
                for ky in 0..window.kernel[0] {
                    let iy = (y * window.stride[0] + ky).wrapping_sub(window.pad[0]);
                    if iy >= window.input[0] {
                        continue;
                    }
                    for kx in 0..window.kernel[1] {
                        let ix = (x * window.stride[1] + kx).wrapping_sub(window.pad[1]);
                        if ix >= width {
                            continue;
                        }
                        let pixel = &input[(iy * width + ix) * channels..][..channels];
                        let tap = n * taps + (ky * window.kernel[1] + kx) * channels;
                        let weights = &linear.weights[tap..][..channels];
                        for (q, w) in pixel.iter().zip(weights) {
                            sum += (*q as i32 - levels.zero_in) * *w as i32;
                        }
                    }
                }
                output[at] = levels.output(rescale(sum, linear.multiplier[n], linear.shift[n]));
                at += 1;
            }
        }
    }
}

/// Convolution of each channel by itself; weights `[n_out, height, width]`, output channel n from input channel
/// `n / (n_out / n_in)`.
pub fn depthwise(input: &[i8], output: &mut [i8], window: &Window, linear: &Linear, levels: &Levels) {
    let [_, width, channels] = window.input;
    let (taps, each) = (window.kernel[0] * window.kernel[1], window.output[2] / channels);
    let mut at = 0;
    for y in 0..window.output[0] {
        for x in 0..window.output[1] {
            for n in 0..window.output[2] {
                let mut sum = linear.bias[n];
                for ky in 0..window.kernel[0] {
                    let iy = (y * window.stride[0] + ky).wrapping_sub(window.pad[0]);
                    if iy >= window.input[0] {
                        continue;
                    }
                    for kx in 0..window.kernel[1] {
                        let ix = (x * window.stride[1] + kx).wrapping_sub(window.pad[1]);
                        if ix >= width {
                            continue;
                        }
                        let q = input[(iy * width + ix) * channels + n / each] as i32;
                        let w = linear.weights[n * taps + ky * window.kernel[1] + kx] as i32;
                        sum += (q - levels.zero_in) * w;
                    }
                }
                output[at] = levels.output(rescale(sum, linear.multiplier[n], linear.shift[n]));
                at += 1;
            }
        }
    }
}

/// Matrix product with each pixel; weights `[n_out, n_in]`. The input's zero is in the bias.
pub fn dense(input: &[i8], output: &mut [i8], linear: &Linear, levels: &Levels) {
    let n_out = linear.bias.len();
    let n_in = linear.weights.len() / n_out;
    for (pixel, outputs) in input.chunks_exact(n_in).zip(output.chunks_exact_mut(n_out)) {
        for (n, (output, weights)) in outputs.iter_mut().zip(linear.weights.chunks_exact(n_in)).enumerate() {
            let mut sum = linear.bias[n];
            for (q, w) in pixel.iter().zip(weights) {
                sum += *q as i32 * *w as i32;
            }
            *output = levels.output(rescale(sum, linear.multiplier[n], linear.shift[n]));
        }
    }
}

/// `(a - zeros[0]) * multipliers[0] + (b - zeros[1]) * multipliers[1]`, over 2^shift.
pub fn add(a: &[i8], b: &[i8], output: &mut [i8], zeros: [i32; 2], multipliers: [i32; 2], shift: u8, levels: &Levels) {
    for (output, (a, b)) in output.iter_mut().zip(a.iter().zip(b)) {
        let a = (*a as i32 - zeros[0]) as i64 * multipliers[0] as i64;
        let b = (*b as i32 - zeros[1]) as i64 * multipliers[1] as i64;
        *output = levels.output((a + b + (1i64 << (shift - 1))) >> shift);
    }
}

/// Mean of each channel over the map: the multiplier has the number of pixels in it.
pub fn global_average(input: &[i8], output: &mut [i8], multiplier: i32, shift: u8, levels: &Levels) {
    let channels = output.len();
    for (n, output) in output.iter_mut().enumerate() {
        let mut sum = 0;
        for pixel in input.chunks_exact(channels) {
            sum += pixel[n] as i32 - levels.zero_in;
        }
        *output = levels.output(rescale(sum, multiplier, shift));
    }
}

/// Mean of each channel in a window, in the input's scale, halves up; what is outside of the map does not count.
pub fn average_pool(input: &[i8], output: &mut [i8], window: &Window) {
    pool(input, output, window, 0, |sum, q| sum + q, |sum, count| (2 * sum + count) / (2 * count));
}

/// Largest of each channel in a window.
pub fn max_pool(input: &[i8], output: &mut [i8], window: &Window) {
    pool(input, output, window, 0, |most, q| if q > most { q } else { most }, |most, _| most);
}

/// Folds `q + 128` over a window; `end` takes what came out and the number of pixels.
fn pool(
    input: &[i8],
    output: &mut [i8],
    window: &Window,
    start: i32,
    step: impl Fn(i32, i32) -> i32,
    end: impl Fn(i32, i32) -> i32,
) {
    let [_, width, channels] = window.input;
    let mut at = 0;
    for y in 0..window.output[0] {
        for x in 0..window.output[1] {
            for n in 0..channels {
                let (mut folded, mut count) = (start, 0);
                for ky in 0..window.kernel[0] {
                    let iy = (y * window.stride[0] + ky).wrapping_sub(window.pad[0]);
                    for kx in 0..window.kernel[1] {
                        let ix = (x * window.stride[1] + kx).wrapping_sub(window.pad[1]);
                        if iy < window.input[0] && ix < width {
                            folded = step(folded, input[(iy * width + ix) * channels + n] as i32 + 128);
                            count += 1;
                        }
                    }
                }
                output[at] = (end(folded, count) - 128) as i8;
                at += 1;
            }
        }
    }
}

/// Brings numbers between two bounds.
pub fn clamp(input: &[i8], output: &mut [i8], levels: &Levels) {
    for (output, q) in output.iter_mut().zip(input) {
        *output = (*q as i32).clamp(levels.least, levels.largest) as i8;
    }
}

/// Probability of each class, and the most probable one, the first of equals. `to_length_1`: whether features are first
/// divided by their Euclidean length. A logit is in units of 2^-16: the sum, or 2^16 times the sum over the length, rescaled,
/// plus the bias. What the softmax takes the exponential of is a polynomial of whole numbers, so that every machine gives
/// the same bits.
pub fn head(features: &[i8], scores: &mut [f32], linear: &Linear, zero: i32, to_length_1: bool) -> usize {
    let mut square = 0u64;
    for q in features {
        let x = (*q as i32 - zero) as i64;
        square += (x * x) as u64;
    }
    // In units of 2^-8.
    let length = root(square << 16) as i64;
    let logit = |class: usize| {
        let weights = &linear.weights[class * features.len()..][..features.len()];
        let mut sum = 0i32;
        for (q, w) in features.iter().zip(weights) {
            sum += (*q as i32 - zero) * *w as i32;
        }
        if to_length_1 {
            sum = if length == 0 { 0 } else { (((sum as i64) << 24) / length) as i32 };
        }
        rescale(sum, linear.multiplier[class], linear.shift[class]) + linear.bias[class] as i64
    };
    let (mut best, mut most) = (0, logit(0));
    for class in 1..scores.len() {
        let logit = logit(class);
        if logit > most {
            (best, most) = (class, logit);
        }
    }
    let mut total = 0u64;
    for (class, score) in scores.iter_mut().enumerate() {
        let share = exponential(most - logit(class));
        total += share as u64;
        *score = share as f32;
    }
    for score in scores {
        *score /= total as f32;
    }
    best
}

/// `e^(-below / 2^16)` in units of 2^-30; below >= 0.
fn exponential(below: i64) -> u32 {
    // Of 2^x, x in 0..=1: its Taylor polynomial, units of 2^-30.
    const TERMS: [u64; 8] =
        [16_377, 165_394, 1_431_680, 10_327_387, 59_597_083, 257_941_248, 744_261_118, 1_073_741_824];
    // e^-32 is less than half a unit.
    let below = if below > 32 << 16 { 32 << 16 } else { below } as u64;
    // Times log2(e), in units of 2^-16.
    let power = (below * 1_549_082_005) >> 30;
    // 2^-power = 2^fraction / 2^whole, fraction in 0..1.
    let whole = (power + 0xffff) >> 16;
    let fraction = (whole << 16) - power;
    let mut value = 0u64;
    for term in TERMS {
        value = ((value * fraction) >> 16) + term;
    }
    (value >> whole) as u32
}

/// The integer square root, rounded down.
fn root(square: u64) -> u64 {
    let (mut rest, mut root, mut bit) = (square, 0u64, 1u64 << 62);
    while bit != 0 {
        if rest >= root + bit {
            rest -= root + bit;
            root = (root >> 1) + bit;
        } else {
            root >>= 1;
        }
        bit >>= 2;
    }
    root
}
