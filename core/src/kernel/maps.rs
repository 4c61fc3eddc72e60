//! Convolutions, pooling and sums of maps: what networks for pictures are made of.
//!
//! The channels of a pixel are side by side (NHWC, batch 1), so that vectors go along the channels, whatever sizes, strides and paddings
//! are, and a filter sees whole pixels. A pixel outside of a map counts as zeros; maps have no room for it.

use core::ops::Range;

use super::{Kernels, dispatch};

/// Columns of a panel of packed filters.
pub(super) const PANEL: usize = 32;
/// The columns of the last panel are a multiple of this.
const PANEL_STEP: usize = 16;
/// Pixels that a convolution takes at a time, so that what they show stays in the cache while the filters pass by.
pub(super) const PIXELS: usize = 224;
/// With fewer channels than this a row of a filter is one tap: a filter of 3 x 3 pixels of 3 channels has three of 9 floats.
const FEW: usize = 16;

/// A map `[height, width, channels]`: pixel by pixel, row by row, `pitch` floats from one to the next. Those behind the channels are
/// others' (of a map that this one is a part of).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Map {
    /// Rows.
    pub height: usize,
    /// Pixels of a row.
    pub width: usize,
    /// Floats of a pixel.
    pub channels: usize,
    /// Floats from a pixel to the next one, at least `channels`.
    pub pitch: usize,
}

impl Map {
    /// A map with nothing between its pixels.
    pub const fn new(height: usize, width: usize, channels: usize) -> Self {
        Self { height, width, channels, pitch: channels }
    }

    /// Its pixels; as all such numbers here `usize::MAX` if they are more, which no slice has.
    pub const fn pixels(&self) -> usize {
        self.height.saturating_mul(self.width)
    }

    /// Floats from its first to its last.
    pub const fn floats(&self) -> usize {
        match self.pixels() {
            0 => 0,
            pixels => (pixels - 1).saturating_mul(self.pitch).saturating_add(self.channels),
        }
    }

    /// Whether it is a map, and within so many floats.
    fn is_in(&self, floats: usize) -> bool {
        self.channels <= self.pitch && self.floats() <= floats
    }
}

/// What a filter sees of a map, for each pixel that comes of it; down, across.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// Taps.
    pub size: [usize; 2],
    /// Pixels from one place of the filter to the next.
    pub stride: [usize; 2],
    /// Pixels from one tap to the next.
    pub dilation: [usize; 2],
    /// Pixels above and left of the map that the first place begins at.
    pub before: [usize; 2],
}

impl Window {
    /// One pixel, the same.
    pub const POINT: Self = Self { size: [1; 2], stride: [1; 2], dilation: [1; 2], before: [0; 2] };

    /// Pixels that it sees.
    pub const fn taps(&self) -> usize {
        self.size[0].saturating_mul(self.size[1])
    }

    /// The taps down and across that are inside of `input` for pixel `[row, column]`.
    ///
    /// ```
    /// use topgraft_core::kernel::{Map, Window};
    /// let window = Window { size: [3, 3], before: [1, 1], ..Window::POINT };
    /// assert_eq!(window.inside(&Map::new(8, 8, 1), [0, 7]), [1..3, 0..2]);
    /// ```
    pub fn inside(&self, input: &Map, place: [usize; 2]) -> [Range<usize>; 2] {
        [(0, input.height), (1, input.width)].map(|(axis, side)| {
            let (at, step) = (place[axis] * self.stride[axis], self.dilation[axis].max(1));
            let reach = |pixel: usize| (self.before[axis] + pixel).saturating_sub(at).div_ceil(step);
            reach(0).min(self.size[axis])..reach(side).min(self.size[axis])
        })
    }

    /// The pixel of `input` that a tap `[down, across]` sees for pixel `[row, column]`; `None` outside.
    #[inline(always)]
    pub(super) fn source(&self, input: &Map, place: [usize; 2], tap: [usize; 2]) -> Option<usize> {
        let at = |axis: usize| {
            (place[axis] * self.stride[axis] + tap[axis] * self.dilation[axis]).wrapping_sub(self.before[axis])
        };
        let (row, column) = (at(0), at(1));
        (row < input.height && column < input.width).then(|| row * input.width + column)
    }

    /// Whether it is a window, no place of which leaves the numbers of a `usize`.
    fn fits(&self, input: &Map, output: &Map) -> bool {
        let most = usize::MAX / 8;
        let sides = [(input.height, output.height), (input.width, output.width)];
        (1..most).contains(&self.taps())
            && sides.into_iter().zip(0..2).all(|((input, output), axis)| {
                let reach = output.saturating_mul(self.stride[axis]);
                let taps = self.size[axis].saturating_mul(self.dilation[axis]);
                self.dilation[axis] > 0 && [reach, taps, self.before[axis], input].into_iter().all(|side| side < most)
            })
    }
}

/// A convolution, of all channels by [`Kernels::convolve`] or of each by itself by [`Kernels::depthwise`]: `y = clamp(bias + sum over taps
/// [and channels] of x * filter [+ residual])`.
///
/// Each number is one chain of fused multiply-adds from `bias` on, tap by tap, row by row, and within a tap channel by channel; the residual is
/// added to that, rounded; then what is below `bounds[0]` becomes it, and what is above `bounds[1]`. NaN stays.
#[derive(Clone, Copy, Debug)]
pub struct Convolution<'a> {
    /// What a filter sees.
    pub window: Window,
    /// Of `x`.
    pub input: Map,
    /// Of `y`.
    pub output: Map,
    /// As [`pack_filters`] leaves them; of a depthwise convolution `[taps, channels]`.
    pub filters: &'a [f32],
    /// `[output.channels]`
    pub bias: &'a [f32],
    /// The lowest and the highest number that comes out; infinite for none.
    pub bounds: [f32; 2],
}

impl Convolution<'_> {
    /// Whether a row of the filter is taken as one tap: few channels, several taps beside each other.
    pub(super) fn gathers(&self) -> bool {
        let Self { window, input, .. } = self;
        input.channels < FEW && window.size[1] > 1 && window.dilation[1] == 1 && input.pitch == input.channels
    }

    /// What [`Kernels::convolve`] needs beside: places and floats.
    pub fn scratch(&self) -> [usize; 2] {
        match self.gathers() {
            true => {
                let patches = self.window.taps().saturating_mul(self.input.channels);
                [PIXELS.saturating_mul(self.window.size[0]), PIXELS.saturating_mul(patches)]
            }
            false => [PIXELS.saturating_mul(self.window.taps()), 0],
        }
    }
}

/// What becomes of the pixels that a window sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pooling {
    /// The largest of those inside; NaN if one is.
    Largest,
    /// The sum of those inside, in their order.
    Sum,
    /// That sum, divided by how many are inside.
    MeanInside,
    /// That sum, divided by the window's taps.
    Mean,
}

/// A function of one number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Curve {
    /// `1 / (1 + exp(-x))`
    Sigmoid,
    /// `x` times `x / 6 + 1 / 2`, which is cut off at 0 and 1.
    HardSwish,
}

/// The panels of filters `[outputs, inputs, taps]` as [`Convolution`] reads them: 32 outputs side by side, for each tap, for each input. The
/// last panel has 16 or 32; what is beyond the outputs is 0.
///
/// # Panics
/// If a slice's length is not what the shape says, or [`packed_filters`] for `packed`.
pub fn pack_filters(shape: [usize; 3], filters: &[f32], packed: &mut [f32]) {
    let [outputs, inputs, taps] = shape;
    let all = outputs.saturating_mul(inputs).saturating_mul(taps);
    assert!(filters.len() == all, "pack_filters: not of that shape");
    assert!(packed.len() == packed_filters(shape), "pack_filters: not as many as packed_filters says");
    let mut rest = packed;
    for first in (0..outputs).step_by(PANEL) {
        let width = panel_width(outputs - first);
        let (panel, behind) = rest.split_at_mut(inputs * taps * width);
        rest = behind;
        for (row, floats) in panel.chunks_exact_mut(width).enumerate() {
            let (tap, input) = (row / inputs, row % inputs);
            for (column, float) in floats.iter_mut().enumerate() {
                let output = first + column;
                *float = if output < outputs { filters[(output * inputs + input) * taps + tap] } else { 0.0 };
            }
        }
    }
}

/// Floats of [`pack_filters`].
pub const fn packed_filters([outputs, inputs, taps]: [usize; 3]) -> usize {
    outputs.div_ceil(PANEL_STEP).saturating_mul(PANEL_STEP).saturating_mul(inputs).saturating_mul(taps)
}

/// Columns of the panel that has `rest` outputs at most.
pub(super) const fn panel_width(rest: usize) -> usize {
    if rest >= PANEL { PANEL } else { rest.next_multiple_of(PANEL_STEP) }
}

impl Kernels {
    /// The pixels `range` of a [`Convolution`], counted row by row: `x` is the whole input, `y` begins with the first of them, and so does
    /// `residual`, of as many channels, with its pitch. `places` and `patches` are for its use, as long as [`Convolution::scratch`] says.
    ///
    /// # Panics
    /// If a slice is shorter than that, or a shape does not fit.
    pub fn convolve(
        self,
        task: &Convolution<'_>,
        range: Range<usize>,
        x: &[f32],
        residual: Option<(&[f32], usize)>,
        y: &mut [f32],
        (places, patches): (&mut [usize], &mut [f32]),
    ) {
        let Convolution { window, input, output, filters, bias, .. } = task;
        assert!(input.is_in(x.len()), "convolve: x is shorter than its map");
        assert!(window.fits(input, output), "convolve: no such window");
        assert!(range.start <= range.end && range.end <= output.pixels(), "convolve: no such pixels");
        let part = Map { height: 1, width: range.len(), ..*output };
        assert!(part.is_in(y.len()), "convolve: y is shorter than its map");
        let fits = |(floats, pitch): (&[f32], usize)| Map { pitch, ..part }.is_in(floats.len());
        assert!(residual.is_none_or(fits), "convolve: the residual is shorter than its map");
        let shape = [output.channels, input.channels, window.taps()];
        assert!(filters.len() == packed_filters(shape), "convolve: the filters are not of that shape");
        assert!(bias.len() == output.channels, "convolve: a bias for each output");
        let [n_places, n_floats] = task.scratch();
        assert!(n_places <= places.len() && n_floats <= patches.len(), "convolve: too little scratch");
        dispatch!(self.convolve(task, range, x, residual, y, (places, patches)))
    }

    /// The rows `rows` of a depthwise [`Convolution`], which has as many outputs as inputs; `y` begins with the first of them.
    ///
    /// # Panics
    /// If a slice is shorter than its map, or a shape does not fit.
    pub fn depthwise(self, task: &Convolution<'_>, rows: Range<usize>, x: &[f32], y: &mut [f32]) {
        let Convolution { window, input, output, filters, bias, .. } = task;
        assert!(input.is_in(x.len()), "depthwise: x is shorter than its map");
        assert!(window.fits(input, output), "depthwise: no such window");
        assert!(rows.start <= rows.end && rows.end <= output.height, "depthwise: no such rows");
        assert!(Map { height: rows.len(), ..*output }.is_in(y.len()), "depthwise: y is shorter than its map");
        assert!(input.channels == output.channels && bias.len() == input.channels, "depthwise: channels differ");
        assert!(
            filters.len() == window.taps().saturating_mul(input.channels),
            "depthwise: filters are not of that shape"
        );
        dispatch!(self.depthwise(task, rows, x, y))
    }

    /// The rows `rows` of what `pooling` makes of each channel of the pixels that a window sees; `y` begins with the first of them. A window that
    /// sees none gives 0.
    ///
    /// # Panics
    /// If a slice is shorter than its map, or a shape does not fit.
    pub fn pool(
        self,
        pooling: Pooling,
        window: &Window,
        [input, output]: [&Map; 2],
        rows: Range<usize>,
        x: &[f32],
        y: &mut [f32],
    ) {
        assert!(input.is_in(x.len()), "pool: x is shorter than its map");
        assert!(window.fits(input, output), "pool: no such window");
        assert!(rows.start <= rows.end && rows.end <= output.height, "pool: no such rows");
        assert!(Map { height: rows.len(), ..*output }.is_in(y.len()), "pool: y is shorter than its map");
        assert!(input.channels == output.channels, "pool: channels differ");
        dispatch!(self.pool(pooling, window, [input, output], rows, x, y))
    }

    /// `y = clamp(y + x)`, element by element; `bounds` as in [`Convolution`].
    ///
    /// # Panics
    /// If the lengths differ.
    pub fn add(self, x: &[f32], bounds: [f32; 2], y: &mut [f32]) {
        assert!(x.len() == y.len(), "add: lengths differ");
        dispatch!(self.add(x, bounds, y))
    }

    /// `y = clamp(y * scale + shift)` for each pixel of `y [n, channels]`, fused: `scale [channels]`, `shift [channels]`.
    ///
    /// # Panics
    /// If the lengths do not fit.
    pub fn scale_rows(self, scale: &[f32], shift: &[f32], bounds: [f32; 2], y: &mut [f32]) {
        assert!(scale.len() == shift.len(), "scale_rows: lengths differ");
        assert!(y.len().is_multiple_of(scale.len()), "scale_rows: no whole pixels");
        dispatch!(self.scale_rows(scale, shift, bounds, y))
    }

    /// `y = y * x`, element by element.
    ///
    /// # Panics
    /// If the lengths differ.
    pub fn multiply(self, x: &[f32], y: &mut [f32]) {
        assert!(x.len() == y.len(), "multiply: lengths differ");
        dispatch!(self.multiply(x, y))
    }

    /// `y = curve(y)`, element by element; the exponential is [`exp`](Self::exp).
    pub fn bend(self, curve: Curve, y: &mut [f32]) {
        dispatch!(self.bend(curve, y))
    }
}
