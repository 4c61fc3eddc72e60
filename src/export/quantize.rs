//! Float layers -> layers on 8-bit integers.
//!
//! Weights get a scale for each output channel, symmetric; values one scale and one zero, from the range that was seen.
//! Source: Jacob et al., "Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only Inference", 2018.

use topgraft_core::preprocess::Preprocess;
use topgraft_core::scaler::Scaler;

use super::error::{FirmwareError, linear};
use super::lower::pixels_first;
use super::network::{Layer, Linear, Network, Op, Shape, Window};
use super::quantized::{Head, IntegerLayer, IntegerLinear, IntegerOp, Levels, Quantized, Rescale};
use crate::learn::Model;

/// The most products that one sum may have: each is at most 127 * 255, and half of 32 bits is the bias's.
const MOST_TAPS: usize = (1 << 30) / (127 * 255);

/// The most pixels of a mean: their sum, at most 255 for each, is doubled to be rounded.
const MOST_PIXELS: usize = 1 << 22;

/// Least and largest number of a value.
pub(super) type Range = (f32, f32);

/// Scale and zero of a value: it is `scale * (q - zero)`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Quantization {
    pub scale: f32,
    pub zero: i32,
}

impl Quantization {
    /// So that -128..=127 spans the range and 0, and 0 is exact.
    pub(super) fn of((low, high): Range) -> Self {
        let (low, high) = (low.min(0.0), high.max(0.0));
        let scale = if high > low { (high - low) / 255.0 } else { 1.0 };
        Self { scale, zero: (-128.0 - low / scale).round().clamp(-128.0, 127.0) as i32 }
    }

    /// The nearest q, halves away from zero.
    pub(super) fn quantize(&self, x: f32) -> i8 {
        ((x / self.scale).round() + self.zero as f32).clamp(-128.0, 127.0) as i8
    }

    pub(super) fn dequantize(&self, q: i8) -> f32 {
        self.scale * (i32::from(q) - self.zero) as f32
    }
}

/// The range of the numbers that `preprocess` makes.
pub(super) fn input_range(preprocess: &Preprocess) -> Range {
    let ends = (0..preprocess.channels.count())
        .flat_map(|c| [0.0, 255.0].map(|pixel| (pixel - preprocess.mean[c]) / preprocess.scale[c]));
    ends.fold((f32::INFINITY, f32::NEG_INFINITY), |(low, high), x| (low.min(x), high.max(x)))
}

/// The network and the model's head on integers; `ranges` are those of the network's values.
///
/// # Errors
/// [`FirmwareError::TooWide`], [`FirmwareError::NotFinite`].
pub(super) fn quantize(network: &Network, ranges: &[Range], model: &Model) -> Result<Quantized, FirmwareError> {
    let mut values: Vec<Quantization> = vec![Quantization::of(ranges[0])];
    let mut layers = Vec::new();
    for (at, layer) in network.layers.iter().enumerate() {
        let not_finite = || FirmwareError::NotFinite { layer: layer.name.clone() };
        if !(ranges[at + 1].0.is_finite() && ranges[at + 1].1.is_finite()) {
            return Err(not_finite());
        }
        let input = values[layer.inputs[0]];
        let output = match layer.op {
            Op::AveragePool(_) | Op::MaxPool(_) | Op::Clamp => input,
            _ => Quantization::of(ranges[at + 1]),
        };
        let from = network.shapes[layer.inputs[0]];
        let op = integer_op(layer, from, network.shapes[at + 1], &values, output)?;
        layers.push(IntegerLayer { name: layer.name.clone(), inputs: layer.inputs.clone(), op });
        values.push(output);
    }
    let shape = *network.shapes.last().expect("the input at least");
    let features = *values.last().expect("the input at least");
    let head = head(model, network.planar.then_some(shape), features)?;
    Ok(Quantized { shapes: network.shapes.clone(), values, layers, head })
}

fn integer_op(
    layer: &Layer,
    from: Shape,
    to: Shape,
    values: &[Quantization],
    output: Quantization,
) -> Result<IntegerOp, FirmwareError> {
    let input = values[layer.inputs[0]];
    // Bounds that are infinite become the ends of 8 bits.
    let bound = |x: f32| ((x / output.scale).round() + output.zero as f32).clamp(-128.0, 127.0) as i32;
    let largest = bound(layer.clamp.1);
    // Of bounds that cross the upper one counts, as in ONNX.
    let least = bound(layer.clamp.0).min(largest);
    let levels = Levels { zero_in: input.zero, zero_out: output.zero, least, largest };
    let taps = match &layer.op {
        Op::GlobalAveragePool => from[0] * from[1],
        Op::AveragePool(window) => window.kernel[0] * window.kernel[1],
        _ => 0,
    };
    if taps > MOST_PIXELS {
        return Err(FirmwareError::TooWide { layer: layer.name.clone(), taps, most: MOST_PIXELS });
    }
    let linear = |linear: &Linear| integer_linear(linear, &layer.name, input.scale, output.scale);
    let window = |window: &Window| super::kernels::Window {
        input: from,
        output: to,
        kernel: window.kernel,
        stride: window.stride,
        pad: window.pad,
    };
    Ok(match &layer.op {
        Op::Conv(w, weights) => IntegerOp::Conv(window(w), linear(weights)?, levels),
        Op::Depthwise(w, weights) => IntegerOp::Depthwise(window(w), linear(weights)?, levels),
        Op::Dense(weights) => {
            let mut dense = linear(weights)?;
            let n_in = dense.weights.len() / dense.bias.len();
            for (bias, row) in dense.bias.iter_mut().zip(dense.weights.chunks_exact(n_in)) {
                *bias -= input.zero * row.iter().map(|w| i32::from(*w)).sum::<i32>();
            }
            IntegerOp::Dense(dense, levels)
        }
        Op::Add => {
            let other = values[layer.inputs[1]];
            let ratios = [input, other].map(|value| f64::from(value.scale) / f64::from(output.scale));
            // One shift for both; the larger multiplier has 30 bits.
            let shift = Rescale::of(ratios[0].max(ratios[1]) * 2.0).shift;
            let multipliers = ratios.map(|ratio| (ratio * (shift as f64).exp2()).round() as i32);
            IntegerOp::Add { zeros: [input.zero, other.zero], multipliers, shift, levels }
        }
        Op::GlobalAveragePool => {
            let area = (from[0] * from[1]) as f64;
            let rescale = Rescale::of(f64::from(input.scale) / f64::from(output.scale) / area);
            IntegerOp::GlobalAveragePool(rescale, levels)
        }
        Op::AveragePool(w) => IntegerOp::AveragePool(window(w)),
        Op::MaxPool(w) => IntegerOp::MaxPool(window(w)),
        Op::Clamp => IntegerOp::Clamp(levels),
    })
}

/// Weights with a scale for each row, biases in units of the row's sums.
fn integer_linear(linear: &Linear, layer: &str, scale_in: f32, scale_out: f32) -> Result<IntegerLinear, FirmwareError> {
    let mut integers = IntegerLinear::default();
    let taps = linear.weights.len() / linear.bias.len();
    if taps > MOST_TAPS {
        return Err(FirmwareError::TooWide { layer: layer.into(), taps, most: MOST_TAPS });
    }
    for (row, bias) in linear.weights.chunks_exact(taps).zip(&linear.bias) {
        if !(bias.is_finite() && row.iter().all(|w| w.is_finite())) {
            return Err(FirmwareError::NotFinite { layer: layer.into() });
        }
        // A bias far larger than the weights needs coarser weights, so that it fits.
        let (scale_in, scale_out, bias) = (f64::from(scale_in), f64::from(scale_out), f64::from(*bias));
        let scale = row_scale(row).max(bias.abs() / scale_in / f64::from(1 << 29));
        integers.push(
            row,
            scale,
            (bias / (scale * scale_in)).round() as i32,
            Rescale::of(scale_in * scale / scale_out),
        );
    }
    Ok(integers)
}

/// The largest magnitude over 127; of zeros any scale is good.
fn row_scale(row: &[f32]) -> f64 {
    let largest = row.iter().fold(0.0, |largest: f32, w| largest.max(w.abs()));
    if largest > 0.0 { f64::from(largest) / 127.0 } else { 1.0 / 127.0 }
}

impl IntegerLinear {
    fn push(&mut self, row: &[f32], scale: f64, bias: i32, rescale: Rescale) {
        self.weights.extend(row.iter().map(|w| (f64::from(*w) / scale).round() as i8));
        self.bias.push(bias);
        self.multiplier.push(rescale.multiplier);
        self.shift.push(rescale.shift);
    }
}

impl Rescale {
    /// `factor = multiplier / 2^shift` with a multiplier of 31 bits, for `factor` in 2^-32..2^30; below it has fewer.
    pub(super) fn of(factor: f64) -> Self {
        let mut shift = 0;
        let mut multiplier = factor;
        while shift < 62 && multiplier < f64::from(1 << 30) {
            multiplier *= 2.0;
            shift += 1;
        }
        // Rounding may reach 2^31.
        if multiplier.round() >= 2.0f64.powi(31) && shift > 1 {
            (multiplier, shift) = (multiplier / 2.0, shift - 1);
        }
        Self { multiplier: multiplier.round().min(f64::from(i32::MAX)) as i32, shift: shift.max(1) }
    }
}

/// The head's weights and bias, temperature and scaler in them, for features that are quantised so. `planar` is the shape
/// of features that come in another order than the head's.
fn head(model: &Model, planar: Option<Shape>, features: Quantization) -> Result<Head, FirmwareError> {
    const UNITS: f64 = 65536.0;
    let classifier = linear(model)?;
    let feature_dim = classifier.feature_dim();
    if feature_dim > MOST_TAPS {
        return Err(FirmwareError::TooWide { layer: "head".into(), taps: feature_dim, most: MOST_TAPS });
    }
    let temperature = f64::from(model.calibration.map_or(1.0, |calibration| calibration.temperature));
    let to_length_1 = match &model.scaler {
        Scaler::None | Scaler::Standard { .. } => false,
        Scaler::L2 => true,
        Scaler::CentredL2 { .. } => return Err(FirmwareError::Scaling { scaling: "centred-l2" }),
    };
    let mut linear = IntegerLinear::default();
    for (row, bias) in classifier.weights().chunks_exact(feature_dim).zip(classifier.bias()) {
        let (mut row, mut bias) = (row.to_vec(), f64::from(*bias));
        if let Scaler::Standard { mean, scale } = &model.scaler {
            row.iter_mut().zip(scale).for_each(|(w, scale)| *w /= scale);
            bias -= row.iter().zip(mean).map(|(w, mean)| f64::from(*w) * f64::from(*mean)).sum::<f64>();
        }
        if !(bias.is_finite() && row.iter().all(|w| w.is_finite())) {
            return Err(FirmwareError::NotFinite { layer: "head".into() });
        }
        if let Some([height, width, channels]) = planar {
            row = pixels_first(&row, channels, height * width);
        }
        let scale = row_scale(&row);
        // A sum over the length comes in units of 2^-16 already.
        let unit = if to_length_1 { scale } else { scale * f64::from(features.scale) * UNITS };
        let bias = (bias / temperature * UNITS).round().clamp(-f64::from(1 << 30), f64::from(1 << 30)) as i32;
        linear.push(&row, scale, bias, Rescale::of(unit / temperature));
    }
    Ok(Head { linear, zero: features.zero, to_length_1, labels: model.labels.clone() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zero_is_exact_and_the_ends_are_reached() {
        for range in [(0.0, 6.0), (-1.0, 0.9921875), (-3.0, -1.0), (0.5, 2.0), (-0.1, 100.0)] {
            let q = Quantization::of(range);
            assert_eq!(q.dequantize(q.quantize(0.0)), 0.0, "{range:?}");
            for x in [range.0, (range.0 + range.1) / 2.0, range.1] {
                assert!((q.dequantize(q.quantize(x)) - x).abs() <= 0.501 * q.scale, "{x} of {range:?}");
            }
        }
        assert_eq!(Quantization::of((0.0, 0.0)), Quantization { scale: 1.0, zero: -128 });
        // A network that takes (pixel - 128) / 128 takes pixels - 128.
        assert_eq!(Quantization::of((-1.0, 127.0 / 128.0)), Quantization { scale: 1.0 / 128.0, zero: 0 });
    }

    /// A layer on one value of shape `from`, everything in -1..=1.
    fn one_layer(op: Op, from: Shape, to: Shape, clamp: (f32, f32)) -> Result<IntegerOp, FirmwareError> {
        let layer = Layer { name: "x".into(), inputs: vec![0], op, clamp };
        let value = Quantization::of((-1.0, 1.0));
        integer_op(&layer, from, to, &[value], value)
    }

    #[test]
    fn sums_that_could_overflow_and_numbers_that_are_not_finite_are_refused() {
        let dense = |n_in: usize, w: f32| {
            let linear = Linear { weights: vec![w; n_in], bias: vec![0.0] };
            one_layer(Op::Dense(linear), [1, 1, n_in], [1, 1, 1], (0.0, 1.0))
        };
        assert!(dense(MOST_TAPS, 1.0).is_ok());
        assert!(matches!(dense(MOST_TAPS + 1, 1.0), Err(FirmwareError::TooWide { taps, .. }) if taps == MOST_TAPS + 1));
        assert!(matches!(dense(3, f32::NAN), Err(FirmwareError::NotFinite { layer }) if layer == "x"));
        let mean = |side: usize| one_layer(Op::GlobalAveragePool, [side, side, 1], [1, 1, 1], (-1.0, 1.0));
        assert!(mean(2048).is_ok());
        assert!(matches!(mean(2049), Err(FirmwareError::TooWide { .. })));
    }

    #[test]
    fn bounds_that_cross_are_the_upper_one() {
        match one_layer(Op::Clamp, [1, 1, 4], [1, 1, 4], (0.5, -0.5)) {
            Ok(IntegerOp::Clamp(levels)) => assert_eq!(levels.least, levels.largest),
            _ => panic!("a clamp"),
        }
    }

    #[test]
    fn a_bias_far_larger_than_the_weights_still_fits() {
        let linear = Linear { weights: vec![1e-9; 4], bias: vec![1000.0] };
        let integers = integer_linear(&linear, "x", 0.01, 8.0).expect("fits");
        let back =
            f64::from(integers.bias[0]) * f64::from(integers.multiplier[0]) / f64::from(integers.shift[0]).exp2();
        assert!((back * 8.0 - 1000.0).abs() < 0.01, "{back}");
    }

    #[test]
    fn factors_keep_30_bits() {
        for factor in [1e-9, 0.001, 0.4999, 0.5, 1.0, 0.999_999_999_99, 3.7, 1e6] {
            let Rescale { multiplier, shift } = Rescale::of(factor);
            let back = f64::from(multiplier) / (f64::from(shift)).exp2();
            assert!((back / factor - 1.0).abs() < 1e-9, "{factor}: {multiplier} / 2^{shift}");
            assert!((1..=62).contains(&shift));
        }
        assert_eq!(Rescale::of(0.0).multiplier, 0);
        assert_eq!(Rescale::of(1e30), Rescale { multiplier: i32::MAX, shift: 1 });
    }
}
