//! Operators of ONNX -> the layers that firmware knows; batch normalisation and activations go into the layer before.

use std::collections::{HashMap, HashSet};

use topgraft_core::preprocess::Layout;

use super::error::Unsupported;
use super::network::{Layer, Linear, Network, Op, Shape, Window};
use crate::trunk::{Attribute, Constant, Operation, Operations, Pooling, Values};

/// The layers of `operations`, whose input is a picture of shape `input` in the order `layout`.
///
/// # Errors
/// The first operator, or use of one, that has no such form.
pub(super) fn lower(
    operations: Operations,
    input: Shape,
    layout: Layout,
    pooling: Pooling,
) -> Result<Network, Unsupported> {
    let mut uses: HashMap<String, usize> = HashMap::from([(operations.output.clone(), 1)]);
    for tensor in operations.nodes.iter().flat_map(|node| &node.inputs) {
        *uses.entry(tensor.clone()).or_default() += 1;
    }
    let form = if layout == Layout::Nchw { Form::Map } else { Form::PixelsFirst };
    let mut lowering = Lowering {
        constants: operations.constants,
        uses,
        values: HashMap::from([(operations.input, Value { id: 0, form })]),
        shared: HashSet::new(),
        network: Network { shapes: vec![input], layers: Vec::new(), planar: false },
    };
    for node in &operations.nodes {
        lowering.node(node)?;
    }
    let Lowering { values, mut network, .. } = lowering;
    let output = values[&operations.output];
    if let (Pooling::Average, Form::PixelsFirst, Some(node)) = (pooling, output.form, operations.nodes.last()) {
        return Err(unsupported(node, "is averaged over something other than height and width"));
    }
    network.planar = output.form == Form::Vector;
    let [height, width, channels] = network.shapes[output.id];
    if pooling == Pooling::Average || output.id + 1 != network.shapes.len() {
        // The features must be the last value.
        let op = if pooling == Pooling::Average { Op::GlobalAveragePool } else { Op::Clamp };
        let pooled = if pooling == Pooling::Average { [1, 1, channels] } else { [height, width, channels] };
        network.layers.push(Layer { name: "features".into(), inputs: vec![output.id], op, clamp: NO_CLAMP });
        network.shapes.push(pooled);
    }
    Ok(network)
}

const NO_CLAMP: (f32, f32) = (f32::NEG_INFINITY, f32::INFINITY);

const POINT: Window = Window { kernel: [1, 1], stride: [1, 1], pad: [0, 0] };

/// How ONNX has a value that firmware has row by row, pixel by pixel, channel by channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    /// `[1, C, H, W]`
    Map,
    /// `[1, H, W, C]`
    PixelsFirst,
    /// `[1, D]`, D being `C * H * W` in this order.
    Vector,
}

#[derive(Clone, Copy, Debug)]
struct Value {
    id: usize,
    form: Form,
}

struct Lowering {
    constants: HashMap<String, Constant>,
    /// How often each tensor is used.
    uses: HashMap<String, usize>,
    values: HashMap<String, Value>,
    /// Values that something uses under another name, as of another shape.
    shared: HashSet<usize>,
    network: Network,
}

impl Lowering {
    fn node(&mut self, node: &Operation) -> Result<(), Unsupported> {
        match node.operator.as_str() {
            "Cast" | "Identity" | "Dropout" if self.constant(node).is_some() => {
                let constant = self.constant(node).expect("just seen").clone();
                self.constants.insert(node.outputs[0].clone(), constant);
                Ok(())
            }
            "Conv" => self.conv(node),
            "Gemm" | "MatMul" => self.dense(node),
            "BatchNormalization" => self.batch_normalization(node),
            "Relu" => self.clamp(node, (0.0, f32::INFINITY)),
            "Clip" => {
                let bound = |at: usize, name: &str, default: f32| match node.attributes.get(name) {
                    Some(Attribute::Float(bound)) => Ok(*bound),
                    _ => self.optional(node, at).map(|c| c.and_then(|c| c.first().copied()).unwrap_or(default)),
                };
                let bounds = (bound(1, "min", f32::NEG_INFINITY)?, bound(2, "max", f32::INFINITY)?);
                self.clamp(node, bounds)
            }
            "Add" => self.add(node),
            "GlobalAveragePool" => self.global_average(node, Form::Map),
            "ReduceMean" => self.reduce_mean(node),
            "AveragePool" | "MaxPool" => self.pool(node),
            "Flatten" | "Reshape" | "Squeeze" | "Unsqueeze" | "Identity" | "Dropout" => self.rearrange(node),
            "Transpose" => self.transpose(node),
            _ => Err(unsupported(node, "is not among the operators of firmware")),
        }
    }

    fn value(&self, node: &Operation, at: usize) -> Result<Value, Unsupported> {
        let value = node.inputs.get(at).and_then(|tensor| self.values.get(tensor)).copied();
        value.ok_or_else(|| unsupported(node, "works on a constant"))
    }

    fn constant(&self, node: &Operation) -> Option<&Constant> {
        self.constants.get(node.inputs.first()?)
    }

    fn map(&self, node: &Operation) -> Result<(usize, Shape), Unsupported> {
        let value = self.value(node, 0)?;
        match value.form {
            Form::Map => Ok((value.id, self.network.shapes[value.id])),
            _ => Err(unsupported(node, "works on something other than a map [1, C, H, W]")),
        }
    }

    /// The constant that an input is, if it is given.
    fn optional(&self, node: &Operation, at: usize) -> Result<Option<&[f32]>, Unsupported> {
        let Some(tensor) = node.inputs.get(at).filter(|tensor| !tensor.is_empty()) else { return Ok(None) };
        match self.constants.get(tensor).map(|constant| &constant.values) {
            Some(Values::F32(values)) => Ok(Some(values)),
            _ => Err(unsupported(node, "has weights or bounds that are not constant floats")),
        }
    }

    fn weights(&self, node: &Operation, at: usize) -> Result<(&[f32], &[usize]), Unsupported> {
        match self.optional(node, at)? {
            Some(values) => Ok((values, &self.constants[&node.inputs[at]].shape)),
            None => Err(unsupported(node, "lacks its weights")),
        }
    }

    fn ints(&self, node: &Operation, at: usize, name: &str) -> Option<Vec<i64>> {
        if let Some(Attribute::Ints(ints)) = node.attributes.get(name) {
            return Some(ints.clone());
        }
        match &self.constants.get(node.inputs.get(at)?)?.values {
            Values::I64(ints) => Some(ints.clone()),
            _ => None,
        }
    }

    fn push(
        &mut self,
        node: &Operation,
        inputs: Vec<usize>,
        op: Op,
        shape: Shape,
        form: Form,
    ) -> Result<(), Unsupported> {
        if shape.contains(&0) {
            return Err(unsupported(node, "gives nothing"));
        }
        self.network.layers.push(Layer { name: node.name.clone(), inputs, op, clamp: NO_CLAMP });
        self.network.shapes.push(shape);
        let id = self.network.layers.len();
        self.values.insert(node.outputs[0].clone(), Value { id, form });
        Ok(())
    }

    /// The layer that makes the node's first input, if nothing else uses that and it clamps nothing yet.
    fn before(&mut self, node: &Operation, at: usize) -> Option<(&mut Layer, Value)> {
        let tensor = node.inputs.get(at)?;
        let value = *self.values.get(tensor)?;
        let layer = self.network.layers.get_mut(value.id.checked_sub(1)?)?;
        let alone = self.uses[tensor] == 1 && !self.shared.contains(&value.id);
        (alone && layer.clamp == NO_CLAMP).then_some((layer, value))
    }

    /// Notes that the node's output is `value` by another name: what else uses its input must not see it change.
    fn rename(&mut self, node: &Operation, value: Value) {
        if self.uses[&node.inputs[0]] > 1 {
            self.shared.insert(value.id);
        }
    }

    fn conv(&mut self, node: &Operation) -> Result<(), Unsupported> {
        let (id, from) = self.map(node)?;
        let (weights, shape) = self.weights(node, 1)?;
        let [n_out, n_in, height, width] = shape[..] else {
            return Err(unsupported(node, "is not over two dimensions"));
        };
        let bias = self.optional(node, 2)?.map_or(vec![0.0; n_out], <[f32]>::to_vec);
        let group = int(node, "group", 1) as usize;
        let (window, to) = window(node, [height, width], from)?;
        let shape = [to[0], to[1], n_out];
        let fits = bias.len() == n_out && n_in.checked_mul(group) == Some(from[2]);
        if !fits {
            return Err(unsupported(node, "has weights of another shape than its input"));
        }
        let pointwise = window == POINT && to == [from[0], from[1]];
        let op = match (group, n_in) {
            (1, _) => {
                // [n_out, n_in, y, x] -> [n_out, y, x, n_in]
                let linear = Linear { weights: pixels_first(weights, n_in, height * width), bias };
                if pointwise { Op::Dense(linear) } else { Op::Conv(window, linear) }
            }
            (_, 1) if n_out.is_multiple_of(group) => Op::Depthwise(window, Linear { weights: weights.to_vec(), bias }),
            _ => return Err(unsupported(node, "works on groups of channels, neither on all nor on each by itself")),
        };
        self.push(node, vec![id], op, shape, Form::Map)
    }

    fn dense(&mut self, node: &Operation) -> Result<(), Unsupported> {
        let value = self.value(node, 0)?;
        let from = self.network.shapes[value.id];
        if value.form != Form::Vector {
            return Err(unsupported(node, "works on something other than a vector [1, D]"));
        }
        let (weights, shape) = self.weights(node, 1)?;
        let [a, b] = shape[..] else { return Err(unsupported(node, "has weights of more than two dimensions")) };
        let (transposed, alpha, beta) =
            (int(node, "transB", 0) != 0, float(node, "alpha", 1.0), float(node, "beta", 1.0));
        let (n_out, n_in) = if transposed { (a, b) } else { (b, a) };
        let bias = match self.optional(node, 2)? {
            None => vec![0.0; n_out],
            Some([one]) => vec![beta * one; n_out],
            Some(bias) => bias.iter().map(|x| beta * x).collect(),
        };
        if n_in != from.iter().product::<usize>() || int(node, "transA", 0) != 0 || bias.len() != n_out {
            return Err(unsupported(node, "has weights of another shape than its input"));
        }
        let weight = |n: usize, k: usize| alpha * weights[if transposed { n * n_in + k } else { k * n_out + n }];
        let rows: Vec<f32> =
            (0..n_out).flat_map(|n| (0..n_in).map(move |k| (n, k))).map(|(n, k)| weight(n, k)).collect();
        let linear = Linear { weights: pixels_first(&rows, from[2], from[0] * from[1]), bias };
        self.push(node, vec![value.id], Op::Dense(linear), [1, 1, n_out], Form::Vector)
    }

    /// `scale * (x - mean) / sqrt(variance + epsilon) + offset`, channel by channel.
    fn batch_normalization(&mut self, node: &Operation) -> Result<(), Unsupported> {
        let epsilon = float(node, "epsilon", 1e-5);
        let [scale, offset, mean, variance] = [1, 2, 3, 4].map(|at| self.weights(node, at).map(|(values, _)| values));
        let (scale, offset, mean, variance) = (scale?, offset?, mean?, variance?);
        let channels = scale.len();
        if [offset.len(), mean.len(), variance.len()] != [channels; 3] {
            return Err(unsupported(node, "has numbers for different channels"));
        }
        let factors: Vec<f32> = scale.iter().zip(variance).map(|(s, v)| s / (v + epsilon).sqrt()).collect();
        let offsets: Vec<f32> = offset.iter().zip(mean).zip(&factors).map(|((o, m), f)| o - m * f).collect();
        if let Some((layer, value)) = self.before(node, 0)
            && let Op::Conv(_, linear) | Op::Depthwise(_, linear) | Op::Dense(linear) = &mut layer.op
            && linear.bias.len() == channels
        {
            let taps = linear.weights.len() / channels;
            for (n, (factor, offset)) in factors.iter().zip(&offsets).enumerate() {
                linear.weights[n * taps..][..taps].iter_mut().for_each(|w| *w *= factor);
                linear.bias[n] = linear.bias[n] * factor + offset;
            }
            self.values.insert(node.outputs[0].clone(), value);
            return Ok(());
        }
        let (id, from) = self.map(node)?;
        if from[2] != channels {
            return Err(unsupported(node, "has numbers for other channels than its input"));
        }
        let linear = Linear { weights: factors, bias: offsets };
        self.push(node, vec![id], Op::Depthwise(POINT, linear), from, Form::Map)
    }

    fn clamp(&mut self, node: &Operation, clamp: (f32, f32)) -> Result<(), Unsupported> {
        let takes = |op: &Op| matches!(op, Op::Conv(..) | Op::Depthwise(..) | Op::Dense(_) | Op::Add);
        if let Some((layer, value)) = self.before(node, 0)
            && takes(&layer.op)
        {
            layer.clamp = clamp;
            self.values.insert(node.outputs[0].clone(), value);
            return Ok(());
        }
        let value = self.value(node, 0)?;
        let shape = self.network.shapes[value.id];
        self.push(node, vec![value.id], Op::Clamp, shape, value.form)?;
        self.network.layers.last_mut().expect("just pushed").clamp = clamp;
        Ok(())
    }

    fn add(&mut self, node: &Operation) -> Result<(), Unsupported> {
        for (at, other) in [(0, 1), (1, 0)] {
            let Some(constant) = node.inputs.get(at).and_then(|tensor| self.constants.get(tensor)).cloned() else {
                continue;
            };
            let Values::F32(bias) = &constant.values else { break };
            if let Some((layer, value)) = self.before(node, other)
                && let Op::Conv(_, linear) | Op::Depthwise(_, linear) | Op::Dense(linear) = &mut layer.op
            {
                let n_out = linear.bias.len();
                // The channels are the last but two of a map's dimensions, the last of a vector's.
                let behind = if value.form == Form::Map { 2 } else { 0 };
                let dims = constant.shape.len();
                let by_channel = bias.len() == n_out
                    && (0..dims).all(|at| constant.shape[at] == if at + 1 + behind == dims { n_out } else { 1 });
                if by_channel || bias.len() == 1 {
                    linear.bias.iter_mut().enumerate().for_each(|(n, b)| *b += bias[n.min(bias.len() - 1)]);
                    self.values.insert(node.outputs[0].clone(), value);
                    return Ok(());
                }
            }
            return Err(unsupported(node, "adds a constant that is no bias of the layer before"));
        }
        let (a, b) = (self.value(node, 0)?, self.value(node, 1)?);
        if a.form != b.form || self.network.shapes[a.id] != self.network.shapes[b.id] || a.id == b.id {
            return Err(unsupported(node, "adds tensors of different shapes, or one to itself"));
        }
        self.push(node, vec![a.id, b.id], Op::Add, self.network.shapes[a.id], a.form)
    }

    fn global_average(&mut self, node: &Operation, form: Form) -> Result<(), Unsupported> {
        let (id, from) = self.map(node)?;
        self.push(node, vec![id], Op::GlobalAveragePool, [1, 1, from[2]], form)
    }

    fn reduce_mean(&mut self, node: &Operation) -> Result<(), Unsupported> {
        let axes = self.ints(node, 1, "axes").unwrap_or_default();
        let mut axes: Vec<i64> = axes.iter().map(|axis| if *axis < 0 { axis + 4 } else { *axis }).collect();
        axes.sort();
        match axes[..] {
            [2, 3] => self.global_average(node, if int(node, "keepdims", 1) == 0 { Form::Vector } else { Form::Map }),
            _ => Err(unsupported(node, "is over something other than height and width")),
        }
    }

    fn pool(&mut self, node: &Operation) -> Result<(), Unsupported> {
        let (id, from) = self.map(node)?;
        let Some(Attribute::Ints(kernel)) = node.attributes.get("kernel_shape") else {
            return Err(unsupported(node, "lacks kernel_shape"));
        };
        let [height, width] = kernel[..] else { return Err(unsupported(node, "is not over two dimensions")) };
        let (window, to) = window(node, [height as usize, width as usize], from)?;
        let padded =
            window.pad != [0, 0] || (0..2).any(|i| (to[i] - 1) * window.stride[i] + window.kernel[i] > from[i]);
        if node.operator == "AveragePool" && padded && int(node, "count_include_pad", 0) != 0 {
            return Err(unsupported(node, "counts the padding (count_include_pad)"));
        }
        if padded && (0..2).any(|i| window.pad[i] >= window.kernel[i]) {
            return Err(unsupported(node, "has windows with padding alone"));
        }
        let whole = !padded && to == [1, 1] && window.kernel == from[..2];
        let op = match node.operator.as_str() {
            "AveragePool" if whole => Op::GlobalAveragePool,
            "AveragePool" => Op::AveragePool(window),
            _ => Op::MaxPool(window),
        };
        self.push(node, vec![id], op, [to[0], to[1], from[2]], Form::Map)
    }

    /// What makes another shape of the same numbers in ONNX's order.
    fn rearrange(&mut self, node: &Operation) -> Result<(), Unsupported> {
        let mut value = self.value(node, 0)?;
        self.rename(node, value);
        let [height, width, channels] = self.network.shapes[value.id];
        let small = height * width == 1;
        let total = (height * width * channels) as i64;
        let refused = || Err(unsupported(node, "makes another shape than [1, D]"));
        value.form = match (node.operator.as_str(), value.form) {
            ("Identity" | "Dropout", form) => form,
            ("Flatten", Form::Map | Form::Vector) if int(node, "axis", 1) == 1 => Form::Vector,
            ("Squeeze", Form::Map) if small => match self.ints(node, 1, "axes") {
                Some(mut axes) => {
                    axes.iter_mut().filter(|axis| **axis < 0).for_each(|axis| *axis += 4);
                    axes.sort();
                    if axes != [2, 3] {
                        return refused();
                    }
                    Form::Vector
                }
                None => return refused(),
            },
            ("Unsqueeze", Form::Vector) if small => match self.ints(node, 1, "axes").as_deref() {
                Some([2, 3] | [-1, -2] | [-2, -1]) => Form::Map,
                _ => return refused(),
            },
            ("Reshape", Form::Map | Form::Vector) => match self.ints(node, 1, "shape").as_deref() {
                // 0 keeps the dimension, -1 is what is left.
                Some([-1..=1, d]) if *d == -1 || *d == total => Form::Vector,
                Some([0 | 1, c, 1, 1]) if small && (*c == -1 || *c == total) => Form::Map,
                _ => return refused(),
            },
            _ => return refused(),
        };
        self.values.insert(node.outputs[0].clone(), value);
        Ok(())
    }

    fn transpose(&mut self, node: &Operation) -> Result<(), Unsupported> {
        let mut value = self.value(node, 0)?;
        self.rename(node, value);
        let perm = match node.attributes.get("perm") {
            Some(Attribute::Ints(perm)) => perm.as_slice(),
            _ => &[],
        };
        value.form = match (value.form, perm) {
            (Form::PixelsFirst, [0, 3, 1, 2]) => Form::Map,
            (Form::Map, [0, 2, 3, 1]) => Form::PixelsFirst,
            _ => return Err(unsupported(node, "is not between [1, C, H, W] and [1, H, W, C]")),
        };
        self.values.insert(node.outputs[0].clone(), value);
        Ok(())
    }
}

/// Rows of `channels` maps of `area` numbers -> rows of `area` pixels of `channels` numbers.
pub(super) fn pixels_first(rows: &[f32], channels: usize, area: usize) -> Vec<f32> {
    let row =
        |row: &[f32]| (0..area * channels).map(|at| row[at % channels * area + at / channels]).collect::<Vec<f32>>();
    rows.chunks_exact(channels * area).flat_map(row).collect()
}

fn unsupported(node: &Operation, what: &'static str) -> Unsupported {
    Unsupported { operator: node.operator.clone(), layer: node.name.clone(), what }
}

fn int(node: &Operation, name: &str, default: i64) -> i64 {
    match node.attributes.get(name) {
        Some(Attribute::Int(value)) => *value,
        _ => default,
    }
}

fn float(node: &Operation, name: &str, default: f32) -> f32 {
    match node.attributes.get(name) {
        Some(Attribute::Float(value)) => *value,
        _ => default,
    }
}

/// The window of a convolution or a pooling on a map of shape `from`, and height and width of the output.
fn window(node: &Operation, kernel: [usize; 2], from: Shape) -> Result<(Window, [usize; 2]), Unsupported> {
    let ints = |name: &str, default: i64, n: usize| match node.attributes.get(name) {
        Some(Attribute::Ints(ints)) if ints.len() == n => Ok(ints.clone()),
        None => Ok(vec![default; n]),
        Some(_) => Err(unsupported(node, "is not over two dimensions")),
    };
    if ints("dilations", 1, 2)?.iter().any(|d| *d != 1) {
        return Err(unsupported(node, "has gaps in its kernel (dilations)"));
    }
    if int(node, "ceil_mode", 0) != 0 {
        return Err(unsupported(node, "rounds its output's size up (ceil_mode)"));
    }
    let (strides, pads) = (ints("strides", 1, 2)?, ints("pads", 0, 4)?);
    let auto = match node.attributes.get("auto_pad") {
        Some(Attribute::Text(text)) => text.as_str(),
        _ => "NOTSET",
    };
    let (mut pad, mut stride, mut to) = ([0; 2], [0; 2], [0; 2]);
    for i in 0..2 {
        let bad = || unsupported(node, "has strides, padding or a kernel that do not fit its input");
        let side = |n: i64| usize::try_from(n).ok().filter(|n| *n <= 1 << 16).ok_or_else(bad);
        stride[i] = side(strides[i])?;
        if stride[i] == 0 || kernel[i] == 0 {
            return Err(bad());
        }
        let same = from[i].div_ceil(stride[i]);
        let needed = ((same - 1) * stride[i] + kernel[i]).saturating_sub(from[i]);
        let both = match auto {
            "NOTSET" => [side(pads[i])?, side(pads[i + 2])?],
            "VALID" => [0, 0],
            "SAME_UPPER" => [needed / 2, needed - needed / 2],
            "SAME_LOWER" => [needed - needed / 2, needed / 2],
            _ => return Err(bad()),
        };
        pad[i] = both[0];
        to[i] = (from[i] + both[0] + both[1]).checked_sub(kernel[i]).ok_or_else(bad)? / stride[i] + 1;
    }
    Ok((Window { kernel, stride, pad }, to))
}
