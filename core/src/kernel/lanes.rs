//! Each kernel once, over blocks of `LANES` floats in whatever registers the instruction set has.
//!
//! Every function here is inlined into a function of `avx2.rs`, `avx512.rs`, `neon.rs` or `armv7.rs` that enables the
//! instruction set; until then it would be wrong to call, which is why the operations of [`Register`] are unsafe.

mod chain;
#[cfg(not(target_arch = "arm"))]
mod depthwise;
mod dots;
mod factor;
#[cfg(not(target_arch = "arm"))]
mod maps;
mod narrow;

pub(super) use chain::gemm_tn;
#[cfg(target_arch = "arm")]
pub(super) use chain::tile;
#[cfg(not(target_arch = "arm"))]
pub(super) use depthwise::depthwise;
#[cfg(target_arch = "arm")]
pub(super) use dots::dot_tile;
pub(super) use dots::{dot, gemm_nt, syrk_nt};
pub(super) use factor::{cholesky, solve_upper, solve_upper_transposed};
#[cfg(not(target_arch = "arm"))]
pub(super) use maps::convolve;
#[cfg(target_arch = "aarch64")]
pub(super) use maps::multiply;
pub(super) use narrow::dot_f16;

use super::scalar::padded;

/// One vector register of `WIDTH` floats; a block is several of them.
pub(super) trait Register: Copy {
    /// Floats in it.
    const WIDTH: usize;

    /// Floats of one matrix that stay in the second-level cache while the other's rows pass by.
    const PANEL: usize;

    /// `[Self; LANES / WIDTH]`.
    type Block: Copy + AsMut<[Self]>;

    /// Loads `WIDTH` floats.
    ///
    /// # Safety
    /// The CPU has the instruction set, and the floats are there.
    unsafe fn load(at: *const f32) -> Self;

    /// Loads the first `count` floats, all if that is more than `WIDTH`; +0 in the other lanes.
    ///
    /// # Safety
    /// The CPU has the instruction set, and those floats are there.
    unsafe fn load_part(at: *const f32, count: usize) -> Self;

    /// Asks for the cache line of a place, which need not exist.
    ///
    /// # Safety
    /// The CPU has the instruction set.
    unsafe fn prefetch(at: *const f32);

    /// The same, as far as the second-level cache.
    ///
    /// # Safety
    /// The CPU has the instruction set.
    #[cfg(not(target_arch = "arm"))]
    unsafe fn prefetch_far(at: *const f32);

    /// Loads `WIDTH` numbers of IEEE 754 binary16.
    ///
    /// # Safety
    /// The CPU has the instruction set (AVX2: and F16C), and the numbers are there.
    unsafe fn widen(at: *const u16) -> Self;

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

    /// `self + a` in each lane.
    ///
    /// # Safety
    /// The CPU has the instruction set.
    #[cfg(not(target_arch = "arm"))]
    unsafe fn add(self, a: Self) -> Self;

    /// `low` in the lanes that are below it; NaN stays.
    ///
    /// # Safety
    /// The CPU has the instruction set.
    #[cfg(not(target_arch = "arm"))]
    unsafe fn at_least(self, low: Self) -> Self;

    /// `high` in the lanes that are above it; NaN stays.
    ///
    /// # Safety
    /// The CPU has the instruction set.
    #[cfg(not(target_arch = "arm"))]
    unsafe fn at_most(self, high: Self) -> Self;

    /// Stores `WIDTH` floats.
    ///
    /// # Safety
    /// The CPU has the instruction set, and the floats may be written.
    unsafe fn store(self, at: *mut f32);

    /// Stores the first `count` floats, fewer than `WIDTH`.
    ///
    /// # Safety
    /// The CPU has the instruction set, and those floats may be written.
    #[cfg(not(target_arch = "arm"))]
    unsafe fn store_part(self, at: *mut f32, count: usize);

    /// A block of +0.
    ///
    /// # Safety
    /// The CPU has the instruction set.
    unsafe fn zeros() -> Self::Block;

    /// Sum of a block: folded in halves, `l + (l + 16)`, then 8, 4, 2, 1.
    ///
    /// # Safety
    /// The CPU has the instruction set.
    unsafe fn sum(block: Self::Block) -> f32;

    // The loops that all the time goes to. Where the compiler has no registers of this kind (32-bit ARM) they are written
    // by hand instead.

    /// The dot products of `R` rows with `C` rows of `width` floats; as [`dots::dot_tile`].
    ///
    /// # Safety
    /// As there.
    #[inline(always)]
    unsafe fn dot_tile<const R: usize, const C: usize, const P: usize>(
        width: usize,
        a: (*const f32, usize),
        b: (*const f32, usize),
        after: *const f32,
    ) -> [[f32; C]; R] {
        // SAFETY: the caller's promise.
        unsafe { dots::dot_tile::<Self, R, C, P>(width, a, b, after) }
    }

    /// `M` rows by `P` registers of `c` pass through the registers; as [`chain::tile`].
    ///
    /// # Safety
    /// As there.
    #[inline(always)]
    unsafe fn chain_tile<const M: usize, const P: usize, const MINUS: bool>(
        k: usize,
        a: (*const f32, usize),
        b: (*const f32, usize),
        c: (*mut f32, usize),
        skip: usize,
    ) {
        // SAFETY: the caller's promise.
        unsafe { chain::tile::<Self, M, P, MINUS>(k, a, b, c, skip) }
    }

    /// Products of `M` pixels and `N` registers of a panel; as [`maps::multiply`].
    ///
    /// # Safety
    /// As there.
    #[cfg(not(target_arch = "arm"))]
    #[inline(always)]
    unsafe fn multiply<const M: usize, const N: usize>(
        sums: [[Self; N]; M],
        x: [*const f32; M],
        depth: usize,
        filters: (*const f32, usize),
        next: *const f32,
    ) -> [[Self; N]; M] {
        // SAFETY: the caller's promise.
        unsafe { maps::multiply::<Self, M, N>(sums, x, depth, filters, next) }
    }

    /// `y += alpha * x`, fused.
    ///
    /// # Safety
    /// The CPU has the instruction set.
    #[inline(always)]
    unsafe fn axpy(alpha: f32, x: &[f32], y: &mut [f32]) {
        // SAFETY: the caller's promise.
        unsafe { axpy::<Self>(alpha, x, y) }
    }
}

/// # Safety
/// The CPU has the instruction set of `V`.
#[inline(always)]
pub(super) unsafe fn axpy<V: Register>(alpha: f32, x: &[f32], y: &mut [f32]) {
    let len = x.len().min(y.len());
    let whole = len - len % V::WIDTH;
    // SAFETY: the caller's promise, for each operation on lanes below; `at + WIDTH` is at most `whole`, or `LANES` in the
    // copies of the tails.
    unsafe {
        let lanes = V::splat(alpha);
        for at in (0..whole).step_by(V::WIDTH) {
            let y = y.as_mut_ptr().add(at);
            V::load(y).fma(lanes, V::load(x.as_ptr().add(at))).store(y);
        }
        if whole < len {
            let (x_tail, mut y_tail) = (padded(&x[whole..len]), padded(&y[whole..len]));
            V::load(y_tail.as_ptr()).fma(lanes, V::load(x_tail.as_ptr())).store(y_tail.as_mut_ptr());
            y[whole..len].copy_from_slice(&y_tail[..len - whole]);
        }
    }
}

/// How many of `rest` rows the next tile takes, at most `MOST`. The last two tiles share what is left, so that none is too
/// small to keep the registers busy.
#[inline(always)]
fn next_tile<const MOST: usize>(rest: usize) -> usize {
    if rest <= MOST {
        rest
    } else if rest < 2 * MOST {
        rest.div_ceil(2)
    } else {
        MOST
    }
}
