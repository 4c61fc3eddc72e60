//! Sliding sums of products, which depthwise convolutions are made of.

use super::Register;
use crate::kernel::LANES;

/// `y[at] = bias + sum over t of taps[t] * x[at + offsets[t]]`, each from `bias` on, in the order of the taps. `P` registers of
/// elements at a time: each tap is spread over a register once for all of them.
///
/// # Safety
/// The CPU has the instruction set of `V`, and `y.len()` added to any offset is at most `x.len()`.
#[inline(always)]
pub(in crate::kernel) unsafe fn correlate<V: Register, const P: usize>(
    taps: &[f32],
    offsets: &[usize],
    x: &[f32],
    bias: f32,
    y: &mut [f32],
) {
    let (len, mut at) = (y.len(), 0);
    // SAFETY: the caller's promise, as `at` and the registers behind it stay below `len`.
    unsafe {
        while at + P * V::WIDTH <= len {
            strip::<V, P>(taps, offsets, x.as_ptr().add(at), bias, y.as_mut_ptr().add(at));
            at += P * V::WIDTH;
        }
        while at + V::WIDTH <= len {
            strip::<V, 1>(taps, offsets, x.as_ptr().add(at), bias, y.as_mut_ptr().add(at));
            at += V::WIDTH;
        }
        if at < len {
            let (rest, mut sum) = (len - at, V::splat(bias));
            for (tap, offset) in taps.iter().zip(offsets) {
                sum = sum.fma(V::splat(*tap), V::load_part(x.as_ptr().add(at + offset), rest));
            }
            let mut last = [0.0; LANES];
            sum.store(last.as_mut_ptr());
            y[at..].copy_from_slice(&last[..rest]);
        }
    }
}

/// `P` registers of them.
///
/// # Safety
/// The CPU has the instruction set; so many floats are there at `y`, and at `x` behind each offset.
#[inline(always)]
unsafe fn strip<V: Register, const P: usize>(taps: &[f32], offsets: &[usize], x: *const f32, bias: f32, y: *mut f32) {
    // SAFETY: the caller's promise.
    unsafe {
        let mut sums = [V::splat(bias); P];
        for (tap, offset) in taps.iter().zip(offsets) {
            let (tap, x) = (V::splat(*tap), x.add(*offset));
            for (p, sum) in sums.iter_mut().enumerate() {
                *sum = sum.fma(tap, V::load(x.add(p * V::WIDTH)));
            }
        }
        for (p, sum) in sums.into_iter().enumerate() {
            sum.store(y.add(p * V::WIDTH));
        }
    }
}
