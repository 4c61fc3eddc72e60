//! Exponential, logarithm and what is made of them. Elements are independent, or each row has an order of its own, so these
//! loops are the specification and the kernels: the files beside this one compile them anew with their instruction sets.

use super::super::LANES;
use crate::math;

/// Rows that go from one pass to the next together.
const ROWS: usize = 32;

/// [`math::exp`] of each.
#[inline(always)]
pub(in super::super) fn exp(x: &mut [f32]) {
    x.iter_mut().for_each(|x| *x = math::exp(*x));
}

/// [`math::ln`] of each.
#[inline(always)]
pub(in super::super) fn ln(x: &mut [f32]) {
    x.iter_mut().for_each(|x| *x = math::ln(*x));
}

/// Sum in the lanes of `dot`, of numbers that are not -0. Lanes that have got nothing are not folded: they would add +0.
#[inline(always)]
fn sum(x: &[f32]) -> f32 {
    let mut lanes = [0.0; LANES];
    for block in x.chunks(LANES) {
        for (lane, x) in lanes.iter_mut().zip(block) {
            *lane += x;
        }
    }
    let mut width = x.len().next_power_of_two().min(LANES) / 2;
    while width > 0 {
        for lane in 0..width {
            lanes[lane] += lanes[lane + width];
        }
        width /= 2;
    }
    lanes[0]
}

/// `exp(z - max)` of each of the row, divided by their [`sum`]. The maximum passes over NaN.
#[inline(always)]
pub(in super::super) fn softmax_rows(n_classes: usize, logits: &mut [f32]) {
    for rows in logits.chunks_mut(ROWS * n_classes.max(1)) {
        for row in rows.chunks_exact_mut(n_classes) {
            let max = row.iter().fold(f32::NEG_INFINITY, |max, z| if *z > max { *z } else { max });
            row.iter_mut().for_each(|z| *z -= max);
        }
        exp(rows);
        for row in rows.chunks_exact_mut(n_classes) {
            let total = sum(row);
            row.iter_mut().for_each(|p| *p /= total);
        }
    }
}

/// The largest logit counts as exactly 1, and is left out of the [`sum`] of the others, so that what the label lacks of 1
/// keeps its digits where the label is almost certain.
#[inline(always)]
pub(in super::super) fn cross_entropy_rows(n_classes: usize, logits: &mut [f32], labels: &[u16], losses: &mut [f32]) {
    let blocks = logits.chunks_mut(ROWS * n_classes.max(1));
    for ((logits, labels), losses) in blocks.zip(labels.chunks(ROWS)).zip(losses.chunks_mut(ROWS)) {
        let (mut tops, mut others) = ([0; ROWS], [0.0; ROWS]);
        for (i, row) in logits.chunks_exact_mut(n_classes).enumerate() {
            // The first of equals, never a NaN.
            let (mut top, mut max) = (0, f32::NEG_INFINITY);
            for (k, z) in row.iter().enumerate() {
                if *z > max {
                    (top, max) = (k, *z);
                }
            }
            tops[i] = top;
            losses[i] = max - row[labels[i] as usize];
            row.iter_mut().for_each(|z| *z -= max);
        }
        exp(logits);
        for (i, row) in logits.chunks_exact_mut(n_classes).enumerate() {
            let (top, label) = (tops[i], labels[i] as usize);
            row[top] = 0.0;
            others[i] = sum(row);
            row[top] = 1.0;
            let total = 1.0 + others[i];
            row.iter_mut().for_each(|p| *p /= total);
            row[label] = if label == top { -(others[i] / total) } else { row[label] - 1.0 };
        }
        for (loss, others) in losses.iter_mut().zip(others) {
            *loss += math::ln_1p(others);
        }
    }
}
