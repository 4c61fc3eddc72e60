//! Each kernel once, over blocks of [`LANES`] floats in whatever registers the instruction set has.
//!
//! Every function here is inlined into a function of `avx2.rs`, `avx512.rs` or `neon.rs` that enables the instruction
//! set; until then it would be wrong to call, which is why the operations of [`Half`] are unsafe.

mod chain;
mod dots;
mod factor;

pub(super) use chain::gemm_tn;
pub(super) use dots::{dot, gemm_nt, syrk_nt};
pub(super) use factor::{cholesky, solve_upper, solve_upper_transposed};

use super::LANES;
use super::scalar::padded;

/// Floats in a half.
pub(super) const HALF: usize = LANES / 2;

/// Half a block in registers. Tiles work on halves: that is fine-grained enough to fill the registers of every
/// instruction set, and a half is a cache line, so that two passes over a row read no line twice.
pub(super) trait Half: Copy {
    /// Loads a half.
    ///
    /// # Safety
    /// The CPU has the instruction set.
    unsafe fn load(half: &[f32; HALF]) -> Self;

    /// The same value in each lane.
    ///
    /// # Safety
    /// The CPU has the instruction set.
    unsafe fn splat(value: f32) -> Self;

    /// `a * b + self` in each lane, rounded once.
    ///
    /// # Safety
    /// The CPU has the instruction set.
    unsafe fn fma(self, a: Self, b: Self) -> Self;

    /// Stores a half.
    ///
    /// # Safety
    /// The CPU has the instruction set.
    unsafe fn store(self, half: &mut [f32; HALF]);

    /// Sum of a block: the halves are added, then folded in halves again, 8, 4, 2, 1.
    ///
    /// # Safety
    /// The CPU has the instruction set.
    unsafe fn sum(low: Self, high: Self) -> f32;
}

/// # Safety
/// The CPU has the instruction set of `H`.
#[inline(always)]
pub(super) unsafe fn axpy<H: Half>(alpha: f32, x: &[f32], y: &mut [f32]) {
    let (x_halves, x_tail) = x.as_chunks::<HALF>();
    let (y_halves, y_tail) = y.as_chunks_mut::<HALF>();
    // SAFETY: the caller's promise, for each operation on lanes below.
    unsafe {
        let alpha = H::splat(alpha);
        for (x, y) in x_halves.iter().zip(y_halves) {
            H::load(y).fma(alpha, H::load(x)).store(y);
        }
        if !y_tail.is_empty() {
            let mut half = padded(y_tail);
            H::load(&half).fma(alpha, H::load(&padded(x_tail))).store(&mut half);
            y_tail.copy_from_slice(&half[..y_tail.len()]);
        }
    }
}

/// Splits `0..len` into as few parts of at most `most` as will do, of nearly one size: `(start, size)` of each. Tiles of
/// one size keep all registers busy, where full tiles and a rest would not.
#[inline(always)]
fn even(len: usize, most: usize) -> impl Iterator<Item = (usize, usize)> {
    let parts = len.div_ceil(most).max(1);
    let (size, longer) = (len / parts, len % parts);
    let parts = if len == 0 { 0 } else { parts };
    (0..parts).map(move |i| (i * size + i.min(longer), size + usize::from(i < longer)))
}
