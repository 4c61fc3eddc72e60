//! Convolutions: tiles of pixels by output channels stay in registers while the input's channels pass by.

use core::ops::Range;

use super::{Register, next_tile};
use crate::kernel::maps::{Convolution, PANEL, PIXELS, panel_width};

/// Channels of a tap that a panel is taken through at a time: with 32 columns 24 KB, which a first-level cache holds beside the pixels.
pub(super) const DEPTH: usize = 192;
/// What a filter sees outside of its map.
pub(super) static ZEROS: [f32; DEPTH] = [0.0; DEPTH];
/// Floats of a cache line.
const LINE: usize = 16;
/// A place that is outside.
const OUTSIDE: usize = usize::MAX;

/// Marks a place in the patches; no slice of floats is so long.
const PATCH: usize = 1 << (usize::BITS - 1);

/// A part of the sum for some pixels and one panel.
#[derive(Clone, Copy)]
struct Part {
    x: *const f32,
    patches: *const f32,
    /// `[taps, PIXELS]`: where in `x` the channels of each tap begin, or, with [`PATCH`], where in `patches`.
    places: *const usize,
    taps: usize,
    /// Channels of each tap that are taken, and the first of them.
    depth: usize,
    channel: usize,
    /// The panel's first row of this part, its columns, and floats from a tap to the next.
    filters: *const f32,
    width: usize,
    tap: usize,
    /// Filters that come next.
    next: *const f32,
    y: *mut f32,
    pitch: usize,
    /// Where sums begin: `None` goes on with what is in `y`.
    bias: Option<*const f32>,
    end: Option<End>,
}

/// What happens at the end of a sum.
#[derive(Clone, Copy)]
struct End {
    residual: Option<(*const f32, usize)>,
    bounds: [f32; 2],
}

/// At most `M` pixels by `N` registers at a time.
///
/// # Safety
/// The CPU has the instruction set of `V`, and the slices are as `Kernels::convolve` has checked.
#[inline(always)]
pub(in crate::kernel) unsafe fn convolve<V: Register, const M: usize, const N: usize>(
    task: &Convolution<'_>,
    range: Range<usize>,
    x: &[f32],
    residual: Option<(&[f32], usize)>,
    y: &mut [f32],
    (places, patches): (&mut [usize], &mut [f32]),
) {
    const { assert!(M <= 7 && N <= 4 && PANEL.is_multiple_of(N * V::WIDTH)) }
    let (outputs, gathers) = (task.output.channels, task.gathers());
    // A row of the filter is one tap, where pixels are copied together.
    let (taps, depth) = match gathers {
        true => (task.window.size[0], task.window.size[1] * task.input.channels),
        false => (task.window.taps(), task.input.channels),
    };
    let mut done = 0;
    while done < range.len() {
        let pixels = PIXELS.min(range.len() - done);
        match gathers {
            true => gather(task, range.start + done, x, (&mut *places, &mut *patches), pixels),
            false => find(task, range.start + done, places, pixels),
        }
        let (mut tap, mut channel) = (0, 0);
        let mut is_first = true;
        loop {
            let n_taps = if depth <= DEPTH { (DEPTH / depth.max(1)).clamp(1, taps - tap) } else { 1 };
            let n_channels = DEPTH.min(depth - channel);
            let is_last = tap + n_taps == taps && channel + n_channels == depth;
            let rows = tap * depth + channel;
            for first in (0..outputs).step_by(PANEL) {
                let width = panel_width(outputs - first);
                let panel = first * depth * taps + rows * width;
                let columns = PANEL.min(outputs - first);
                // That of the next outputs, or at the end the next rows of the first.
                let next = match outputs - first {
                    rest if rest > PANEL => (first + PANEL) * depth * taps + rows * panel_width(rest - PANEL),
                    _ => (rows + n_taps * n_channels) * panel_width(outputs),
                };
                for column in (0..columns).step_by(N * V::WIDTH) {
                    let at = first + column;
                    // SAFETY: the channels and pixels are there, as `Kernels::convolve` has checked.
                    unsafe {
                        let part = Part {
                            x: x.as_ptr(),
                            patches: patches.as_ptr(),
                            places: places.as_ptr().add(tap * PIXELS),
                            taps: n_taps,
                            depth: n_channels,
                            channel,
                            filters: task.filters.as_ptr().add(panel + column),
                            width,
                            tap: depth * width,
                            next: task.filters.as_ptr().wrapping_add(next),
                            y: y.as_mut_ptr().add(done * task.output.pitch + at),
                            pitch: task.output.pitch,
                            bias: is_first.then_some(task.bias.as_ptr().wrapping_add(at)),
                            end: is_last.then_some(End {
                                residual: residual
                                    .map(|(floats, pitch)| (floats.as_ptr().add(done * pitch + at), pitch)),
                                bounds: task.bounds,
                            }),
                        };
                        strip::<V, M, N>(part, pixels, (columns - column).min(N * V::WIDTH));
                    }
                }
            }
            if is_last {
                break;
            }
            is_first = false;
            channel += n_channels;
            if channel == depth {
                (tap, channel) = (tap + n_taps, 0);
            }
        }
        done += pixels;
    }
}

/// Writes down where the taps of `pixels` pixels from `first` on are.
#[inline(always)]
fn find(task: &Convolution<'_>, first: usize, places: &mut [usize], pixels: usize) {
    let Convolution { window, input, output, .. } = task;
    for (tap, places) in places.chunks_exact_mut(PIXELS).take(window.taps()).enumerate() {
        let tap = [tap / window.size[1], tap % window.size[1]];
        let [mut row, mut column] = [first / output.width, first % output.width];
        for place in &mut places[..pixels] {
            *place = window.source(input, [row, column], tap).map_or(OUTSIDE, |source| source * input.pitch);
            column += 1;
            if column == output.width {
                (row, column) = (row + 1, 0);
            }
        }
    }
}

/// The same for the rows of the filter, which are beside each other in `x`; at the edges of the map they are copied, with zeros around.
#[inline(always)]
fn gather(
    task: &Convolution<'_>,
    first: usize,
    x: &[f32],
    (places, patches): (&mut [usize], &mut [f32]),
    pixels: usize,
) {
    let Convolution { window, input, output, .. } = task;
    let (depth, across) = (input.channels, window.size[1]);
    let total = across * depth;
    for (down, places) in places.chunks_exact_mut(PIXELS).take(window.size[0]).enumerate() {
        let [mut row, mut column] = [first / output.width, first % output.width];
        for (at, place) in places[..pixels].iter_mut().enumerate() {
            let y = (row * window.stride[0] + down * window.dilation[0]).wrapping_sub(window.before[0]);
            let left = (column * window.stride[1]).wrapping_sub(window.before[1]);
            *place = if y >= input.height {
                OUTSIDE
            } else if left < input.width && input.width - left >= across {
                (y * input.width + left) * depth
            } else {
                let slot = (down * PIXELS + at) * total;
                for (tap, to) in patches[slot..][..total].chunks_exact_mut(depth.max(1)).enumerate() {
                    match window.source(input, [row, column], [down, tap]) {
                        Some(from) => to.copy_from_slice(&x[from * depth..][..depth]),
                        None => to.fill(0.0),
                    }
                }
                PATCH | slot
            };
            column += 1;
            if column == output.width {
                (row, column) = (row + 1, 0);
            }
        }
    }
}

/// The pixels of a part, for `columns` columns.
///
/// # Safety
/// The CPU has the instruction set; the part's channels, places, filters and outputs are there.
#[inline(always)]
unsafe fn strip<V: Register, const M: usize, const N: usize>(part: Part, pixels: usize, columns: usize) {
    let mut row = 0;
    while row < pixels {
        let size = next_tile::<M>(pixels - row);
        // SAFETY: the caller's promise.
        unsafe {
            let tiles = row / M;
            let part = Part {
                // The first tiles fetch all of it, a cache line for each channel; the others what is there.
                next: match tiles * LINE < part.width {
                    true => part.next.wrapping_add(tiles * part.taps * part.depth * LINE),
                    false => part.filters,
                },
                places: part.places.add(row),
                y: part.y.add(row * part.pitch),
                end: part.end.map(|end| End {
                    residual: end.residual.map(|(floats, pitch)| (floats.add(row * pitch), pitch)),
                    ..end
                }),
                ..part
            };
            match columns.div_ceil(V::WIDTH) {
                1 => rows::<V, M, 1>(&part, size, columns),
                2 if N >= 2 => rows::<V, M, 2>(&part, size, columns),
                3 if N >= 3 => rows::<V, M, 3>(&part, size, columns),
                _ => rows::<V, M, N>(&part, size, columns),
            }
        }
        row += size;
    }
}

/// The tile of `size` pixels.
///
/// # Safety
/// As [`tile`].
#[inline(always)]
unsafe fn rows<V: Register, const M: usize, const N: usize>(part: &Part, size: usize, columns: usize) {
    // SAFETY: the caller's promise.
    unsafe {
        match size {
            1 => tile::<V, 1, N>(part, columns),
            2 if M >= 2 => tile::<V, 2, N>(part, columns),
            3 if M >= 3 => tile::<V, 3, N>(part, columns),
            4 if M >= 4 => tile::<V, 4, N>(part, columns),
            5 if M >= 5 => tile::<V, 5, N>(part, columns),
            6 if M >= 6 => tile::<V, 6, N>(part, columns),
            _ => tile::<V, M, N>(part, columns),
        }
    }
}

/// `M` pixels by `columns` outputs, which `N` registers hold.
///
/// # Safety
/// The CPU has the instruction set; the part's channels, places, filters and outputs are there.
#[inline(always)]
unsafe fn tile<V: Register, const M: usize, const N: usize>(part: &Part, columns: usize) {
    let rest = columns - (N - 1) * V::WIDTH;
    // SAFETY: the caller's promise; the last register has `rest` columns.
    unsafe {
        let load = |at: *const f32, n: usize| {
            let at = at.add(n * V::WIDTH);
            if n + 1 < N || rest == V::WIDTH { V::load(at) } else { V::load_part(at, rest) }
        };
        let mut sums = [[V::splat(0.0); N]; M];
        match part.bias {
            Some(bias) => {
                for n in 0..N {
                    let bias = load(bias, n);
                    for sums in &mut sums {
                        sums[n] = bias;
                    }
                }
            }
            None => {
                for (m, sums) in sums.iter_mut().enumerate() {
                    for (n, sum) in sums.iter_mut().enumerate() {
                        *sum = load(part.y.add(m * part.pitch), n);
                    }
                }
            }
        }
        for tap in 0..part.taps {
            let places = part.places.add(tap * PIXELS);
            let x: [*const f32; M] = core::array::from_fn(|m| match *places.add(m) {
                OUTSIDE => ZEROS.as_ptr(),
                place if place & PATCH != 0 => part.patches.add((place & !PATCH) + part.channel),
                place => part.x.add(place + part.channel),
            });
            let filters = (part.filters.add(tap * part.tap), part.width);
            let next = part.next.wrapping_add(tap * part.depth * LINE);
            sums = V::multiply::<M, N>(sums, x, part.depth, filters, next);
        }
        if let Some(end) = part.end {
            if let Some((floats, pitch)) = end.residual {
                for (m, sums) in sums.iter_mut().enumerate() {
                    for (n, sum) in sums.iter_mut().enumerate() {
                        *sum = sum.add(load(floats.add(m * pitch), n));
                    }
                }
            }
            let [low, high] = end.bounds;
            if low != f32::NEG_INFINITY || high != f32::INFINITY {
                let [low, high] = [V::splat(low), V::splat(high)];
                for sum in sums.as_flattened_mut() {
                    *sum = sum.at_least(low).at_most(high);
                }
            }
        }
        for (m, sums) in sums.into_iter().enumerate() {
            for (n, sum) in sums.into_iter().enumerate() {
                let at = part.y.add(m * part.pitch + n * V::WIDTH);
                if n + 1 < N || rest == V::WIDTH { sum.store(at) } else { sum.store_part(at, rest) }
            }
        }
    }
}

/// `sums[m] += x[m][channel] * filters[channel]`, channel by channel, each rounded once. By value, or the compiler keeps them in memory.
///
/// # Safety
/// The CPU has the instruction set; `depth` floats are behind each `x`, and `N` registers at each of so many rows of `filters`, `width`
/// floats from one to the next. A cache line at `next` is fetched for each channel.
#[inline(always)]
pub(in crate::kernel) unsafe fn multiply<V: Register, const M: usize, const N: usize>(
    mut sums: [[V; N]; M],
    x: [*const f32; M],
    depth: usize,
    (mut filters, width): (*const f32, usize),
    next: *const f32,
) -> [[V; N]; M] {
    for channel in 0..depth {
        // SAFETY: the caller's promise.
        unsafe {
            V::prefetch_far(next.wrapping_add(channel * LINE));
            let filter: [V; N] = core::array::from_fn(|n| V::load(filters.add(n * V::WIDTH)));
            for (sums, x) in sums.iter_mut().zip(x) {
                let x = V::splat(*x.add(channel));
                for (sum, filter) in sums.iter_mut().zip(filter) {
                    *sum = sum.fma(x, filter);
                }
            }
            filters = filters.wrapping_add(width);
        }
    }
    sums
}
