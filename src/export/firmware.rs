//! Trunk and head as one source file for a microcontroller: calibrated, quantised, checked against the float model.

use super::error::FirmwareError;
use super::lower::lower;
use super::network::Network;
use super::quantize::{Quantization, Range, input_range, quantize};
use super::quantized::Quantized;
use super::{c, rust};
use crate::learn::Classifier;
use crate::trunk::Source;
use crate::vision::InputTensor;
use topgraft_core::preprocess::{Layout, Preprocess};

/// The layers of a classifier in float, and the ranges of their numbers, which grow with each photo.
pub struct Calibrator {
    network: Network,
    preprocess: Preprocess,
}

/// What one photo, or several, make of the layers: the least and the largest number of each.
#[derive(Clone, Debug, PartialEq)]
pub struct Ranges(Vec<Range>);

/// Trunk and head on 8-bit integers, for a microcontroller. The arithmetic stands in docs/export.md.
pub struct Firmware {
    quantized: Quantized,
    preprocess: Preprocess,
    /// What the generated file says of itself.
    about: Vec<String>,
}

impl Calibrator {
    /// Reads the layers of the classifier's trunk from `source`, the file that it was made of.
    ///
    /// # Errors
    /// [`FirmwareError::Carry`], [`FirmwareError::Unsupported`].
    pub fn new(classifier: &Classifier, source: Source) -> Result<Self, FirmwareError> {
        let trunk = classifier.trunk();
        let preprocess = *trunk.preprocess();
        let shape = [preprocess.height.into(), preprocess.width.into(), 3];
        let network = lower(source.operations(trunk)?, shape, preprocess.layout, trunk.layer().pooling())?;
        Ok(Self { network, preprocess })
    }

    /// Runs one input tensor in float: the features `[feature_dim]` in the order of the network's own file, and the ranges.
    ///
    /// # Panics
    /// If the tensor is not of the trunk's input shape.
    pub fn run(&self, input: &InputTensor) -> (Vec<f32>, Ranges) {
        let mut values = self.network.run(pixels(input, self.preprocess.layout));
        let range = |value: &Vec<f32>| {
            let ends = |(low, high): Range, x: &f32| (low.min(*x), high.max(*x));
            // A NaN would be passed over.
            let finite = value.iter().all(|x| x.is_finite());
            if finite { value.iter().fold((f32::INFINITY, f32::NEG_INFINITY), ends) } else { (f32::NAN, f32::NAN) }
        };
        let ranges = Ranges(values.iter().map(range).collect());
        (values.pop().expect("the features"), ranges)
    }

    /// The firmware, of the ranges of some photos.
    ///
    /// # Errors
    /// [`FirmwareError::TooWide`], [`FirmwareError::NotFinite`].
    ///
    /// # Panics
    /// If the ranges are of another network.
    pub fn firmware(&self, classifier: &Classifier, mut ranges: Ranges) -> Result<Firmware, FirmwareError> {
        let model = classifier.model();
        // What the input can be is known, whatever the photos show.
        ranges.0[0] = input_range(&self.preprocess);
        let about = vec![
            format!("{} cut at {}, head {}", model.backbone, model.cut, model.kind.name()),
            format!("trunk {}", super::hex(&model.fingerprint)),
        ];
        Ok(Firmware { quantized: quantize(&self.network, &ranges.0, model)?, preprocess: self.preprocess, about })
    }
}

impl Ranges {
    /// What holds these and `other`.
    #[must_use]
    pub fn with(mut self, other: &Self) -> Self {
        for ((low, high), other) in self.0.iter_mut().zip(&other.0) {
            // Not `min`, which prefers a number to NaN.
            *low = if other.0 >= *low { *low } else { other.0 };
            *high = if other.1 <= *high { *high } else { other.1 };
        }
        self
    }
}

impl Firmware {
    /// An input tensor as [`predict`](Self::predict) takes it, `[height, width, 3]`.
    pub fn quantize(&self, input: &InputTensor) -> Vec<i8> {
        let quantization = self.quantized.values[0];
        pixels(input, self.preprocess.layout).into_iter().map(|x| quantization.quantize(x)).collect()
    }

    /// What the generated functions give, bit for bit: the probability of each class, and the most probable class.
    ///
    /// # Panics
    /// If the input is not `height * width * 3` long.
    pub fn predict(&self, input: &[i8]) -> (Vec<f32>, usize) {
        self.quantized.judge(&self.quantized.features(input))
    }

    /// The features of an input, as the floats that they stand for, in the order row, column, channel.
    ///
    /// # Panics
    /// If the input is not `height * width * 3` long.
    pub fn features(&self, input: &[i8]) -> Vec<f32> {
        let quantization = self.quantized.values.last().expect("the input at least");
        self.quantized.features(input).into_iter().map(|q| quantization.dequantize(q)).collect()
    }

    /// Bytes of RAM that the generated function works in, beside its input, its scores and the stack.
    pub fn arena_bytes(&self) -> usize {
        self.quantized.plan().bytes
    }

    /// Bytes of flash of weights, biases and multipliers: all but the code, the labels and the table for pixels.
    pub fn constant_bytes(&self) -> usize {
        self.quantized.constant_bytes()
    }

    /// A Rust module that needs `core` alone.
    pub fn to_rust(&self) -> String {
        rust::source(&self.quantized, &self.about, &self.pixel_table())
    }

    /// A C99 file whose names begin with `prefix`, a C identifier.
    pub fn to_c(&self, prefix: &str) -> String {
        c::source(&self.quantized, &self.about, &self.pixel_table(), prefix)
    }

    /// For each channel and each pixel value 0..=255 the input.
    fn pixel_table(&self) -> Vec<i8> {
        let Preprocess { mean, scale, .. } = self.preprocess;
        let quantization: Quantization = self.quantized.values[0];
        let entry = |c: usize, pixel: u8| quantization.quantize((f32::from(pixel) - mean[c]) / scale[c]);
        (0..3).flat_map(|c| (0..=255).map(move |pixel| (c, pixel))).map(|(c, pixel)| entry(c, pixel)).collect()
    }
}

/// The tensor's numbers row by row, pixel by pixel.
fn pixels(input: &InputTensor, layout: Layout) -> Vec<f32> {
    match layout {
        Layout::Nhwc => input.iter().copied().collect(),
        Layout::Nchw => input.view().permuted_axes([0, 2, 3, 1]).iter().copied().collect(),
    }
}
