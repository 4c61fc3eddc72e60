//! The operator that tract runs in the place of a part of a network.

use std::fmt;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use topgraft_core::kernel::{ALIGNMENT_SLACK, Convolution, Depthwise, Kernels, Map, aligned};
use tract_core::internal::*;

use super::plan::{Band, Id, MOST_STEPS, Plan, Step, Value};

/// What a pass writes to. Kept for the next one.
struct Memory {
    floats: Vec<f32>,
    places: Vec<usize>,
    patches: Vec<f32>,
}

struct Inner {
    plan: Plan,
    kernels: Kernels,
    /// One for each thread that has ever been at work at the same time as others.
    memory: Mutex<Vec<Memory>>,
}

/// A part of a network, done on maps: `[1, channels, height, width]` in and out.
#[derive(Clone)]
pub(super) struct Maps(Arc<Inner>);

impl PartialEq for Maps {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Maps {}

impl fmt::Debug for Maps {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} steps in {} floats", self.0.plan.steps.len(), self.0.plan.floats)
    }
}

impl Maps {
    pub fn new(plan: Plan, kernels: Kernels) -> Self {
        Self(Arc::new(Inner { plan, kernels, memory: Mutex::default() }))
    }

    fn memory(&self) -> Memory {
        let kept = self.0.memory.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let Plan { floats, scratch: [places, patches], .. } = self.0.plan;
        kept.unwrap_or_else(|| Memory {
            floats: vec![0.0; floats + ALIGNMENT_SLACK],
            places: vec![0; places],
            patches: vec![0.0; patches],
        })
    }

    fn run(&self, inputs: &[TValue]) -> TractResult<TVec<TValue>> {
        let Inner { plan, kernels, .. } = &*self.0;
        let mut memory = self.memory();
        let floats = aligned(&mut memory.floats);
        for (id, input) in plan.inputs.iter().zip(inputs) {
            take_in(&plan.values[*id], input.try_as_plain_ram()?.as_slice::<f32>()?, floats);
        }
        let mut work =
            Work { kernels: *kernels, plan, floats, places: &mut memory.places, patches: &mut memory.patches };
        plan.bands.iter().for_each(|band| work.run(band));
        let outputs = plan.outputs.iter().map(|id| give_out(&plan.values[*id], floats)).collect();
        self.0.memory.lock().unwrap_or_else(PoisonError::into_inner).push(memory);
        outputs
    }
}

/// Where a value's floats are.
fn range(value: &Value) -> Range<usize> {
    value.offset..value.offset + value.map.floats()
}

/// The floats of values that do not overlap.
fn parts<'a, const N: usize>(plan: &Plan, floats: &'a mut [f32], ids: [Id; N]) -> [&'a mut [f32]; N] {
    floats.get_disjoint_mut(ids.map(|id| range(&plan.values[id]))).expect("each value has its own place")
}

/// A pass on its way.
struct Work<'a> {
    kernels: Kernels,
    plan: &'a Plan,
    floats: &'a mut [f32],
    places: &'a mut [usize],
    patches: &'a mut [f32],
}

impl Work<'_> {
    fn height(&self, step: usize) -> usize {
        self.plan.values[self.plan.steps[step].values().1].map.height
    }

    fn run(&mut self, band: &Band) {
        let (last, mut done) = (band.steps.end - 1, [0; MOST_STEPS]);
        let height = self.height(last);
        while done[last - band.steps.start] < height {
            let rows = done[last - band.steps.start].saturating_add(band.rows).min(height);
            self.advance(band, last, rows, &mut done);
        }
    }

    /// Has the first `rows` rows of a step's map made, as far as they are not.
    fn advance(&mut self, band: &Band, step: usize, rows: usize, done: &mut [usize; MOST_STEPS]) {
        let at = step - band.steps.start;
        if done[at] >= rows {
            return;
        }
        if at > 0 {
            let before = self.plan.steps[step - 1].values().1;
            let needs = self.plan.steps[step].needs(rows, &self.plan.values[before].map);
            self.advance(band, step - 1, needs, done);
        }
        self.step(step, done[at]..rows);
        done[at] = rows;
    }

    /// Makes these rows of a step's map.
    fn step(&mut self, step: usize, rows: Range<usize>) {
        let Self { kernels, plan, floats, .. } = self;
        let map = |id: &Id| plan.values[*id].map;
        match &plan.steps[step] {
            Step::Convolve { x, y, residual, window, filters, bias, bounds } => {
                let (input, output) = (map(x), map(y));
                let task = Convolution { window: *window, input, output, filters, bias, bounds: *bounds };
                let pixels = rows.start * output.width..rows.end * output.width;
                let scratch = (&mut *self.places, &mut *self.patches);
                let from = |pitch: usize| pixels.start * pitch;
                match residual {
                    // What goes in may also be what is added.
                    Some(added) if added != x => {
                        let pitch = map(added).pitch;
                        let [x, added, y] = parts(plan, floats, [*x, *added, *y]);
                        let (added, y) = (&added[from(pitch)..], &mut y[from(output.pitch)..]);
                        kernels.convolve(&task, pixels, x, Some((added, pitch)), y, scratch);
                    }
                    added => {
                        let [x, y] = parts(plan, floats, [*x, *y]);
                        let added = added.is_some().then(|| (&x[from(input.pitch)..], input.pitch));
                        kernels.convolve(&task, pixels.clone(), x, added, &mut y[from(output.pitch)..], scratch);
                    }
                }
            }
            Step::Depthwise { x, y, window, filters, bias, bounds } => {
                let (input, output) = (map(x), map(y));
                let task = Depthwise { window: *window, input, output, filters, bias, bounds: *bounds };
                let [x, y] = parts(plan, floats, [*x, *y]);
                let first = rows.start * output.width * output.pitch;
                kernels.depthwise(&task, rows, x, &mut y[first..]);
            }
            Step::Pool { x, y, pooling, window } => {
                let maps = [&map(x), &map(y)];
                let [x, y] = parts(plan, floats, [*x, *y]);
                let first = rows.start * maps[1].width * maps[1].pitch;
                kernels.pool(*pooling, window, maps, rows, x, &mut y[first..]);
            }
            // The others are in no band with more steps.
            Step::Add { x, y, bounds } => {
                let (from, to) = (map(x), map(y));
                let [x, y] = parts(plan, floats, [*x, *y]);
                for (y, x) in pixels_mut(&to, y).zip(pixels(&from, x)) {
                    kernels.add(x, *bounds, y);
                }
            }
            Step::Scale { y, scale, shift, bounds } => {
                let to = map(y);
                let [y] = parts(plan, floats, [*y]);
                pixels_mut(&to, y).for_each(|y| kernels.scale_rows(scale, shift, *bounds, y));
            }
            Step::Copy { x, y } => {
                let (from, to) = (map(x), map(y));
                let [x, y] = parts(plan, floats, [*x, *y]);
                pixels_mut(&to, y).zip(pixels(&from, x)).for_each(|(y, x)| y.copy_from_slice(x));
            }
        }
    }
}

/// The pixels of a map.
fn pixels<'a>(map: &Map, floats: &'a [f32]) -> impl Iterator<Item = &'a [f32]> {
    let channels = map.channels;
    floats.chunks(map.pitch).map(move |pixel| &pixel[..channels])
}

fn pixels_mut<'a>(map: &Map, floats: &'a mut [f32]) -> impl Iterator<Item = &'a mut [f32]> {
    let channels = map.channels;
    floats.chunks_mut(map.pitch).map(move |pixel| &mut pixel[..channels])
}

/// `[channels, height, width]` to pixels.
fn take_in(value: &Value, x: &[f32], floats: &mut [f32]) {
    let (pixels, y) = (value.map.pixels(), &mut floats[range(value)]);
    // A few channels at a time, so that what is written stays in the cache.
    for (first, planes) in x.chunks(LINE * pixels).enumerate() {
        for (at, pixel) in y.chunks_mut(value.map.pitch).enumerate() {
            let pixel = pixel[first * LINE..].iter_mut();
            pixel.zip(planes[at..].iter().step_by(pixels)).for_each(|(y, x)| *y = *x);
        }
    }
}

const LINE: usize = 16;

/// Pixels to `[1, channels, height, width]`.
fn give_out(value: &Value, floats: &[f32]) -> TractResult<TValue> {
    let Map { height, width, channels, pitch } = value.map;
    let mut y = Tensor::zero::<f32>(&[1, channels, height, width])?;
    let x = &floats[range(value)];
    let mut planes = y.try_as_plain_ram_mut()?;
    for (channel, plane) in planes.as_slice_mut::<f32>()?.chunks_exact_mut(height * width).enumerate() {
        plane.iter_mut().zip(x[channel..].iter().step_by(pitch)).for_each(|(y, x)| *y = *x);
    }
    Ok(y.into_tvalue())
}

impl Op for Maps {
    fn name(&self) -> StaticName {
        "TopgraftMaps".into()
    }

    fn info(&self) -> TractResult<Vec<String>> {
        Ok(vec![format!("{self:?}")])
    }

    fn validation(&self) -> Validation {
        Validation::Rounding
    }

    op_as_typed_op!();
}

impl EvalOp for Maps {
    op_out_of_plan!();

    fn eval(&self, _: &EvalContext, inputs: TVec<TValue>) -> TractResult<TVec<TValue>> {
        self.run(&inputs)
    }
}

impl TypedOp for Maps {
    fn output_facts(&self, _: &[&TypedFact]) -> TractResult<TVec<TypedFact>> {
        let plan = &self.0.plan;
        let fact = |id: &Id| {
            let Map { height, width, channels, .. } = plan.values[*id].map;
            f32::fact([1, channels, height, width])
        };
        Ok(plan.outputs.iter().map(fact).collect())
    }

    as_op!();
}
