//! What of a network is done on maps: which nodes of tract's graph, and what they say.

use topgraft_core::kernel::{Curve, Map, Pooling, Window};
use tract_core::internal::*;
use tract_core::ops::array::TypedConcat;
use tract_core::ops::binary::TypedBinOp;
use tract_core::ops::cnn::{Conv, KernelFormat, MaxPool, PoolSpec, SumPool};
use tract_core::ops::element_wise::ElementWiseOp;
use tract_core::ops::math::{Add, Div, Max, Min, Mul, Sub};
use tract_core::ops::nn::{HardSwish, Reduce, Reducer, Sigmoid};

/// The most that a stride, a dilation or a padding may be: a file may say anything.
const MOST: usize = 1 << 16;
/// The most pixels that a filter sees, 64 x 64; a window of a pool may be the whole map.
const MOST_TAPS: usize = 1 << 12;
/// The most floats of a map, 1 GB.
const MOST_FLOATS: usize = 1 << 28;

/// What becomes of one or more maps.
pub(super) enum Layer {
    /// `filters [outputs, inputs, taps]` as they are in the file, `bias [outputs]`
    Convolve {
        window: Window,
        filters: Arc<Tensor>,
        bias: Vec<f32>,
    },
    /// `filters [channels, taps]`, `bias [channels]`
    Depthwise {
        window: Window,
        filters: Vec<f32>,
        bias: Vec<f32>,
    },
    Pool {
        pooling: Pooling,
        window: Window,
    },
    /// Of two maps of the same shape.
    Add,
    /// Of each number: at least the first, at most the second.
    Clamp([f32; 2]),
    /// Of each channel: times `scale`, plus `shift`.
    Scale {
        scale: Vec<f32>,
        shift: Vec<f32>,
    },
    /// Of two maps: the second of the same shape, or one pixel.
    Multiply,
    /// A function of each number.
    Bend(Curve),
    /// The channels of all behind each other.
    Concat,
}

/// A node that is done on maps.
pub(super) struct Covered {
    pub layer: Layer,
    /// The maps that go in.
    pub inputs: TVec<OutletId>,
    pub output: Map,
}

impl Covered {
    /// `None` if it is something else.
    pub fn new(model: &TypedModel, node: &TypedNode) -> TractResult<Option<Self>> {
        let [output] = &node.outputs[..] else { return Ok(None) };
        let Some(output) = map(&output.fact) else { return Ok(None) };
        let facts = model.node_input_facts(node.id)?;
        let mut maps: TVec<OutletId> =
            node.inputs.iter().zip(&facts).filter(|(_, fact)| fact.konst.is_none()).map(|(at, _)| *at).collect();
        let Some(input) = maps.first().map(|at| model.outlet_fact(*at)).transpose()?.and_then(map) else {
            return Ok(None);
        };
        let layer = if let Some(conv) = node.op_as::<Conv>() {
            convolution(conv, &facts, &input)?
        } else if let Some(pool) = node.op_as::<MaxPool>() {
            let has_more = pool.with_index_outputs.is_some();
            window(&pool.pool_spec, &input)
                .filter(|_| !has_more)
                .map(|window| Layer::Pool { pooling: Pooling::Largest, window })
        } else if let Some(pool) = node.op_as::<SumPool>() {
            let pooling = match (pool.normalize, pool.count_include_pad) {
                (false, _) => Pooling::Sum,
                (true, false) => Pooling::MeanInside,
                (true, true) => Pooling::Mean,
            };
            window(&pool.pool_spec, &input).map(|window| Layer::Pool { pooling, window })
        } else if let Some(reduce) = node.op_as::<Reduce>() {
            let is_sum = reduce.reducer == Reducer::Sum && reduce.axes[..] == [2, 3];
            let window = Window { size: [input.height, input.width], ..Window::POINT };
            is_sum.then_some(Layer::Pool { pooling: Pooling::Sum, window })
        } else if let Some(concat) = node.op_as::<TypedConcat>() {
            let is_all = maps.len() == node.inputs.len() && concat.axis == 1;
            let fits = maps.iter().map(|at| Ok(map(model.outlet_fact(*at)?).is_some()));
            (is_all && fits.collect::<TractResult<Vec<_>>>()?.into_iter().all(|fits| fits)).then_some(Layer::Concat)
        } else if let Some(op) = node.op_as::<TypedBinOp>() {
            if is_pixel(model, &maps, &output)? {
                maps.reverse();
            }
            binary(op, &facts, &input)?
        } else if let Some(op) = node.op_as::<ElementWiseOp>().filter(|op| op.1.is_none()) {
            match op.0.is::<HardSwish>() {
                true => Some(Layer::Bend(Curve::HardSwish)),
                false => op.0.is::<Sigmoid>().then_some(Layer::Bend(Curve::Sigmoid)),
            }
        } else {
            None
        };
        Ok(layer.map(|layer| Self { layer, inputs: maps, output }))
    }

    pub fn is_convolution(&self) -> bool {
        matches!(self.layer, Layer::Convolve { .. } | Layer::Depthwise { .. })
    }
}

/// `[1, channels, height, width]`, f32, known before it runs.
pub(super) fn map(fact: &TypedFact) -> Option<Map> {
    match fact.shape.as_concrete()? {
        [1, channels, height, width] if fact.datum_type == f32::datum_type() => {
            let floats = channels.checked_mul(*height)?.checked_mul(*width)?;
            (1..=MOST_FLOATS).contains(&floats).then_some(Map::new(*height, *width, *channels))
        }
        _ => None,
    }
}

/// Whether the first of two maps is one pixel that the second is multiplied by.
fn is_pixel(model: &TypedModel, maps: &[OutletId], output: &Map) -> TractResult<bool> {
    let [first, _] = maps else { return Ok(false) };
    Ok(map(model.outlet_fact(*first)?).is_some_and(|map| map.pixels() < output.pixels()))
}

fn window(spec: &PoolSpec, input: &Map) -> Option<Window> {
    if spec.rank() != 2 || spec.data_format.c_is_last() || !spec.data_format.has_n() {
        return None;
    }
    let padding = spec.computed_padding(&[input.height, input.width]);
    let both = |of: &dyn Fn(usize) -> usize| [of(0), of(1)];
    let window = Window {
        size: both(&|axis| spec.kernel_shape[axis]),
        stride: both(&|axis| spec.stride(axis)),
        dilation: both(&|axis| spec.dilation(axis)),
        before: both(&|axis| padding[axis].pad_before),
    };
    let sides = [window.size, window.stride, window.dilation, window.before];
    let is_sound = sides.as_flattened().iter().all(|side| *side <= MOST) && window.taps() > 0;
    is_sound.then_some(window)
}

/// A constant's floats.
fn floats(fact: &TypedFact) -> TractResult<Option<Vec<f32>>> {
    let Some(konst) = fact.konst.as_ref().filter(|konst| konst.datum_type() == f32::datum_type()) else {
        return Ok(None);
    };
    Ok(Some(konst.to_plain_array_view::<f32>()?.iter().copied().collect()))
}

fn convolution(conv: &Conv, facts: &[&TypedFact], input: &Map) -> TractResult<Option<Layer>> {
    let spec = &conv.pool_spec;
    let is_plain = conv.q_params.is_none() && conv.kernel_fmt == KernelFormat::OIHW && facts.len() == 3;
    let Some(window) = window(spec, input).filter(|_| is_plain) else { return Ok(None) };
    let (Some(filters), Some(bias)) = (facts[1].konst.as_ref(), floats(facts[2])?) else { return Ok(None) };
    let outputs = spec.output_channels;
    let bias = if bias.len() == 1 { vec![bias[0]; outputs] } else { bias };
    let inputs = spec.input_channels / conv.group.max(1);
    if window.taps() > MOST_TAPS
        || bias.len() != outputs
        || filters.len() != outputs * inputs * window.taps()
        || filters.datum_type() != f32::datum_type()
    {
        return Ok(None);
    }
    Ok(match conv.group {
        1 => Some(Layer::Convolve { window, filters: filters.clone(), bias }),
        groups if groups == outputs && inputs == 1 => {
            floats(facts[1])?.map(|filters| Layer::Depthwise { window, filters, bias })
        }
        _ => None,
    })
}

fn binary(op: &TypedBinOp, facts: &[&TypedFact], input: &Map) -> TractResult<Option<Layer>> {
    let [a, b] = facts else { return Ok(None) };
    if op.1.is_some() || facts.iter().any(|fact| fact.datum_type != f32::datum_type()) {
        return Ok(None);
    }
    let (constant, is_first) = match (&a.konst, &b.konst) {
        (None, None) => {
            let pair = map(a).zip(map(b)).filter(|(a, b)| a.channels == b.channels);
            return Ok(pair.and_then(|(a, b)| match (a == b, a.pixels() == 1 || b.pixels() == 1) {
                (true, _) if op.0.is::<Add>() => Some(Layer::Add),
                (true, _) | (_, true) if op.0.is::<Mul>() => Some(Layer::Multiply),
                _ => None,
            }));
        }
        (Some(_), None) => (a, true),
        (None, Some(_)) => (b, false),
        _ => return Ok(None),
    };
    let is_by_channel = constant
        .shape
        .as_concrete()
        .is_some_and(|shape| shape.iter().all(|side| *side == 1) || *shape == [1, input.channels, 1, 1]);
    let Some(numbers) = floats(constant)?.filter(|_| is_by_channel) else { return Ok(None) };
    let scale = |scale: &dyn Fn(f32) -> f32, shift: &dyn Fn(f32) -> f32| {
        let each = |of: &dyn Fn(f32) -> f32| match &numbers[..] {
            [number] => vec![of(*number); input.channels],
            numbers => numbers.iter().map(|number| of(*number)).collect(),
        };
        Some(Layer::Scale { scale: each(scale), shift: each(shift) })
    };
    let single = (numbers.len() == 1).then(|| numbers[0]);
    Ok(if op.0.is::<Max>() {
        single.map(|low| Layer::Clamp([low, f32::INFINITY]))
    } else if op.0.is::<Min>() {
        single.map(|high| Layer::Clamp([f32::NEG_INFINITY, high]))
    } else if op.0.is::<Add>() {
        scale(&|_| 1.0, &|x| x)
    } else if op.0.is::<Mul>() {
        scale(&|x| x, &|_| 0.0)
    } else if op.0.is::<Sub>() && is_first {
        scale(&|_| -1.0, &|x| x)
    } else if op.0.is::<Sub>() {
        scale(&|_| 1.0, &|x| -x)
    } else if op.0.is::<Div>() && !is_first && numbers.iter().all(|x| x.is_normal()) {
        scale(&|x| 1.0 / x, &|_| 0.0)
    } else {
        None
    })
}
