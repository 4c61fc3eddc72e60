//! Limited-memory BFGS with a preconditioner, for smooth convex functions (Liu & Nocedal 1989, "On the limited memory BFGS
//! method for large scale optimization").

use crate::kernel::Kernels;
use crate::math;

/// The most pairs of steps and gradient changes that are kept.
const MAX_HISTORY: usize = 10;
/// The fewest: below, the curvature that is left is worth less than it costs.
const MIN_HISTORY: usize = 4;
/// Floats that the pairs may take up before fewer are kept: 4 MB.
const HISTORY_FLOATS: usize = 1 << 20;
/// Steps whose gain tells what is left to gain,
const WINDOW: usize = 3;
/// A preconditioner serves so many iterations at least,
const RENEW_AFTER: u32 = 10;
/// and until the function has fallen to this share of what it was then.
const RENEW_BELOW: f64 = 0.8;

/// A function to be minimised, in a space that has its own inner product.
pub(super) trait Problem {
    /// Value at `x`, and the gradient there, as the inner product has it.
    fn evaluate(&mut self, x: &[f32], gradient: &mut [f32]) -> f64;

    /// Inner product of any vector with one that is no gradient: a point, a step, or what [`precondition`](Self::precondition)
    /// has left. Only those need to know more of themselves than a gradient does.
    fn inner(&self, any: &[f32], vector: &[f32]) -> f64;

    /// Makes the preconditioner that suits `x`, the point that was evaluated last.
    fn renew(&mut self, x: &[f32]);

    /// Whether the preconditioner is cheap, and rough enough, to be measured after each step and scaled by what it is off.
    const RESCALE: bool;

    /// Multiplies a gradient with an approximate inverse of the Hessian. If there is none it is false, and the vector the same,
    /// but with what a gradient lacks.
    fn precondition(&mut self, vector: &mut [f32]) -> bool;
}

/// When to stop.
#[derive(Clone, Copy)]
pub(super) struct Limits {
    /// Share of the value that further steps would gain.
    pub tolerance: f64,
    /// Steps.
    pub max_iterations: u32,
}

/// Where it stopped.
#[derive(Clone, Copy)]
pub(super) struct Minimum {
    /// Value there.
    pub value: f64,
    /// Estimate of what is left to gain: half of the Newton decrement, or the gain of the last steps if that is more.
    pub gap: f64,
    /// Steps.
    pub iterations: u32,
    /// Evaluations.
    pub evaluations: u32,
    /// Whether `gap <= tolerance * value`.
    pub converged: bool,
}

/// Pairs that are kept for vectors of length `dim`.
const fn history_len(dim: usize) -> usize {
    // `clamp` and `map_or` are not const yet.
    match (HISTORY_FLOATS / 2).checked_div(dim) {
        Some(fit) if fit < MIN_HISTORY => MIN_HISTORY,
        Some(fit) if fit < MAX_HISTORY => fit,
        _ => MAX_HISTORY,
    }
}

/// Floats of scratch for vectors of length `dim`; `None` where that overflows.
pub(super) const fn scratch_len(dim: usize) -> Option<usize> {
    dim.checked_mul(2 * history_len(dim) + 2)
}

/// Goes from `x` to the minimum. `scratch` has [`scratch_len`] floats of any content.
pub(super) fn minimise(
    kernels: Kernels,
    problem: &mut impl Problem,
    limits: Limits,
    x: &mut [f32],
    scratch: &mut [f32],
) -> Minimum {
    let (gradient, rest) = scratch.split_at_mut(x.len());
    let (direction, rest) = rest.split_at_mut(x.len());
    let mut history = History::new(rest, x.len());
    let mut value = problem.evaluate(x, gradient);
    let (mut iterations, mut evaluations, mut stalled) = (0, 1, 0);
    // Values of the last steps, newest first: what they gained tells what is left.
    let mut recent = [f64::INFINITY; WINDOW];
    let mut renewed: Option<(u32, f64)> = None;
    loop {
        let stale = match renewed {
            None => true,
            Some((at, was)) => iterations - at >= RENEW_AFTER && value < RENEW_BELOW * was,
        };
        if stale {
            problem.renew(x);
            renewed = Some((iterations, value));
        }
        let mut slope = history.direction(kernels, problem, gradient, direction);
        if slope >= 0.0 && !history.is_empty() {
            // Rounding has spoilt the history.
            history.clear();
            slope = history.direction(kernels, problem, gradient, direction);
        }
        let gap = (-0.5 * slope).max(recent[WINDOW - 1] - value);
        let converged = gap <= limits.tolerance * value || slope == 0.0;
        if converged || iterations == limits.max_iterations || stalled == 5 || slope.is_nan() {
            return Minimum { value, gap, iterations, evaluations, converged };
        }
        let (old_x, old_gradient) = history.next_slot();
        old_x.copy_from_slice(x);
        old_gradient.copy_from_slice(gradient);
        let mut search = LineSearch::new(value, slope);
        let found = loop {
            x.copy_from_slice(old_x);
            kernels.axpy(search.step as f32, direction, x);
            let new_value = problem.evaluate(x, gradient);
            evaluations += 1;
            match search.next(new_value, problem.inner(gradient, direction)) {
                Verdict::Accept => break Some(new_value),
                Verdict::TryAgain => {}
                Verdict::GiveUp => break None,
            }
        };
        iterations += 1;
        let Some(new_value) = found else {
            x.copy_from_slice(old_x);
            gradient.copy_from_slice(old_gradient);
            if history.is_empty() {
                // Not even the first direction gets further: this is as exact as f32 gets.
                return Minimum { value, gap, iterations, evaluations, converged: false };
            }
            history.clear();
            continue;
        };
        stalled = if value - new_value <= 1e-9 * value { stalled + 1 } else { 0 };
        recent.copy_within(..WINDOW - 1, 1);
        recent[0] = value;
        value = new_value;
        history.push(problem, x, gradient, direction);
    }
}

/// What a line search says of a step.
enum Verdict {
    Accept,
    TryAgain,
    GiveUp,
}

/// Finds a step along a descent direction where the function has fallen and the slope has flattened (Wolfe's conditions),
/// driven by the slope: a convex function needs no exact values.
struct LineSearch {
    /// The step to try.
    step: f64,
    start_value: f64,
    start_slope: f64,
    /// The longest step known to be too short, and the slope there.
    low: (f64, f64),
    /// The shortest step known to be too long, and the slope there.
    high: Option<(f64, f64)>,
    tries: u32,
}

impl LineSearch {
    fn new(start_value: f64, start_slope: f64) -> Self {
        Self { step: 1.0, start_value, start_slope, low: (0.0, start_slope), high: None, tries: 0 }
    }

    /// Judges the value and the slope at `step`, and sets the next step to try.
    fn next(&mut self, value: f64, slope: f64) -> Verdict {
        self.tries += 1;
        // A convex function whose slope is still negative has fallen: no need to compare values, which carry rounding.
        let enough = self.start_value + 1e-4 * self.step * self.start_slope + 1e-7 * self.start_value.abs();
        let has_fallen = slope <= 0.0 || value <= enough;
        if has_fallen && slope >= 0.9 * self.start_slope {
            return Verdict::Accept;
        }
        if self.tries == 25 {
            return Verdict::GiveUp;
        }
        if has_fallen && slope < 0.0 {
            self.low = (self.step, slope);
        } else {
            // A NaN, from overflow, ends here too.
            self.high = Some((self.step, slope));
        }
        let (low, low_slope) = self.low;
        self.step = match self.high {
            None => 4.0 * self.step,
            // Where the slope would be zero, were it linear; kept away from both ends.
            Some((high, high_slope)) => {
                let share = low_slope / (low_slope - high_slope);
                let share = if share.is_finite() { share.clamp(0.1, 0.9) } else { 0.1 };
                low + (high - low) * share
            }
        };
        Verdict::TryAgain
    }
}

/// The last steps `s` and gradient changes `y`, in a ring.
struct History<'a> {
    steps: &'a mut [f32],
    changes: &'a mut [f32],
    /// `1 / <s, y>` of each pair.
    rho: [f64; MAX_HISTORY],
    /// `<s, s> / <s, y>` of the newest pair: the scale of the inverse Hessian, where nothing better is known.
    scale: f64,
    /// `<s, y> / <y, M y>` of the newest pair, M the preconditioner: what that is off by.
    correction: f32,
    capacity: usize,
    len: usize,
    next: usize,
    dim: usize,
}

impl<'a> History<'a> {
    fn new(buffer: &'a mut [f32], dim: usize) -> Self {
        let capacity = history_len(dim);
        let (steps, changes) = buffer[..2 * capacity * dim].split_at_mut(capacity * dim);
        Self { steps, changes, rho: [0.0; MAX_HISTORY], scale: 1.0, correction: 1.0, capacity, len: 0, next: 0, dim }
    }

    fn is_empty(&self) -> bool {
        self.len == 0
    }

    fn clear(&mut self) {
        (self.len, self.next, self.scale, self.correction) = (0, 0, 1.0, 1.0);
    }

    /// The pair that the next [`push`](Self::push) makes its own, for the point and the gradient before the step. The oldest
    /// pair gives way.
    fn next_slot(&mut self) -> (&mut [f32], &mut [f32]) {
        self.len = self.len.min(self.capacity - 1);
        let range = self.next * self.dim..(self.next + 1) * self.dim;
        (&mut self.steps[range.clone()], &mut self.changes[range])
    }

    /// Turns what is in the next slot into `x - old x` and `gradient - old gradient`, and keeps them, unless rounding has
    /// taken their curvature.
    fn push<P: Problem>(&mut self, problem: &mut P, x: &[f32], gradient: &[f32], scratch: &mut [f32]) {
        let range = self.next * self.dim..(self.next + 1) * self.dim;
        let (step, change) = (&mut self.steps[range.clone()], &mut self.changes[range]);
        step.iter_mut().zip(x).for_each(|(old, new)| *old = new - *old);
        change.iter_mut().zip(gradient).for_each(|(old, new)| *old = new - *old);
        let (sy, ss) = (problem.inner(change, step), problem.inner(step, step));
        if sy <= 0.0 || sy.is_nan() {
            return;
        }
        self.rho[self.next] = 1.0 / sy;
        self.scale = ss / sy;
        self.correction = 1.0;
        if P::RESCALE {
            scratch.copy_from_slice(change);
            if problem.precondition(scratch) {
                self.correction = (sy / problem.inner(change, scratch)) as f32;
            }
        }
        self.next = (self.next + 1) % self.capacity;
        self.len += 1;
    }

    /// Slots, newest first.
    fn newest_first(&self) -> impl DoubleEndedIterator<Item = usize> + use<> {
        let (next, capacity) = (self.next, self.capacity);
        (1..=self.len).map(move |age| (next + capacity - age) % capacity)
    }

    /// `direction = -H gradient`, H the inverse Hessian as far as the pairs and the preconditioner tell (two-loop
    /// recursion); returns the slope along it.
    fn direction(&self, kernels: Kernels, problem: &mut impl Problem, gradient: &[f32], direction: &mut [f32]) -> f64 {
        let pair = |slot: usize| {
            let range = slot * self.dim..(slot + 1) * self.dim;
            (&self.steps[range.clone()], &self.changes[range])
        };
        direction.iter_mut().zip(gradient).for_each(|(d, g)| *d = -g);
        let mut alpha = [0.0; MAX_HISTORY];
        for slot in self.newest_first() {
            let (step, change) = pair(slot);
            alpha[slot] = self.rho[slot] * problem.inner(direction, step);
            kernels.axpy(-alpha[slot] as f32, change, direction);
        }
        let scale = match problem.precondition(direction) {
            true => self.correction,
            false if self.is_empty() => 1.0 / math::sqrt(problem.inner(direction, direction) as f32).max(1.0),
            false => self.scale as f32,
        };
        if scale != 1.0 {
            direction.iter_mut().for_each(|d| *d *= scale);
        }
        for slot in self.newest_first().rev() {
            let (step, change) = pair(slot);
            let beta = self.rho[slot] * problem.inner(change, direction);
            kernels.axpy((alpha[slot] - beta) as f32, step, direction);
        }
        problem.inner(gradient, direction)
    }
}
