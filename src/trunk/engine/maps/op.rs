//! The operator that tract runs in the place of a part of a network.

use std::fmt;
use std::ops::Range;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use rayon::ThreadPool;

use topgraft_core::kernel::{ALIGNMENT_SLACK, Convolution, Kernels, Map, aligned};
use tract_core::internal::*;

use super::plan::{Band, Id, MOST_STEPS, Plan, Step, Value};

/// Products of a step that are not worth another thread's while. In tests all are.
const LITTLE: usize = if cfg!(test) { 0 } else { 200_000 };

/// All of rayon's threads but the caller's.
static POOL: LazyLock<Option<ThreadPool>> = LazyLock::new(|| {
    let threads = rayon::current_num_threads();
    let name = |at| format!("pass-{at}");
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads - 1).thread_name(name);
    (threads > 1).then(|| pool.build().ok()).flatten()
});

/// The threads that a pass is spread over, as many as rayon has: a pool of its own, so that no pass waits for work that takes long. `None`
/// for one, and where the caller is one of several that each have a picture.
fn threads() -> Option<&'static ThreadPool> {
    POOL.as_ref().filter(|_| rayon::current_thread_index().is_none())
}

/// What convolutions need beside.
struct Scratch {
    places: Vec<usize>,
    patches: Vec<f32>,
}

/// What a pass writes to. Kept for the next one.
struct Memory {
    floats: Vec<f32>,
    scratch: Vec<Scratch>,
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
        // By this thread, not by one that yields to others: threads have the priority of the one that starts them.
        LazyLock::force(&POOL);
        Self(Arc::new(Inner { plan, kernels, memory: Mutex::default() }))
    }

    fn memory(&self, threads: usize) -> Memory {
        let kept = self.0.memory.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let Plan { floats, scratch: [places, patches], .. } = self.0.plan;
        let mut memory =
            kept.unwrap_or_else(|| Memory { floats: vec![0.0; floats + ALIGNMENT_SLACK], scratch: vec![] });
        let more = || Scratch { places: vec![0; places], patches: vec![0.0; patches] };
        memory.scratch.resize_with(threads.max(memory.scratch.len()), more);
        memory
    }

    fn run(&self, inputs: &[TValue]) -> TractResult<TVec<TValue>> {
        let Inner { plan, kernels, .. } = &*self.0;
        let threads = threads();
        let mut memory = self.memory(threads.map_or(1, |threads| threads.current_num_threads() + 1));
        let floats = aligned(&mut memory.floats);
        for (id, input) in plan.inputs.iter().zip(inputs) {
            take_in(&plan.values[*id], input.try_as_plain_ram()?.as_slice::<f32>()?, floats);
        }
        let mut work = Work { kernels: *kernels, plan, floats, scratch: &mut memory.scratch, threads };
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
    /// Of each thread.
    scratch: &'a mut [Scratch],
    threads: Option<&'static ThreadPool>,
}

impl Work<'_> {
    fn output(&self, step: usize) -> Map {
        self.plan.values[self.plan.steps[step].values().1].map
    }

    fn run(&mut self, band: &Band) {
        if self.threads.is_some() {
            // Each thread takes half of a map.
            return band.steps.clone().for_each(|step| self.step(step, 0..self.output(step).height));
        }
        let (last, mut done) = (band.steps.end - 1, [0; MOST_STEPS]);
        let height = self.output(last).height;
        for first in (0..height).step_by(band.rows) {
            self.advance(band, last, height.min(first.saturating_add(band.rows)), &mut done);
        }
        // Rows that no filter sees: somebody else may.
        band.steps.clone().for_each(|step| self.advance(band, step, self.output(step).height, &mut done));
    }

    /// Has the first `rows` rows of a step's map made, as far as they are not.
    fn advance(&mut self, band: &Band, step: usize, rows: usize, done: &mut [usize; MOST_STEPS]) {
        let at = step - band.steps.start;
        if done[at] >= rows {
            return;
        }
        if at > 0 {
            let needs = self.plan.steps[step].needs(rows, &self.output(step - 1));
            self.advance(band, step - 1, needs, done);
        }
        self.step(step, done[at]..rows);
        done[at] = rows;
    }

    /// Makes these rows of a step's map.
    fn step(&mut self, step: usize, rows: Range<usize>) {
        let (plan, output) = (self.plan, self.output(step));
        let step = &plan.steps[step];
        let (reads, y) = step.values();
        let pixels = rows.start * output.width..rows.end * output.width;
        let (x, added, y) = match reads[..] {
            // What goes in may also be what is added.
            [x, added] if added != x && added != y => {
                let [x, added, y] = parts(plan, self.floats, [x, added, y]);
                (&*x, &*added, y)
            }
            [x, ..] if x != y => {
                let [x, y] = parts(plan, self.floats, [x, y]);
                (&*x, &*x, y)
            }
            _ => {
                let [y] = parts(plan, self.floats, [y]);
                (&[][..], &[][..], y)
            }
        };
        let task = Task { kernels: self.kernels, plan, step, x, added };
        let y = &mut y[pixels.start * output.pitch..];
        match self.threads.filter(|_| step.products(plan) * pixels.len() / output.pixels() > LITTLE) {
            None => task.run(pixels, y, &mut self.scratch[0]),
            Some(threads) => {
                let unit = if matches!(step, Step::Convolve { .. }) { 1 } else { output.width };
                let each = (pixels.len() / unit).div_ceil(self.scratch.len()) * unit;
                let (mut first, end, mut y) = (pixels.start, pixels.end, y);
                threads.in_place_scope(|scope| {
                    for scratch in self.scratch.iter_mut() {
                        let part = first..end.min(first + each);
                        let (mine, rest) = y.split_at_mut(y.len().min(part.len() * output.pitch));
                        (y, first) = (rest, part.end);
                        let task = &task;
                        match part.len() {
                            0 => {}
                            // The last one is this thread's own.
                            _ if part.end == end => task.run(part, mine, scratch),
                            _ => scope.spawn(move |_| task.run(part, mine, scratch)),
                        }
                    }
                });
            }
        }
    }
}

/// Pixels of a step's map, to be made.
struct Task<'a> {
    kernels: Kernels,
    plan: &'a Plan,
    step: &'a Step,
    /// What goes in, and what is added: whole maps.
    x: &'a [f32],
    added: &'a [f32],
}

impl Task<'_> {
    /// `y` begins with the first of the pixels: whole rows, but for convolutions.
    fn run(&self, part: Range<usize>, y: &mut [f32], scratch: &mut Scratch) {
        let Self { kernels, plan, step, x, added } = self;
        let map = |id: &Id| plan.values[*id].map;
        let rows = |output: &Map| part.start / output.width..part.end / output.width;
        match step {
            Step::Convolve { x: input, y: output, residual, window, filters, bias, bounds } => {
                let (input, output) = (map(input), map(output));
                let task = Convolution { window: *window, input, output, filters, bias, bounds: *bounds };
                let residual = residual.as_ref().map(|id| (&added[part.start * map(id).pitch..], map(id).pitch));
                kernels.convolve(&task, part, x, residual, y, (&mut scratch.places, &mut scratch.patches));
            }
            Step::Depthwise { x: input, y: output, window, filters, bias, bounds } => {
                let (input, output) = (map(input), map(output));
                let task = Convolution { window: *window, input, output, filters, bias, bounds: *bounds };
                kernels.depthwise(&task, rows(&output), x, y);
            }
            Step::Pool { x: input, y: output, pooling, window } => {
                let maps = [&map(input), &map(output)];
                kernels.pool(*pooling, window, maps, rows(maps[1]), x, y);
            }
            Step::Add { x: from, y: to, bounds } => {
                let (from, to) = (map(from), map(to));
                for (at, y) in runs(to, from.pitch == to.pitch, &part, y) {
                    kernels.add(&x[at * from.pitch..][..y.len()], *bounds, y);
                }
            }
            Step::Multiply { x: from, y: to } => {
                let (from, to) = (map(from), map(to));
                let is_one = from.pixels() == 1;
                for (at, y) in runs(to, from.pitch == to.pitch && !is_one, &part, y) {
                    let at = if is_one { 0 } else { at * from.pitch };
                    kernels.multiply(&x[at..][..y.len()], y);
                }
            }
            Step::Bend { y: to, curve } => {
                runs(map(to), true, &part, y).for_each(|(_, y)| kernels.bend(*curve, y));
            }
            Step::Scale { y: to, scale, shift, bounds } => {
                runs(map(to), true, &part, y).for_each(|(_, y)| kernels.scale_rows(scale, shift, *bounds, y));
            }
            Step::Copy { x: from, y: to } => {
                let x = pixels(map(from), &x[part.start * map(from).pitch..]);
                pixels_mut(map(to), y).zip(x).take(part.len()).for_each(|(y, x)| y.copy_from_slice(x));
            }
        }
    }
}

/// The floats of the pixels `part` of a map, `y` begins with the first, and the number of the pixel that each run begins with: one by one, or all
/// together where nothing is between them and `may_join`.
fn runs<'a>(
    map: Map,
    may_join: bool,
    part: &Range<usize>,
    y: &'a mut [f32],
) -> impl Iterator<Item = (usize, &'a mut [f32])> + use<'a> {
    let each = if may_join && map.pitch == map.channels { part.len() } else { 1 };
    let (first, floats) = (part.start, (each - 1) * map.pitch + map.channels);
    let runs = y.chunks_mut(each * map.pitch).take(part.len() / each).enumerate();
    runs.map(move |(at, run)| (first + at * each, &mut run[..floats]))
}

/// The pixels of a map.
fn pixels(map: Map, floats: &[f32]) -> impl Iterator<Item = &[f32]> {
    let channels = map.channels;
    floats.chunks(map.pitch).map(move |pixel| &pixel[..channels])
}

fn pixels_mut(map: Map, floats: &mut [f32]) -> impl Iterator<Item = &mut [f32]> {
    let channels = map.channels;
    floats.chunks_mut(map.pitch).map(move |pixel| &mut pixel[..channels])
}

/// `[channels, height, width]` to pixels.
fn take_in(value: &Value, x: &[f32], floats: &mut [f32]) {
    let Map { channels, pitch, .. } = value.map;
    let (pixels, y) = (value.map.pixels(), &mut floats[range(value)]);
    // Some pixels at a time, so that what is written stays in the cache.
    let most = (4096 / channels).max(16);
    for (at, y) in y.chunks_mut(most * pitch).enumerate() {
        for (channel, plane) in x.chunks_exact(pixels).enumerate() {
            y[channel..].iter_mut().step_by(pitch).zip(&plane[at * most..]).for_each(|(y, x)| *y = *x);
        }
    }
}

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
