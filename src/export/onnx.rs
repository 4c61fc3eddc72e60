//! Trunk and head in one ONNX file, for any program that runs such.

use topgraft_core::head::Head;
use topgraft_core::scaler::Scaler;

use super::error::{OnnxError, linear};
use super::metadata::metadata;
use crate::learn::Classifier;
use crate::trunk::{Attribute, Constant, Operation, Part, Pooling, Source, Tail, Tap, Values};

/// The bytes of an ONNX file that does all that `classifier` does between input tensor and prediction: trunk, scaler, head,
/// temperature, softmax; with what is to be known of it in `metadata_props` (docs/export.md). `source` is the file that the
/// classifier's trunk was made of.
///
/// Input: the trunk's, f32 `[1, 3, height, width]` or `[1, height, width, 3]`. Outputs, all f32: `probabilities` and
/// `logits` (before the temperature), `[1, n_classes]`; with a head that calls samples unknown also `score` `[1, 1]`: the
/// sample is unknown if that is below the threshold.
///
/// # Errors
/// [`OnnxError`].
pub fn onnx(classifier: &Classifier, source: Source) -> Result<Vec<u8>, OnnxError> {
    let tail = tail(classifier, linear(classifier.model())?, &source);
    Ok(source.extended(classifier.trunk(), &tail)?)
}

fn tail(classifier: &Classifier, head: &Head<Vec<f32>>, source: &Source) -> Tail {
    let (model, trunk) = (classifier.model(), classifier.trunk());
    let (n_classes, feature_dim) = (head.n_classes(), head.feature_dim());
    let metadata = metadata(model, source.entry());
    let mut tail = Tail { name: format!("{} with a head", model.backbone), metadata, ..Default::default() };

    let parts: Vec<String> =
        (0..).zip(trunk.tap().into_iter().flat_map(Tap::parts)).map(|(at, part)| tail.pooled(at, part)).collect();
    let features = match &parts[..] {
        [only] => only.clone(),
        several => tail.operation("Concat", several.to_vec(), "head/joined".into(), [("axis", Attribute::Int(1))]),
    };
    let features = features.as_str();
    let scaled = match &model.scaler {
        Scaler::None => features,
        Scaler::L2 => tail.normalised(features),
        Scaler::CentredL2 { mean } => {
            let mean = tail.floats("head/mean", &[1, feature_dim], mean);
            let centred = tail.node("Sub", &[features, mean], "head/centred", &[]);
            tail.normalised(centred)
        }
        Scaler::Standard { mean, scale } => {
            let mean = tail.floats("head/mean", &[1, feature_dim], mean);
            let scale = tail.floats("head/scale", &[1, feature_dim], scale);
            let centred = tail.node("Sub", &[features, mean], "head/centred", &[]);
            tail.node("Div", &[centred, scale], "head/scaled", &[])
        }
    };
    let weight = tail.floats("head/weight", &[n_classes, feature_dim], head.weights());
    let bias = tail.floats("head/bias", &[n_classes], head.bias());
    let logits = tail.node("Gemm", &[scaled, weight, bias], "logits", &[("transB", 1)]);
    let temperature = model.calibration.map_or(1.0, |calibration| calibration.temperature);
    let temperature = tail.floats("head/temperature", &[1, 1], &[temperature]);
    let calibrated = tail.node("Div", &[logits, temperature], "head/calibrated", &[]);
    let probabilities = tail.node("Softmax", &[calibrated], "probabilities", &[("axis", 1)]);
    tail.outputs = vec![(probabilities.into(), vec![1, n_classes]), (logits.into(), vec![1, n_classes])];

    if let Some(rejection) = &model.rejection {
        // Squared distance to each class mean; a product with ones adds up, as ReduceSum does, whose axes were an attribute
        // once and are an input now.
        let means = Constant { shape: vec![n_classes, feature_dim], values: Values::I8(rejection.means.clone()) };
        tail.constants.push(("head/means".into(), means));
        let means = tail.node("Cast", &["head/means"], "head/means_f32", &[("to", FLOAT)]);
        let steps = tail.floats("head/steps", &[n_classes, 1], &rejection.steps);
        let means = tail.node("Mul", &[means, steps], "head/class_means", &[]);
        let difference = tail.node("Sub", &[scaled, means], "head/difference", &[]);
        let squares = tail.node("Mul", &[difference, difference], "head/squares", &[]);
        let ones = tail.floats("head/ones", &[feature_dim, 1], &vec![1.0; feature_dim]);
        let distances = tail.node("MatMul", &[squares, ones], "head/distances", &[]);
        let nearest = tail.node("ReduceMin", &[distances], "head/nearest", &[("keepdims", 1)]);
        let unit = tail.floats("head/unit", &[1, 1], &[rejection.scale]);
        let far = tail.node("Div", &[nearest, unit], "head/far", &[]);
        let surest = tail.node("ReduceMax", &[probabilities], "head/surest", &[("keepdims", 1)]);
        let score = tail.node("Sub", &[surest, far], "score", &[]);
        tail.outputs.push((score.into(), vec![1, 1]));
    }
    tail
}

/// ONNX's code of 32-bit floats.
const FLOAT: i64 = 1;

impl Tail {
    /// Features of the trunk's output at `at`, `[1, feature_dim]`.
    fn pooled(&mut self, at: usize, part: &Part) -> String {
        let name = |what: &str| if at == 0 { format!("head/{what}") } else { format!("head/{what}{at}") };
        let (mut features, pooled) = (vec![Tail::cut(at)], name("pooled"));
        features = match (part.pooling, &part.layer.shape[..]) {
            (Pooling::Average, _) => vec![self.operation("GlobalAveragePool", features, pooled, [])],
            (Pooling::Max, _) => vec![self.operation("GlobalMaxPool", features, pooled, [])],
            // Windows of half the side, rounded up, that start at 0 and at half the side, rounded down.
            (Pooling::Pyramid, &[_, _, height, width]) => {
                let sides = |side: fn(usize) -> usize| Attribute::Ints(vec![side(height) as i64, side(width) as i64]);
                let window = [("kernel_shape", sides(|n| n.div_ceil(2))), ("strides", sides(|n| n / 2))];
                vec![self.operation("AveragePool", features, pooled, window)]
            }
            _ => features,
        };
        self.operation("Flatten", features, name("features"), [("axis", Attribute::Int(1))])
    }

    /// Adds an operator with one output, and gives that one's name.
    fn node(
        &mut self,
        operator: &str,
        inputs: &[&str],
        output: &'static str,
        attributes: &[(&str, i64)],
    ) -> &'static str {
        let attributes = attributes.iter().map(|&(name, value)| (name, Attribute::Int(value)));
        self.operation(operator, inputs.iter().map(|&input| input.to_owned()).collect(), output.into(), attributes);
        output
    }

    fn operation<'a>(
        &mut self,
        operator: &str,
        inputs: Vec<String>,
        output: String,
        attributes: impl IntoIterator<Item = (&'a str, Attribute)>,
    ) -> String {
        self.nodes.push(Operation {
            name: output.clone(),
            operator: operator.into(),
            inputs,
            outputs: vec![output.clone()],
            attributes: attributes.into_iter().map(|(name, value)| (name.to_owned(), value)).collect(),
        });
        output
    }

    fn floats(&mut self, name: &'static str, shape: &[usize], numbers: &[f32]) -> &'static str {
        let constant = Constant { shape: shape.to_vec(), values: Values::F32(numbers.to_vec()) };
        self.constants.push((name.into(), constant));
        name
    }

    /// Divides by the Euclidean length; zeros stay zeros. As in [`Scaler::L2`], the numbers are first brought to where no
    /// square overflows: they are divided by the largest magnitude.
    fn normalised(&mut self, features: &str) -> &'static str {
        let least = self.floats("head/least", &[1, 1], &[f32::MIN_POSITIVE]);
        let magnitudes = self.node("Abs", &[features], "head/magnitudes", &[]);
        let largest = self.node("ReduceMax", &[magnitudes], "head/largest", &[("keepdims", 1)]);
        let divisor = self.node("Max", &[largest, least], "head/divisor", &[]);
        let small = self.node("Div", &[features, divisor], "head/small", &[]);
        let column = self.node("Transpose", &[small], "head/column", &[]);
        let square = self.node("MatMul", &[small, column], "head/square", &[]);
        let length = self.node("Sqrt", &[square], "head/length", &[]);
        let length = self.node("Max", &[length, least], "head/length_or_least", &[]);
        self.node("Div", &[small, length], "head/scaled", &[])
    }
}
