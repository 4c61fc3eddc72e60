//! The layers of a trunk in the few forms that firmware knows: one picture, height x width x channels, float weights.

/// Shape of a tensor, `[height, width, channels]`, channels next to each other. Vectors are 1 x 1 x their length.
pub(super) type Shape = [usize; 3];

/// A network as a list of layers. Value 0 is the input, value `i + 1` is what layer `i` gives; the last is the features.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Network {
    /// Shape of each value.
    pub shapes: Vec<Shape>,
    /// Each after those that make its inputs.
    pub layers: Vec<Layer>,
    /// Whether the features are in the order channel, row, column, and not row, column, channel as the last value has them.
    pub planar: bool,
}

/// One layer.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Layer {
    /// Name of its ONNX node.
    pub name: String,
    /// Values that it takes.
    pub inputs: Vec<usize>,
    /// What it does.
    pub op: Op,
    /// Its numbers are brought between these, infinities if they are not.
    pub clamp: (f32, f32),
}

/// What a layer does, before its clamp.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Op {
    /// Convolution of all channels; weights `[n_out, height, width, n_in]`.
    Conv(Window, Linear),
    /// Convolution of each channel by itself; weights `[n_out, height, width]`, `n_out / n_in` of them for each channel.
    Depthwise(Window, Linear),
    /// Matrix product with each pixel, or with the whole vector; weights `[n_out, n_in]`.
    Dense(Linear),
    /// Sum of two values of one shape.
    Add,
    /// Mean of each channel over the whole map.
    GlobalAveragePool,
    /// Mean of each channel over a window; pixels outside of the map do not count.
    AveragePool(Window),
    /// Largest of each channel in a window.
    MaxPool(Window),
    /// Nothing, for a clamp that no other layer can take.
    Clamp,
}

/// Weights and bias, the bias `[n_out]`.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Linear {
    pub weights: Vec<f32>,
    pub bias: Vec<f32>,
}

/// A window that slides over a map.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Window {
    /// Height and width in pixels.
    pub kernel: [usize; 2],
    /// Steps down and to the right.
    pub stride: [usize; 2],
    /// Pixels above and to the left of the map; what the output's shape needs below and to the right is there too.
    pub pad: [usize; 2],
}

impl Network {
    /// Every value for `input [height, width, channels]`.
    pub(super) fn run(&self, input: Vec<f32>) -> Vec<Vec<f32>> {
        let mut values = vec![input];
        for (at, layer) in self.layers.iter().enumerate() {
            let input = &values[layer.inputs[0]];
            let (from, to) = (self.shapes[layer.inputs[0]], self.shapes[at + 1]);
            let mut output = match &layer.op {
                Op::Conv(window, linear) => conv(input, from, to, window, linear),
                Op::Depthwise(window, linear) => depthwise(input, from, to, window, linear),
                Op::Dense(linear) => dense(input, linear),
                Op::Add => input.iter().zip(&values[layer.inputs[1]]).map(|(a, b)| a + b).collect(),
                Op::GlobalAveragePool => {
                    let area = from[0] * from[1];
                    let mean = |c: usize| input[c..].iter().step_by(from[2]).map(|&x| f64::from(x)).sum::<f64>();
                    (0..from[2]).map(|c| (mean(c) / area as f64) as f32).collect()
                }
                Op::AveragePool(window) => {
                    pool(input, from, to, window, |all| all.iter().sum::<f32>() / all.len() as f32)
                }
                Op::MaxPool(window) => {
                    pool(input, from, to, window, |all| all.iter().copied().fold(f32::MIN, f32::max))
                }
                Op::Clamp => input.clone(),
            };
            output.iter_mut().for_each(|x| *x = x.max(layer.clamp.0).min(layer.clamp.1));
            values.push(output);
        }
        values
    }
}

/// Pixels of the map under the window at output pixel `(y, x)`: row and column in the kernel, row and column in the map.
fn under(window: &Window, from: Shape, y: usize, x: usize) -> impl Iterator<Item = [usize; 4]> {
    let Window { kernel, stride, pad } = *window;
    let row = move |ky: usize| (y * stride[0] + ky).checked_sub(pad[0]).filter(|iy| *iy < from[0]);
    let column = move |kx: usize| (x * stride[1] + kx).checked_sub(pad[1]).filter(|ix| *ix < from[1]);
    let rows = (0..kernel[0]).filter_map(move |ky| Some((ky, row(ky)?)));
    rows.flat_map(move |(ky, iy)| (0..kernel[1]).filter_map(move |kx| Some([ky, kx, iy, column(kx)?])))
}

fn conv(input: &[f32], from: Shape, to: Shape, window: &Window, linear: &Linear) -> Vec<f32> {
    let mut output = Vec::with_capacity(to.iter().product());
    for (y, x) in (0..to[0]).flat_map(|y| (0..to[1]).map(move |x| (y, x))) {
        for (n, bias) in linear.bias.iter().enumerate() {
            let mut sum = *bias;
            for [ky, kx, iy, ix] in under(window, from, y, x) {
                let pixel = &input[(iy * from[1] + ix) * from[2]..][..from[2]];
                let tap = (n * window.kernel[0] + ky) * window.kernel[1] + kx;
                sum += dot(pixel, &linear.weights[tap * from[2]..][..from[2]]);
            }
            output.push(sum);
        }
    }
    output
}

fn depthwise(input: &[f32], from: Shape, to: Shape, window: &Window, linear: &Linear) -> Vec<f32> {
    let area = window.kernel[0] * window.kernel[1];
    let mut output = Vec::with_capacity(to.iter().product());
    for (y, x) in (0..to[0]).flat_map(|y| (0..to[1]).map(move |x| (y, x))) {
        let start = output.len();
        output.extend(&linear.bias);
        for [ky, kx, iy, ix] in under(window, from, y, x) {
            let pixel = &input[(iy * from[1] + ix) * from[2]..][..from[2]];
            for (n, sum) in output[start..].iter_mut().enumerate() {
                *sum += pixel[n * from[2] / to[2]] * linear.weights[n * area + ky * window.kernel[1] + kx];
            }
        }
    }
    output
}

fn dense(input: &[f32], linear: &Linear) -> Vec<f32> {
    let n_in = linear.weights.len() / linear.bias.len();
    let row = |pixel| linear.weights.chunks_exact(n_in).zip(&linear.bias).map(move |(w, bias)| bias + dot(pixel, w));
    input.chunks_exact(n_in).flat_map(row).collect()
}

fn pool(input: &[f32], from: Shape, to: Shape, window: &Window, what: impl Fn(&[f32]) -> f32) -> Vec<f32> {
    let mut output = Vec::with_capacity(to.iter().product());
    for (y, x) in (0..to[0]).flat_map(|y| (0..to[1]).map(move |x| (y, x))) {
        for c in 0..from[2] {
            let pixels = under(window, from, y, x).map(|[.., iy, ix]| input[(iy * from[1] + ix) * from[2] + c]);
            output.push(what(&pixels.collect::<Vec<f32>>()));
        }
    }
    output
}

fn dot(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}
