//! Trunk and head as one source file for a microcontroller: calibrated, quantised, checked against the float model.

use super::error::{FirmwareError, linear};
use super::lower::{lower, pixels_first};
use super::network::{Network, Shape};
use super::quantize::{Quantization, Range, input_range, quantize};
use super::quantized::Quantized;
use super::text::identifier;
use super::{c, rust};
use crate::learn::Classifier;
use crate::trunk::{Source, Tap};
use crate::vision::InputTensor;
use topgraft_core::preprocess::{Layout, Preprocess};

/// The layers of a classifier in float, and the ranges of their numbers, which grow with each photo.
pub struct Calibrator {
    network: Network,
    preprocess: Preprocess,
    input: Quantization,
}

/// What one photo, or several, make of the layers: the least and the largest number of each.
#[derive(Clone, Debug, PartialEq)]
pub struct Ranges(Vec<Range>);

/// Trunk and head on 8-bit integers, for a microcontroller. The arithmetic stands in docs/export.md.
pub struct Firmware {
    quantized: Quantized,
    preprocess: Preprocess,
    /// Shape of features that are in the order channel, row, column in the network's own file.
    planar: Option<Shape>,
    /// What the generated file says of itself.
    about: Vec<String>,
}

impl Calibrator {
    /// Reads the layers of the classifier's trunk from `source`, the file that it was made of.
    ///
    /// # Errors
    /// [`FirmwareError::NotLinear`], [`FirmwareError::Carry`], [`FirmwareError::Unsupported`].
    pub fn new(classifier: &Classifier, source: Source) -> Result<Self, FirmwareError> {
        linear(classifier.model())?;
        let trunk = classifier.trunk();
        let preprocess = *trunk.preprocess();
        let shape = [preprocess.height.into(), preprocess.width.into(), preprocess.channels.count()];
        let pooling = match trunk.tap().and_then(Tap::only) {
            Some(part) if part.pooling == part.layer.pooling() => part.pooling,
            _ => return Err(FirmwareError::Cut { cut: trunk.cut().to_owned() }),
        };
        let network = lower(source.operations(trunk)?, shape, preprocess.layout, pooling)?;
        Ok(Self { network, preprocess, input: Quantization::of(input_range(&preprocess)) })
    }

    /// An input tensor as the firmware takes it, `[height, width, channels]`: its range is known without any photo.
    pub fn quantize(&self, input: &InputTensor) -> Vec<i8> {
        pixels(input, self.preprocess.layout).into_iter().map(|x| self.input.quantize(x)).collect()
    }

    /// The ranges of the layers' numbers for one input tensor, in float.
    ///
    /// # Panics
    /// If the tensor is not of the trunk's input shape.
    pub fn ranges(&self, input: &InputTensor) -> Ranges {
        let range = |value: &Vec<f32>| {
            let ends = |(low, high): Range, x: &f32| (low.min(*x), high.max(*x));
            // A NaN would be passed over.
            let finite = value.iter().all(|x| x.is_finite());
            if finite { value.iter().fold((f32::INFINITY, f32::NEG_INFINITY), ends) } else { (f32::NAN, f32::NAN) }
        };
        Ranges(self.network.run(pixels(input, self.preprocess.layout)).iter().map(range).collect())
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
            format!("trunk {}", crate::trunk::hex(&model.fingerprint)),
        ];
        let planar = self.network.planar.then(|| *self.network.shapes.last().expect("the input at least"));
        let quantized = quantize(&self.network, &ranges.0, model)?;
        Ok(Firmware { quantized, preprocess: self.preprocess, planar, about })
    }
}

impl Ranges {
    /// What holds these and `other`.
    #[must_use]
    pub fn with(mut self, other: &Self) -> Self {
        for ((low, high), other) in self.0.iter_mut().zip(&other.0) {
            // Not `min` and `max`, which prefer a number to NaN.
            let pick = |ours: f32, theirs: f32, keep: bool| if ours.is_nan() || keep { ours } else { theirs };
            *low = pick(*low, other.0, other.0 >= *low);
            *high = pick(*high, other.1, other.1 <= *high);
        }
        self
    }
}

impl Firmware {
    /// What the generated functions give, bit for bit: the probability of each class, and the most probable class.
    ///
    /// # Panics
    /// If the input is not `height * width * channels` long.
    pub fn predict(&self, input: &[i8]) -> (Vec<f32>, usize) {
        self.quantized.judge(&self.quantized.features(input))
    }

    /// The features `[feature_dim]` of an input, as the floats that they stand for, in the order of the trunk's.
    ///
    /// # Panics
    /// If the input is not `height * width * channels` long.
    pub fn features(&self, input: &[i8]) -> Vec<f32> {
        let quantization = self.quantized.values.last().expect("the input at least");
        let features: Vec<f32> =
            self.quantized.features(input).into_iter().map(|q| quantization.dequantize(q)).collect();
        match self.planar {
            // The other way round: as many rows as there were columns.
            Some([height, width, channels]) => pixels_first(&features, height * width, channels),
            None => features,
        }
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

    /// A C99 file whose names begin with `prefix`, made a C identifier: what else is in it becomes `_`.
    pub fn to_c(&self, prefix: &str) -> String {
        c::source(&self.quantized, &self.about, &self.pixel_table(), &identifier(prefix))
    }

    /// For each channel and each pixel value 0..=255 the input.
    fn pixel_table(&self) -> Vec<i8> {
        let Preprocess { mean, scale, channels, .. } = self.preprocess;
        let quantization: Quantization = self.quantized.values[0];
        let entry = |c: usize, pixel: u8| quantization.quantize((f32::from(pixel) - mean[c]) / scale[c]);
        (0..channels.count())
            .flat_map(|c| (0..=255).map(move |pixel| (c, pixel)))
            .map(|(c, pixel)| entry(c, pixel))
            .collect()
    }
}

/// The tensor's numbers row by row, pixel by pixel.
fn pixels(input: &InputTensor, layout: Layout) -> Vec<f32> {
    match layout {
        Layout::Nhwc => input.iter().copied().collect(),
        Layout::Nchw => input.view().permuted_axes([0, 2, 3, 1]).iter().copied().collect(),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::learn::Model;
    use crate::trunk::Backbone;

    /// The features of the float layers, and those of the trunk.
    fn features(file: &str, cut: &str) -> [Vec<f32>; 2] {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(file);
        let backbone = Backbone::open(&path).expect("opens");
        let trunk = backbone.cut(cut, &backbone.preprocess().0).expect("cuts");
        let preprocess = trunk.preprocess();
        let (height, width) = (preprocess.height.into(), preprocess.width.into());
        let shape = [height, width, 3];
        let operations = Source::open(&path).expect("opens").operations(&trunk).expect("the same file");
        let network = lower(operations, shape, preprocess.layout, trunk.tap().expect("a network").parts()[0].pooling)
            .expect("has a form");
        let number = |at: usize| ((at * at * 7 + at * 13) % 101) as f32 / 50.0 - 1.0;
        let input = InputTensor::from_shape_vec((1, 3, height, width), (0..3 * height * width).map(number).collect());
        let input = input.expect("that many");
        let mut values = network.run(pixels(&input, preprocess.layout));
        let mut features = values.pop().expect("the features");
        if network.planar {
            let [height, width, channels] = *network.shapes.last().expect("the input");
            features = pixels_first(&features, height * width, channels);
        }
        [features, trunk.features(input).expect("runs")]
    }

    #[test]
    fn float_layers_give_the_trunks_features() {
        for (file, cuts) in [
            ("tiny.onnx", &["conv1", "relu1", "features", "logits"][..]),
            (
                "tiny_separable.onnx",
                &["stem", "pool", "residual", "mean", "wide", "flat", "dense", "shift", "features"],
            ),
        ] {
            for cut in cuts {
                let [ours, trunks] = features(file, cut);
                assert_eq!(ours.len(), trunks.len(), "{cut}");
                let largest = trunks.iter().fold(0.0, |largest: f32, x| largest.max(x.abs()));
                for (a, b) in ours.iter().zip(&trunks) {
                    assert!((a - b).abs() <= 1e-5 * largest, "{file} {cut}: {ours:?} {trunks:?}");
                }
            }
        }
    }

    #[test]
    fn ranges_grow_and_keep_what_is_not_finite() {
        let ranges = |low: f32, high: f32| Ranges(vec![(low, high)]);
        assert_eq!(ranges(0.0, 1.0).with(&ranges(-1.0, 0.5)), ranges(-1.0, 1.0));
        let nan = ranges(0.0, 1.0).with(&ranges(f32::NAN, f32::NAN)).0[0];
        assert!(nan.0.is_nan() && nan.1.is_nan());
        let still = Ranges(vec![nan]).with(&ranges(0.0, 1.0)).0[0];
        assert!(still.0.is_nan() && still.1.is_nan());
    }

    #[test]
    fn an_operator_without_a_form_is_named() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/tiny_sigmoid.onnx");
        let backbone = Backbone::open(&path).expect("opens");
        let trunk = backbone.cut("sigmoid", &backbone.preprocess().0).expect("cuts");
        let operations = Source::open(&path).expect("opens").operations(&trunk).expect("the same file");
        let error = lower(operations, [16, 16, 3], Layout::Nchw, trunk.tap().expect("a network").parts()[0].pooling)
            .expect_err("has none");
        assert_eq!((error.operator.as_str(), error.layer.as_str()), ("Sigmoid", "sigmoid"));
    }

    #[test]
    fn a_source_that_is_another_file_is_refused() {
        let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data");
        let backbone = Backbone::open(&data.join("tiny.onnx")).expect("opens");
        let trunk = backbone.cut("features", &backbone.preprocess().0).expect("cuts");
        let mut model = Model::parse(include_bytes!("../../tests/data/golden.graft")).expect("sound");
        model.fingerprint = trunk.fingerprint();
        model.head = topgraft_core::head::Head::new(2, 8, vec![0.0; 18]).expect("that many").into();
        let classifier = Classifier::new(model, trunk).expect("fits");
        let other = Source::open(&data.join("tiny_softmax.onnx")).expect("opens");
        let refused = Calibrator::new(&classifier, other).err().expect("another");
        assert!(matches!(refused, FirmwareError::Carry(crate::trunk::CarryError::Other { .. })));
    }
}
