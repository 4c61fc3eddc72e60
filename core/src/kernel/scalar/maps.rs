//! Convolutions, pooling and sums of maps.

use core::ops::Range;

use super::softmax::exp;
use crate::kernel::maps::{Convolution, Curve, Map, PANEL, Pooling, Window, panel_width};
use crate::math::fma;

/// Below `low` becomes `low`, above `high` becomes `high`; NaN stays.
#[inline(always)]
pub(in crate::kernel) fn clamp(x: f32, [low, high]: [f32; 2]) -> f32 {
    let x = if x < low { low } else { x };
    if x > high { high } else { x }
}

/// Each number is one chain, from the bias on, over the taps and within each over the channels.
pub(in crate::kernel) fn convolve(
    task: &Convolution<'_>,
    range: Range<usize>,
    x: &[f32],
    residual: Option<(&[f32], usize)>,
    y: &mut [f32],
    _: (&mut [usize], &mut [f32]),
) {
    let Convolution { window, input, output, filters, bias, bounds } = task;
    let depth = input.channels;
    for (at, pixel) in range.enumerate() {
        let place = [pixel / output.width, pixel % output.width];
        for channel in 0..output.channels {
            let (first, column) = (channel / PANEL * PANEL, channel % PANEL);
            let width = panel_width(output.channels - first);
            let panel = &filters[first * depth * window.taps()..];
            let mut sum = bias[channel];
            for tap in 0..window.taps() {
                let source = window.source(input, place, [tap / window.size[1], tap % window.size[1]]);
                for c in 0..depth {
                    let x = source.map_or(0.0, |source| x[source * input.pitch + c]);
                    sum = fma(x, panel[(tap * depth + c) * width + column], sum);
                }
            }
            if let Some((floats, pitch)) = residual {
                sum += floats[at * pitch + channel];
            }
            y[at * output.pitch + channel] = clamp(sum, *bounds);
        }
    }
}

/// Each number is one chain, from the bias on, over the taps.
pub(in crate::kernel) fn depthwise(task: &Convolution<'_>, rows: Range<usize>, x: &[f32], y: &mut [f32]) {
    let Convolution { window, input, output, filters, bias, bounds } = task;
    for (at, pixel) in (rows.start * output.width..rows.end * output.width).enumerate() {
        let place = [pixel / output.width, pixel % output.width];
        for channel in 0..output.channels {
            let mut sum = bias[channel];
            for tap in 0..window.taps() {
                let source = window.source(input, place, [tap / window.size[1], tap % window.size[1]]);
                let x = source.map_or(0.0, |source| x[source * input.pitch + channel]);
                sum = fma(x, filters[tap * input.channels + channel], sum);
            }
            y[at * output.pitch + channel] = clamp(sum, *bounds);
        }
    }
}

/// Channels are independent: the compiler makes vectors of this.
#[inline(always)]
pub(in crate::kernel) fn pool(
    pooling: Pooling,
    window: &Window,
    [input, output]: [&Map; 2],
    rows: Range<usize>,
    x: &[f32],
    y: &mut [f32],
) {
    for (at, pixel) in (rows.start * output.width..rows.end * output.width).enumerate() {
        let place = [pixel / output.width, pixel % output.width];
        let y = &mut y[at * output.pitch..][..output.channels];
        let mut inside = 0usize;
        let [down, across] = window.inside(input, place);
        let taps = down.flat_map(|down| across.clone().map(move |across| [down, across]));
        for source in taps.filter_map(|tap| window.source(input, place, tap)) {
            let x = &x[source * input.pitch..][..y.len()];
            match (inside, pooling) {
                (0, _) => y.copy_from_slice(x),
                (_, Pooling::Largest) => {
                    // NaN is not above anything, and nothing above it.
                    y.iter_mut().zip(x).for_each(|(y, x)| *y = if *x <= *y || y.is_nan() { *y } else { *x });
                }
                _ => y.iter_mut().zip(x).for_each(|(y, x)| *y += x),
            }
            inside += 1;
        }
        let count = match pooling {
            _ if inside == 0 => {
                y.fill(0.0);
                continue;
            }
            Pooling::Largest | Pooling::Sum => continue,
            Pooling::MeanInside => inside,
            Pooling::Mean => window.taps(),
        };
        y.iter_mut().for_each(|y| *y /= count as f32);
    }
}

/// Elements are independent.
#[inline(always)]
pub(in crate::kernel) fn add(x: &[f32], bounds: [f32; 2], y: &mut [f32]) {
    y.iter_mut().zip(x).for_each(|(y, x)| *y = clamp(*y + x, bounds));
}

/// Elements are independent.
#[inline(always)]
pub(in crate::kernel) fn scale_rows(scale: &[f32], shift: &[f32], bounds: [f32; 2], y: &mut [f32]) {
    for row in y.chunks_exact_mut(scale.len().max(1)) {
        for ((y, scale), shift) in row.iter_mut().zip(scale).zip(shift) {
            *y = clamp(fma(*y, *scale, *shift), bounds);
        }
    }
}

/// Elements are independent.
#[inline(always)]
pub(in crate::kernel) fn multiply(x: &[f32], y: &mut [f32]) {
    y.iter_mut().zip(x).for_each(|(y, x)| *y *= x);
}

/// Elements are independent.
#[inline(always)]
pub(in crate::kernel) fn bend(curve: Curve, y: &mut [f32]) {
    match curve {
        Curve::Sigmoid => {
            y.iter_mut().for_each(|y| *y = -*y);
            exp(y);
            y.iter_mut().for_each(|y| *y = 1.0 / (1.0 + *y));
        }
        Curve::HardSwish => y.iter_mut().for_each(|y| *y *= clamp(fma(*y, 1.0 / 6.0, 0.5), [0.0, 1.0])),
    }
}
