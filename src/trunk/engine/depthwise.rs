//! Depthwise convolutions by our own kernel: where tract walks pixel by pixel, all pixels of a plane are one long row here.
//!
//! A plane with its padding is laid row behind row. Then each tap of the filter is that row, moved: `y[i] = bias + sum of taps[t] *
//! x[i + offset[t]]`, whatever the row breaks are; what comes of the places between rows is left out when the rows are copied out. With a
//! stride of s the plane is laid out as s x s planes of every s-th pixel, so that neighbours are neighbours again.

use std::fmt;
use std::sync::Arc;

use topgraft_core::kernel::Kernels;
use tract_core::internal::*;
use tract_core::ops::cnn::{Conv, KernelFormat};

/// The most floats of a plane that is laid out, 16 MB: one of 2000 x 2000 pixels.
const MOST_LAID: usize = 1 << 22;

/// A depthwise convolution of `[1, channels, height, width]` or `[channels, height, width]`, f32.
#[derive(Clone, PartialEq, Eq)]
struct Depthwise {
    /// Of what comes out.
    shape: TVec<usize>,
    input: [usize; 2],
    output: [usize; 2],
    stride: [usize; 2],
    /// Rows above, columns left of the plane.
    before: [usize; 2],
    /// Rows of a laid out plane, and its floats from one row to the next.
    rows: usize,
    pitch: usize,
    /// Where the pixel of each tap is.
    offsets: Arc<[usize]>,
    /// `[channels, taps]`
    taps: Arc<Tensor>,
    /// `[channels]`
    bias: Arc<Tensor>,
}

impl fmt::Debug for Depthwise {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { input, output, stride, offsets, bias, .. } = self;
        write!(f, "{} channels of {input:?} to {output:?}, {} taps, stride {stride:?}", bias.len(), offsets.len())
    }
}

impl Depthwise {
    /// `None` if it is no such convolution.
    fn new(model: &TypedModel, node: &TypedNode) -> TractResult<Option<Self>> {
        let Some(conv) = node.op_as::<Conv>() else { return Ok(None) };
        let (spec, facts) = (&conv.pool_spec, model.node_input_facts(node.id)?);
        let (x, kernel, bias) = (facts[0], facts[1].konst.as_ref(), facts.get(2).and_then(|fact| fact.konst.as_ref()));
        let is_f32 = |tensor: &&Arc<Tensor>| tensor.datum_type() == f32::datum_type();
        let (Some(kernel), Some(bias)) = (kernel.filter(is_f32), bias.filter(is_f32)) else { return Ok(None) };
        let channels = conv.group;
        let Some(shape) = x.shape.as_concrete().filter(|_| x.datum_type == f32::datum_type()) else { return Ok(None) };
        let is_depthwise = channels > 1 && [spec.input_channels, spec.output_channels] == [channels; 2];
        let is_plain =
            conv.q_params.is_none() && conv.kernel_fmt == KernelFormat::OIHW && !spec.data_format.c_is_last();
        let data = spec.data_format.shape(TVec::from_slice(shape))?;
        if !is_depthwise || !is_plain || spec.rank() != 2 || data.n().is_some_and(|n| *n != 1) {
            return Ok(None);
        }
        let (input, k) = ([data.hw_dims()[0], data.hw_dims()[1]], [spec.kernel_shape[0], spec.kernel_shape[1]]);
        let (stride, dilation) = ([0, 1].map(|axis| spec.stride(axis)), [0, 1].map(|axis| spec.dilation(axis)));
        let padding = spec.computed_padding(data.hw_dims());
        let (before, output) =
            ([0, 1].map(|axis| padding[axis].pad_before), [0, 1].map(|axis| padding[axis].convoluted));
        let (kernel, bias) = (kernel.to_plain_array_view::<f32>()?, bias.to_plain_array_view::<f32>()?);
        let (taps, bias): (Vec<f32>, Vec<f32>) = (kernel.iter().copied().collect(), bias.iter().copied().collect());
        let bias = if bias.len() == 1 { vec![bias[0]; channels] } else { bias };
        let is_sound =
            taps.len() == channels * k[0] * k[1] && bias.len() == channels && output.iter().all(|side| *side > 0);
        if !is_sound {
            return Ok(None);
        }
        // What the filter reaches, in whole steps.
        let [rows, pitch] =
            [0, 1].map(|axis| ((output[axis] - 1) * stride[axis] + (k[axis] - 1) * dilation[axis]) / stride[axis] + 1);
        // A file may say anything of strides and paddings; what it says must not be what is allocated.
        let laid = [stride[0], stride[1], rows, pitch].into_iter().try_fold(1usize, usize::checked_mul);
        if laid.is_none_or(|laid| laid > MOST_LAID) {
            return Ok(None);
        }
        let offset = |tap: usize| {
            let [y, x] = [tap / k[1] * dilation[0], tap % k[1] * dilation[1]];
            let plane = y % stride[0] * stride[1] + x % stride[1];
            (plane * rows + y / stride[0]) * pitch + x / stride[1]
        };
        Ok(Some(Self {
            shape: spec.data_format.from_n_c_hw(1, channels, output)?.shape,
            offsets: (0..k[0] * k[1]).map(offset).collect(),
            taps: Tensor::from_shape(&[channels, k[0] * k[1]], &taps)?.into_arc_tensor(),
            bias: Tensor::from_shape(&[channels], &bias)?.into_arc_tensor(),
            input,
            output,
            stride,
            before,
            rows,
            pitch,
        }))
    }

    /// Lays a plane out; the places of its padding stay as they are.
    fn lay(&self, plane: &[f32], laid: &mut [f32]) {
        let [step, across] = self.stride;
        for (y, row) in plane.chunks_exact(self.input[1]).enumerate() {
            let y = y + self.before[0];
            if y / step >= self.rows {
                // The filter does not come so far.
                break;
            }
            for phase in 0..across {
                let place = (y % step * across + phase) * self.rows + y / step;
                let to = &mut laid[place * self.pitch..][..self.pitch];
                // The first pixel of the row that is one of these, and where it goes.
                let first = (phase + across - self.before[1] % across) % across;
                let to = &mut to[((first + self.before[1]) / across).min(self.pitch)..];
                match across {
                    1 => {
                        let width = row.len().min(to.len());
                        to[..width].copy_from_slice(&row[..width]);
                    }
                    _ => to.iter_mut().zip(row.iter().skip(first).step_by(across)).for_each(|(to, x)| *to = *x),
                }
            }
        }
    }

    fn run(&self, x: &[f32], y: &mut [f32]) -> TractResult<()> {
        let ([height, width], [out_height, out_width]) = (self.input, self.output);
        let kernels = Kernels::detect();
        let mut laid = vec![0.0; self.stride[0] * self.stride[1] * self.rows * self.pitch];
        let mut sums = vec![0.0; (out_height - 1) * self.pitch + out_width];
        let planes = x.chunks_exact(height * width).zip(y.chunks_exact_mut(out_height * out_width));
        let (taps, bias) =
            (self.taps.try_as_plain_ram()?.as_slice::<f32>()?, self.bias.try_as_plain_ram()?.as_slice::<f32>()?);
        let filters = taps.chunks_exact(self.offsets.len()).zip(bias);
        for ((x, y), (taps, bias)) in planes.zip(filters) {
            self.lay(x, &mut laid);
            kernels.correlate(taps, &self.offsets, &laid, *bias, &mut sums);
            for (y, sums) in y.chunks_exact_mut(out_width).zip(sums.chunks(self.pitch)) {
                y.copy_from_slice(&sums[..out_width]);
            }
        }
        Ok(())
    }
}

impl Op for Depthwise {
    fn name(&self) -> StaticName {
        "TopgraftDepthwise".into()
    }

    fn info(&self) -> TractResult<Vec<String>> {
        Ok(vec![format!("{self:?}")])
    }

    fn validation(&self) -> Validation {
        Validation::Rounding
    }

    op_as_typed_op!();
}

impl EvalOp for Depthwise {
    op_out_of_plan!();

    fn eval(&self, _: &EvalContext, inputs: TVec<TValue>) -> TractResult<TVec<TValue>> {
        let x = args_1!(inputs);
        let mut y = Tensor::zero::<f32>(&self.shape)?;
        self.run(x.try_as_plain_ram()?.as_slice::<f32>()?, y.try_as_plain_ram_mut()?.as_slice_mut::<f32>()?)?;
        Ok(tvec!(y.into_tvalue()))
    }
}

impl TypedOp for Depthwise {
    fn output_facts(&self, _: &[&TypedFact]) -> TractResult<TVec<TypedFact>> {
        Ok(tvec!(f32::fact(&self.shape)))
    }

    fn cost(&self, _: &[&TypedFact]) -> TractResult<TVec<(Cost, TDim)>> {
        let products = self.taps.len() * self.output[0] * self.output[1];
        Ok(tvec!((Cost::FMA(f32::datum_type()), products.to_dim())))
    }

    as_op!();
}

/// Puts our own in the place of all depthwise convolutions that are of a kind that it can do. `model` is decluttered.
///
/// On aarch64 that is hardly any: tract has a kernel there that goes along the channels, and declutter has turned those with 16 channels or more to
/// channels last, which are left to it.
///
/// # Errors
/// None is known.
pub(super) fn replace(model: &mut TypedModel) -> TractResult<()> {
    for id in 0..model.nodes.len() {
        let Some(op) = Depthwise::new(model, model.node(id))? else { continue };
        let (name, input) = (model.node(id).name.clone(), model.node(id).inputs[0]);
        let mut patch = TypedModelPatch::default();
        let x = patch.tap_model(model, input)?;
        let y = patch.wire_node(name, op, &[x])?[0];
        patch.shunt_outside(model, id.into(), y)?;
        patch.apply(model)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use tract_core::ops::cnn::{PaddingSpec, PoolSpec};
    use tract_core::ops::nn::DataFormat;

    use super::*;

    /// A generator that any test may start.
    struct Random(u64);

    impl Random {
        fn below(&mut self, most: usize) -> usize {
            self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (self.0 >> 33) as usize % most
        }

        fn tensor(&mut self, shape: &[usize]) -> Tensor {
            let numbers: Vec<f32> =
                (0..shape.iter().product()).map(|_| self.below(2001) as f32 / 1000.0 - 1.0).collect();
            Tensor::from_shape(shape, &numbers).expect("fits")
        }
    }

    /// As a network has them, in a decluttered model: on the CPUs where tract has no kernel of its own.
    #[test]
    #[cfg(target_arch = "x86_64")]
    fn those_of_a_network_are_ours() {
        let (mut random, mut model) = (Random(3), TypedModel::default());
        let mut out = model.add_source("x", f32::fact([1usize, 32, 28, 28])).expect("adds");
        for (name, stride) in [("a", 1), ("b", 2)] {
            let weights = model.add_const(format!("{name}.w"), random.tensor(&[32, 1, 3, 3])).expect("adds");
            let bias = model.add_const(format!("{name}.b"), random.tensor(&[32])).expect("adds");
            let pool_spec = PoolSpec {
                data_format: DataFormat::NCHW,
                kernel_shape: TVec::from_slice(&[3, 3]),
                padding: PaddingSpec::Explicit(TVec::from_slice(&[1, 1]), TVec::from_slice(&[1, 1])),
                dilations: None,
                strides: Some(TVec::from_slice(&[stride; 2])),
                input_channels: 32,
                output_channels: 32,
            };
            let conv = Conv { pool_spec, kernel_fmt: KernelFormat::OIHW, group: 32, q_params: None };
            out = model.wire_node(name, conv, &[out, weights, bias]).expect("wires")[0];
        }
        model.select_output_outlets(&[out]).expect("is there");
        let mut model = model.into_decluttered().expect("declutters");
        replace(&mut model).expect("replaces");
        assert_eq!(model.nodes.iter().filter(|node| node.op_is::<Depthwise>()).count(), 2);
    }

    /// A file may ask for any stride: that is tract's then.
    #[test]
    fn what_would_take_too_much_memory_is_left_alone() {
        let (mut random, mut model) = (Random(3), TypedModel::default());
        let x = model.add_source("x", f32::fact([1usize, 2, 1, 1])).expect("adds");
        let weights = model.add_const("w", random.tensor(&[2, 1, 1, 1])).expect("adds");
        let bias = model.add_const("b", random.tensor(&[2])).expect("adds");
        let pool_spec = PoolSpec {
            data_format: DataFormat::NCHW,
            kernel_shape: TVec::from_slice(&[1, 1]),
            padding: PaddingSpec::Valid,
            dilations: None,
            strides: Some(TVec::from_slice(&[200_000, 200_000])),
            input_channels: 2,
            output_channels: 2,
        };
        let conv = Conv { pool_spec, kernel_fmt: KernelFormat::OIHW, group: 2, q_params: None };
        let out = model.wire_node("conv", conv, &[x, weights, bias]).expect("wires");
        model.select_output_outlets(&out).expect("is there");
        replace(&mut model).expect("leaves it");
        assert!(!model.nodes.iter().any(|node| node.op_is::<Depthwise>()));
    }

    /// Every size, stride, dilation and padding: as tract does it, but for rounding.
    #[test]
    fn any_depthwise_convolution_is_that_of_tract() {
        let mut random = Random(7);
        let mut replaced = 0;
        for case in 0..400 {
            let [channels, height, width] = [2 + random.below(4), 1 + random.below(20), 1 + random.below(40)];
            let kernel = [0; 2].map(|_| 1 + random.below(5));
            let (stride, dilation) = ([0; 2].map(|_| 1 + random.below(3)), [0; 2].map(|_| 1 + random.below(2)));
            let (before, after) = ([0; 2].map(|_| random.below(3)), [0; 2].map(|_| random.below(3)));
            let reach = [0, 1].map(|axis| (kernel[axis] - 1) * dilation[axis] + 1);
            let sides = [height, width];
            if (0..2).any(|axis| sides[axis] + before[axis] + after[axis] < reach[axis]) {
                continue;
            }
            let spec = PoolSpec {
                data_format: if case % 2 == 0 { DataFormat::NCHW } else { DataFormat::CHW },
                kernel_shape: TVec::from_slice(&kernel),
                padding: PaddingSpec::Explicit(TVec::from_slice(&before), TVec::from_slice(&after)),
                dilations: Some(TVec::from_slice(&dilation)),
                strides: Some(TVec::from_slice(&stride)),
                input_channels: channels,
                output_channels: channels,
            };
            let shape = [1, channels, height, width];
            let x = random.tensor(&shape[case % 2..]);
            let mut model = TypedModel::default();
            let input = model.add_source("x", f32::fact(x.shape())).expect("adds");
            let weights = random.tensor(&[channels, 1, kernel[0], kernel[1]]);
            let weights = model.add_const("w", weights).expect("adds");
            let bias = model.add_const("b", random.tensor(&[channels])).expect("adds");
            let conv = Conv { pool_spec: spec, kernel_fmt: KernelFormat::OIHW, group: channels, q_params: None };
            let out = model.wire_node("conv", conv, &[input, weights, bias]).expect("wires");
            model.select_output_outlets(&out).expect("is there");
            let run = |model: TypedModel| {
                let plan = model.into_optimized().expect("optimises").into_runnable().expect("runs");
                plan.run(tvec!(x.clone().into_tvalue())).expect("runs").remove(0).into_tensor()
            };
            let mut ours = model.clone();
            replace(&mut ours).expect("replaces");
            replaced += usize::from(ours.nodes.iter().any(|node| node.op_is::<Depthwise>()));
            let (ours, tracts) = (run(ours), run(model));
            assert_eq!(ours.shape(), tracts.shape(), "{case}");
            let pairs = [&ours, &tracts].map(|tensor| tensor.to_plain_array_view::<f32>().expect("f32"));
            let furthest = pairs[0].iter().zip(pairs[1].iter()).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            let what =
                || format!("{kernel:?} stride {stride:?} dilation {dilation:?} pads {before:?} {after:?}, {sides:?}");
            assert!(furthest < 1e-5, "{}: {furthest}", what());
        }
        assert!(replaced > 250, "{replaced}");
    }
}
