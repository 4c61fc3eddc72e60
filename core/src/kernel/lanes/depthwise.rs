//! Convolutions of each channel by itself: vectors along the channels, some pixels of a row at a time.

use core::ops::Range;

use super::Register;
use super::maps::{DEPTH, ZEROS};
use crate::kernel::maps::Convolution;

/// Rows of a depthwise convolution, seven pixels at a time.
///
/// # Safety
/// The CPU has the instruction set of `V`, and the slices are as `Kernels::depthwise` has checked.
#[inline(always)]
pub(in crate::kernel) unsafe fn depthwise<V: Register>(
    task: &Convolution<'_>,
    rows: Range<usize>,
    x: &[f32],
    y: &mut [f32],
) {
    let (width, pitch) = (task.output.width, task.output.pitch);
    let is_dense = task.window.dilation == [1; 2];
    for row in rows.clone() {
        for channel in (0..task.output.channels).step_by(DEPTH) {
            let channels = DEPTH.min(task.output.channels - channel);
            let mut column = 0;
            while column < width {
                let y = y.as_mut_ptr().wrapping_add(((row - rows.start) * width + column) * pitch + channel);
                let (place, span) = ([row, column], (channel, channels));
                // SAFETY: the caller's promise: pixels and channels are there.
                column += unsafe {
                    match (task.window.size, task.window.stride[1]) {
                        ([3, 3], 1) if is_dense => pixels::<V, 3, 9, 6>(task, place, span, x, y),
                        ([3, 3], 2) if is_dense => pixels::<V, 3, 15, 9>(task, place, span, x, y),
                        ([5, 5], 1) if is_dense => pixels::<V, 5, 11, 8>(task, place, span, x, y),
                        ([5, 5], 2) if is_dense => pixels::<V, 5, 17, 11>(task, place, span, x, y),
                        _ => pixel::<V>(task, place, span, x, y),
                    }
                };
            }
        }
    }
}

/// Seven pixels of a filter of `K` x `K` taps, which see `C7` columns, or four, which see `C4`, or one; gives how many.
///
/// # Safety
/// As [`run`], for those that are there.
#[inline(always)]
unsafe fn pixels<V: Register, const K: usize, const C7: usize, const C4: usize>(
    task: &Convolution<'_>,
    place: [usize; 2],
    span: (usize, usize),
    x: &[f32],
    y: *mut f32,
) -> usize {
    // SAFETY: the caller's promise.
    unsafe {
        match task.output.width - place[1] {
            7.. => run::<V, K, 7, C7>(task, place, span, x, y),
            4.. => run::<V, K, 4, C4>(task, place, span, x, y),
            _ => run::<V, K, 1, K>(task, place, span, x, y),
        }
    }
}

/// `P` pixels of a filter of `K` x `K` taps, which see `C` columns; gives `P`.
///
/// # Safety
/// The CPU has the instruction set; the pixels and their channels are there, `DEPTH` at most.
#[inline(always)]
unsafe fn run<V: Register, const K: usize, const P: usize, const C: usize>(
    task: &Convolution<'_>,
    place: [usize; 2],
    (first, channels): (usize, usize),
    x: &[f32],
    y: *mut f32,
) -> usize {
    let Convolution { window, input, output, .. } = task;
    let stride = if P == 1 { 1 } else { (C - K) / (P - 1) };
    let before = |axis: usize| (place[axis] * window.stride[axis]).wrapping_sub(window.before[axis]);
    let (top, left) = (before(0), before(1));
    let is_within = left < input.width && input.width - left >= C;
    // SAFETY: the caller's promise; rows and columns outside of the map are not read.
    unsafe {
        let x: [[*const f32; C]; K] = core::array::from_fn(|down| {
            let row = top.wrapping_add(down);
            let at = |column: usize| x.as_ptr().wrapping_add((row * input.width + column) * input.pitch + first);
            if row >= input.height {
                [ZEROS.as_ptr(); C]
            } else if is_within {
                let at = at(left);
                core::array::from_fn(|column| at.wrapping_add(column * input.pitch))
            } else {
                core::array::from_fn(|across| match left.wrapping_add(across) {
                    column if column < input.width => at(column),
                    _ => ZEROS.as_ptr(),
                })
            }
        });
        let (filters, bias) = (task.filters.as_ptr().add(first), task.bias.as_ptr().add(first));
        let [low, high] = task.bounds.map(|bound| V::splat(bound));
        let whole = channels - channels % V::WIDTH;
        for channel in (0..whole).step_by(V::WIDTH) {
            let load = |at: *const f32| V::load(at.add(channel));
            let sums = window_sums::<V, K, P, C>(load, &x, (filters, input.channels), bias, stride);
            for (p, sum) in sums.into_iter().enumerate() {
                sum.at_least(low).at_most(high).store(y.add(p * output.pitch + channel));
            }
        }
        if whole < channels {
            let rest = channels - whole;
            let load = |at: *const f32| V::load_part(at.add(whole), rest);
            let sums = window_sums::<V, K, P, C>(load, &x, (filters, input.channels), bias, stride);
            for (p, sum) in sums.into_iter().enumerate() {
                sum.at_least(low).at_most(high).store_part(y.add(p * output.pitch + whole), rest);
            }
        }
    }
    P
}

/// The sums of one register of channels for `P` pixels; `load` knows which.
///
/// # Safety
/// As [`run`].
#[inline(always)]
unsafe fn window_sums<V: Register, const K: usize, const P: usize, const C: usize>(
    load: impl Fn(*const f32) -> V,
    x: &[[*const f32; C]; K],
    (filters, pitch): (*const f32, usize),
    bias: *const f32,
    stride: usize,
) -> [V; P] {
    let mut sums = [load(bias); P];
    for (down, x) in x.iter().enumerate() {
        let x: [V; C] = core::array::from_fn(|column| load(x[column]));
        for across in 0..K {
            // SAFETY: the caller's promise.
            unsafe {
                let filter = load(filters.add((down * K + across) * pitch));
                for (p, sum) in sums.iter_mut().enumerate() {
                    *sum = sum.fma(x[p * stride + across], filter);
                }
            }
        }
    }
    sums
}

/// One pixel of any filter; gives 1.
///
/// # Safety
/// As [`run`].
#[inline(always)]
unsafe fn pixel<V: Register>(
    task: &Convolution<'_>,
    place: [usize; 2],
    (first, channels): (usize, usize),
    x: &[f32],
    y: *mut f32,
) -> usize {
    let Convolution { window, input, .. } = task;
    // SAFETY: the caller's promise.
    unsafe {
        let (filters, bias) = (task.filters.as_ptr().add(first), task.bias.as_ptr().add(first));
        let [low, high] = task.bounds.map(|bound| V::splat(bound));
        let mut channel = 0;
        while channel < channels {
            let rest = channels - channel;
            let load = |at: *const f32| {
                let at = at.add(channel);
                if rest >= V::WIDTH { V::load(at) } else { V::load_part(at, rest) }
            };
            let mut sum = load(bias);
            for tap in 0..window.taps() {
                let x = match window.source(input, place, [tap / window.size[1], tap % window.size[1]]) {
                    Some(source) => x.as_ptr().add(source * input.pitch + first),
                    None => ZEROS.as_ptr(),
                };
                sum = sum.fma(load(x), load(filters.add(tap * input.channels)));
            }
            let (sum, at) = (sum.at_least(low).at_most(high), y.add(channel));
            if rest >= V::WIDTH {
                sum.store(at)
            } else {
                sum.store_part(at, rest)
            }
            channel += V::WIDTH;
        }
    }
    1
}
