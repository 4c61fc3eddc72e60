//! The steps of a part of a network, one behind the other, and where in one block of memory each map is.

use std::collections::BTreeMap;
use std::ops::Range;

use topgraft_core::kernel::{Convolution, Curve, Map, Pooling, Window, pack_filters, packed_filters};
use tract_core::internal::*;

use super::layer::{Covered, Layer};

/// Nothing is cut off.
const UNBOUNDED: [f32; 2] = [f32::NEG_INFINITY, f32::INFINITY];
/// Floats of the maps within a band, 256 KB: a part of a second-level cache. In tests a few, so that there are several bands.
const BAND: usize = if cfg!(test) { 64 } else { 64 * 1024 };
/// Maps begin at a multiple of so many floats, a cache line.
const LINE: usize = 16;

/// A map within a buffer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Value {
    pub map: Map,
    buffer: usize,
    /// Of its first float: in the buffer, and then in the whole.
    pub offset: usize,
}

/// Index of a [`Value`].
pub(super) type Id = usize;

/// One kernel's work.
#[derive(Debug)]
pub(super) enum Step {
    /// `filters` are packed, at the end: empty before.
    Convolve {
        x: Id,
        y: Id,
        residual: Option<Id>,
        window: Window,
        filters: Vec<f32>,
        bias: Vec<f32>,
        bounds: [f32; 2],
    },
    /// `filters [taps, channels]`
    Depthwise {
        x: Id,
        y: Id,
        window: Window,
        filters: Vec<f32>,
        bias: Vec<f32>,
        bounds: [f32; 2],
    },
    Pool {
        x: Id,
        y: Id,
        pooling: Pooling,
        window: Window,
    },
    /// `y += x`
    Add {
        x: Id,
        y: Id,
        bounds: [f32; 2],
    },
    /// `y *= x`, which is of the same shape, or one pixel.
    Multiply {
        x: Id,
        y: Id,
    },
    /// `y = curve(y)`
    Bend {
        y: Id,
        curve: Curve,
    },
    /// `y = y * scale + shift`
    Scale {
        y: Id,
        scale: Vec<f32>,
        shift: Vec<f32>,
        bounds: [f32; 2],
    },
    Copy {
        x: Id,
        y: Id,
    },
}

impl Step {
    /// The values that it reads, and the one that it writes.
    pub fn values(&self) -> (TVec<Id>, Id) {
        match self {
            Step::Convolve { x, y, residual, .. } => (std::iter::once(*x).chain(*residual).collect(), *y),
            Step::Depthwise { x, y, .. } | Step::Pool { x, y, .. } | Step::Copy { x, y } => (tvec!(*x), *y),
            Step::Add { x, y, .. } | Step::Multiply { x, y } => (tvec!(*x, *y), *y),
            Step::Scale { y, .. } | Step::Bend { y, .. } => (tvec!(*y), *y),
        }
    }

    /// Products of numbers that it takes, about.
    pub fn products(&self, plan: &Plan) -> usize {
        let output = plan.values[self.values().1].map.floats();
        match self {
            Step::Convolve { x, window, .. } => output * window.taps() * plan.values[*x].map.channels,
            Step::Depthwise { window, .. } | Step::Pool { window, .. } => output * window.taps(),
            _ => output,
        }
    }

    /// Rows of `input` that are needed for the first `rows` rows of what it writes.
    pub fn needs(&self, rows: usize, input: &Map) -> usize {
        match self {
            Step::Convolve { window, .. } | Step::Depthwise { window, .. } | Step::Pool { window, .. } => {
                let reach = (rows.max(1) - 1) * window.stride[0] + (window.size[0] - 1) * window.dilation[0] + 1;
                reach.saturating_sub(window.before[0]).min(input.height)
            }
            _ => rows,
        }
    }

    /// The bounds of what it writes, which more may be added to.
    fn bounds(&mut self) -> Option<&mut [f32; 2]> {
        match self {
            Step::Convolve { bounds, .. }
            | Step::Depthwise { bounds, .. }
            | Step::Add { bounds, .. }
            | Step::Scale { bounds, .. } => Some(bounds),
            Step::Pool { .. } | Step::Copy { .. } | Step::Multiply { .. } | Step::Bend { .. } => None,
        }
    }
}

/// The most steps of a band.
pub(super) const MOST_STEPS: usize = 3;

/// Steps of which each reads what the one before makes, [`MOST_STEPS`] at most.
#[derive(Clone, Debug)]
pub(super) struct Band {
    pub steps: Range<usize>,
    /// Rows of the last step's map at a time.
    pub rows: usize,
}

/// What is to be done, in this order.
#[derive(Debug)]
pub(super) struct Plan {
    pub values: Vec<Value>,
    pub steps: Vec<Step>,
    /// What goes in, and what comes out, in the order of the operator's inputs and outputs.
    pub inputs: Vec<Id>,
    pub outputs: Vec<Id>,
    /// Steps that take turns, a few rows at a time, so that what one makes is in the cache for the next.
    pub bands: Vec<Band>,
    /// Floats of the block of memory, and what convolutions need beside: places and floats.
    pub floats: usize,
    pub scratch: [usize; 2],
}

impl Plan {
    /// Of nodes in an order in which they can run; `inputs` are maps that others make, `outputs` those that others need.
    pub fn new(
        model: &TypedModel,
        nodes: Vec<(usize, Covered)>,
        inputs: &[OutletId],
        outputs: &[OutletId],
    ) -> TractResult<Self> {
        let mut builder = Builder {
            model,
            outputs,
            values: vec![],
            buffers: vec![],
            steps: vec![],
            filters: BTreeMap::new(),
            places: BTreeMap::new(),
        };
        for input in inputs {
            let map = super::layer::map(model.outlet_fact(*input)?).context("an input that is no map")?;
            let id = builder.value(map);
            builder.places.insert(*input, id);
        }
        for (node, covered) in nodes {
            let id = builder.add(covered);
            builder.places.insert(node.into(), id);
        }
        let ids = |outlets: &[OutletId]| outlets.iter().map(|outlet| builder.places[outlet]).collect::<Vec<_>>();
        let (inputs, outputs) = (ids(inputs), ids(outputs));
        let Builder { mut values, buffers, mut steps, filters: mut raw, .. } = builder;
        let bands = bands(&values, &steps);
        let floats = lay_out(&mut values, &buffers, (&steps, &bands), &inputs, &outputs);
        let mut scratch = [0; 2];
        for (at, step) in steps.iter_mut().enumerate() {
            if let Step::Convolve { x, y, window, filters, bias, bounds, .. } = step {
                let (input, output) = (values[*x].map, values[*y].map);
                let shape = [output.channels, input.channels, window.taps()];
                let (raw, scales) = raw.remove(&at).context("filters of a convolution")?;
                *filters = pack(shape, raw.try_as_plain_ram()?.as_slice::<f32>()?, &scales);
                let task = Convolution { window: *window, input, output, filters, bias, bounds: *bounds };
                scratch = [0, 1].map(|i| scratch[i].max(task.scratch()[i]));
            }
        }
        Ok(Self { values, steps, inputs, outputs, bands, floats, scratch })
    }
}

/// The filters as the kernel reads them, each output times its scale.
fn pack(shape: [usize; 3], filters: &[f32], scales: &[f32]) -> Vec<f32> {
    let mut packed = vec![0.0; packed_filters(shape)];
    if scales.iter().all(|scale| *scale == 1.0) {
        pack_filters(shape, filters, &mut packed);
    } else {
        let row = shape[1] * shape[2];
        let rows = filters.chunks_exact(row).zip(scales);
        let scaled: Vec<f32> = rows.flat_map(|(row, scale)| row.iter().map(move |x| x * scale)).collect();
        pack_filters(shape, &scaled, &mut packed);
    }
    packed
}

/// Makes steps of layers, and one of two where that can be.
struct Builder<'a> {
    model: &'a TypedModel,
    outputs: &'a [OutletId],
    values: Vec<Value>,
    /// Floats of each.
    buffers: Vec<usize>,
    steps: Vec<Step>,
    /// Of convolutions, by their step: `[outputs, inputs, taps]` as in the file, and what each output is multiplied by.
    filters: BTreeMap<usize, (Arc<Tensor>, Vec<f32>)>,
    places: BTreeMap<OutletId, Id>,
}

impl Builder<'_> {
    fn value(&mut self, map: Map) -> Id {
        self.buffers.push(map.floats());
        self.values.push(Value { map, buffer: self.buffers.len() - 1, offset: 0 });
        self.values.len() - 1
    }

    /// Whether nobody else reads it.
    fn is_single(&self, outlet: OutletId) -> bool {
        self.model.node(outlet.node).outputs[outlet.slot].successors.len() == 1 && !self.outputs.contains(&outlet)
    }

    /// The step that wrote a value last.
    fn writer(&self, id: Id) -> Option<usize> {
        self.steps.iter().rposition(|step| step.values().1 == id)
    }

    /// The step after which all of the buffer of a value is there.
    fn filled(&self, id: Id) -> usize {
        let is_into = |step: &Step| self.values[step.values().1].buffer == self.values[id].buffer;
        self.steps.iter().rposition(is_into).map_or(0, |step| step + 1)
    }

    /// The value to be changed: the same if nobody else reads it, or a copy.
    fn own(&mut self, outlet: OutletId) -> Id {
        let x = self.places[&outlet];
        if self.is_single(outlet) {
            return x;
        }
        let y = self.value(Map { pitch: self.values[x].map.channels, ..self.values[x].map });
        self.steps.push(Step::Copy { x, y });
        y
    }

    fn add(&mut self, covered: Covered) -> Id {
        let Covered { layer, inputs, output } = covered;
        let x = self.places[&inputs[0]];
        match layer {
            Layer::Convolve { window, filters, bias } => {
                let y = self.value(output);
                self.filters.insert(self.steps.len(), (filters, vec![1.0; bias.len()]));
                let (filters, bounds) = (vec![], UNBOUNDED);
                self.steps.push(Step::Convolve { x, y, residual: None, window, filters, bias, bounds });
                y
            }
            Layer::Depthwise { window, filters, bias } => {
                let y = self.value(output);
                let (taps, channels) = (window.taps(), output.channels);
                let filters = (0..taps * channels).map(|i| filters[i % channels * taps + i / channels]).collect();
                self.steps.push(Step::Depthwise { x, y, window, filters, bias, bounds: UNBOUNDED });
                y
            }
            Layer::Pool { pooling, window } => {
                let y = self.value(output);
                self.steps.push(Step::Pool { x, y, pooling, window });
                y
            }
            Layer::Clamp([low, high]) => {
                let writer = self.writer(x).filter(|_| self.is_single(inputs[0]));
                if let Some(bounds) = writer.and_then(|step| self.steps[step].bounds()) {
                    // Never the other way round, whatever the file says.
                    *bounds = bounds.map(|bound| bound.max(low).min(high));
                    return x;
                }
                let y = self.own(inputs[0]);
                let ones = vec![1.0; output.channels];
                let shift = vec![0.0; output.channels];
                self.steps.push(Step::Scale { y, scale: ones, shift, bounds: [low, high] });
                y
            }
            Layer::Scale { scale, shift } => {
                let writer = self.writer(x).filter(|_| self.is_single(inputs[0]));
                if writer.is_some_and(|step| self.fold(step, &scale, &shift)) {
                    return x;
                }
                let y = self.own(inputs[0]);
                self.steps.push(Step::Scale { y, scale, shift, bounds: UNBOUNDED });
                y
            }
            Layer::Add => self.sum(inputs[0], inputs[1]),
            Layer::Multiply if inputs[0] == inputs[1] => {
                // Squared: what is read is not what is written.
                let y = self.value(output);
                self.steps.push(Step::Copy { x, y });
                self.steps.push(Step::Multiply { x, y });
                y
            }
            Layer::Multiply => {
                let (y, x) = (self.own(inputs[0]), self.places[&inputs[1]]);
                self.steps.push(Step::Multiply { x, y });
                y
            }
            Layer::Bend(curve) => {
                let y = self.own(inputs[0]);
                self.steps.push(Step::Bend { y, curve });
                y
            }
            Layer::Concat => self.concat(&inputs, output),
        }
    }

    /// Whether `scale` and `shift` could be made part of the convolution that comes before.
    fn fold(&mut self, step: usize, scale: &[f32], shift: &[f32]) -> bool {
        match &mut self.steps[step] {
            Step::Convolve { residual: None, bias, bounds: UNBOUNDED, .. } => {
                let (_, scales) = self.filters.get_mut(&step).expect("of each convolution");
                scales.iter_mut().zip(scale).for_each(|(x, scale)| *x *= scale);
                bias.iter_mut().zip(scale).zip(shift).for_each(|((b, scale), shift)| *b = *b * scale + shift);
                true
            }
            Step::Depthwise { filters, bias, bounds: UNBOUNDED, .. } => {
                let row = bias.len();
                filters
                    .chunks_exact_mut(row)
                    .for_each(|row| row.iter_mut().zip(scale).for_each(|(x, scale)| *x *= scale));
                bias.iter_mut().zip(scale).zip(shift).for_each(|((b, scale), shift)| *b = *b * scale + shift);
                true
            }
            _ => false,
        }
    }

    fn sum(&mut self, a: OutletId, b: OutletId) -> Id {
        // The convolution that makes one of them adds the other, if that is there before.
        for (made, other) in [(a, b), (b, a)] {
            let Some(step) = self.writer(self.places[&made]).filter(|_| self.is_single(made) && a != b) else {
                continue;
            };
            let id = self.places[&other];
            let is_there = self.filled(id) <= step;
            if let (true, Step::Convolve { y, residual: residual @ None, bounds: UNBOUNDED, .. }) =
                (is_there, &mut self.steps[step])
            {
                *residual = Some(id);
                return *y;
            }
        }
        let (kept, other) = if self.is_single(a) || !self.is_single(b) { (a, b) } else { (b, a) };
        let x = self.places[&other];
        let y = self.own(kept);
        self.steps.push(Step::Add { x, y, bounds: UNBOUNDED });
        y
    }

    /// Who makes a part writes it where it belongs, if nobody else reads it.
    fn concat(&mut self, inputs: &[OutletId], output: Map) -> Id {
        let y = self.value(output);
        let Value { buffer, .. } = self.values[y];
        let mut offset = 0;
        for input in inputs {
            let id = self.places[input];
            let part = self.values[id].map;
            let within = Value { map: Map { pitch: output.pitch, ..part }, buffer, offset };
            let is_whole = self.values.iter().filter(|value| value.buffer == self.values[id].buffer).count() == 1;
            if self.is_single(*input) && is_whole {
                self.values[id] = within;
            } else {
                self.values.push(within);
                self.steps.push(Step::Copy { x: id, y: self.values.len() - 1 });
            }
            offset += part.channels;
        }
        y
    }
}

/// Widens, works on each channel, narrows: what MobileNet's blocks do, as far as it is there.
fn bands(values: &[Value], steps: &[Step]) -> Vec<Band> {
    let mut bands: Vec<Band> = vec![];
    for (at, step) in steps.iter().enumerate() {
        let joins = bands.last().is_some_and(|band| {
            let (last, buffer) = (&steps[at - 1], |id: &Id| values[*id].buffer);
            match (last, step) {
                (Step::Convolve { y, .. }, Step::Depthwise { x, .. }) => x == y && band.steps.len() == 1,
                (Step::Depthwise { y, .. }, Step::Convolve { x, residual, window, .. }) => {
                    let is_there = residual.is_none_or(|added| {
                        steps[band.steps.clone()].iter().all(|step| buffer(&step.values().1) != buffer(&added))
                    });
                    x == y && is_there && window.taps() == 1
                }
                _ => false,
            }
        });
        match bands.last_mut().filter(|_| joins) {
            Some(band) => band.steps.end += 1,
            None => bands.push(Band { steps: at..at + 1, rows: 1 }),
        }
    }
    for band in &mut bands {
        // Rows of the maps between, for a row of the last.
        let height = |step: &Step| values[step.values().1].map.height;
        let last = height(&steps[band.steps.end - 1]).max(1);
        let between = steps[band.steps.start..band.steps.end - 1].iter();
        let floats: usize = between.map(|step| values[step.values().1].map.floats() / last).sum();
        band.rows = if band.steps.len() == 1 { last } else { (BAND / floats.max(1)).clamp(1, last) };
    }
    bands
}

/// Gives each buffer its place: two share one if the first is read for the last time in an earlier band than the second is written in. The
/// largest first, each as far to the front as it goes. Gives the floats of all.
fn lay_out(
    values: &mut [Value],
    buffers: &[usize],
    (steps, bands): (&[Step], &[Band]),
    inputs: &[Id],
    outputs: &[Id],
) -> usize {
    let mut lives = vec![[usize::MAX, 0]; buffers.len()];
    let mut touch = |id: Id, when: usize| {
        let life = &mut lives[values[id].buffer];
        *life = [life[0].min(when), life[1].max(when)];
    };
    inputs.iter().for_each(|id| touch(*id, 0));
    for (at, band) in bands.iter().enumerate() {
        for step in &steps[band.steps.clone()] {
            let (reads, write) = step.values();
            reads.into_iter().chain([write]).for_each(|id| touch(id, at + 1));
        }
    }
    outputs.iter().for_each(|id| touch(*id, bands.len() + 1));
    let mut order: Vec<usize> = (0..buffers.len()).filter(|buffer| lives[*buffer][0] != usize::MAX).collect();
    order.sort_by_key(|buffer| std::cmp::Reverse(buffers[*buffer]));
    let mut placed: Vec<(usize, usize)> = vec![];
    for buffer in order {
        let floats = buffers[buffer].next_multiple_of(LINE);
        let meets = |other: usize| lives[other][0] <= lives[buffer][1] && lives[buffer][0] <= lives[other][1];
        let mut taken: Vec<[usize; 2]> = placed
            .iter()
            .filter(|(other, _)| meets(*other))
            .map(|(other, at)| [*at, at + buffers[*other].next_multiple_of(LINE)])
            .collect();
        taken.sort_unstable();
        let at = taken.iter().fold(0, |at, [from, to]| if at + floats <= *from { at } else { at.max(*to) });
        placed.push((buffer, at));
    }
    for value in values.iter_mut() {
        if let Some((_, at)) = placed.iter().find(|(buffer, _)| *buffer == value.buffer) {
            value.offset += at;
        }
    }
    placed.iter().map(|(buffer, at)| at + buffers[*buffer].next_multiple_of(LINE)).max().unwrap_or(0)
}
