//! Dot products of numbers narrower than f32.

use super::super::LANES;
use super::Register;

/// # Safety
/// The CPU has the instruction set of `V` and what it needs to widen.
#[inline(always)]
pub(in super::super) unsafe fn dot_f16<V: Register>(a: &[u16], b: &[f32]) -> f32 {
    let len = a.len().min(b.len());
    let whole = len - len % LANES;
    // SAFETY: the caller's promise; each block is within `whole`, or is a copy that is filled up.
    unsafe {
        let mut sums = V::zeros();
        for at in (0..whole).step_by(LANES) {
            multiply_add_block::<V>(&mut sums, a.as_ptr().add(at), b.as_ptr().add(at));
        }
        if whole < len {
            let (mut a_tail, mut b_tail) = ([0; LANES], [0.0; LANES]);
            a_tail[..len - whole].copy_from_slice(&a[whole..len]);
            b_tail[..len - whole].copy_from_slice(&b[whole..len]);
            multiply_add_block::<V>(&mut sums, a_tail.as_ptr(), b_tail.as_ptr());
        }
        V::sum(sums)
    }
}

/// # Safety
/// The CPU has the instruction set of `V` and what it needs to widen, and `a` and `b` are blocks.
#[inline(always)]
unsafe fn multiply_add_block<V: Register>(sums: &mut V::Block, a: *const u16, b: *const f32) {
    for (p, sum) in sums.as_mut().iter_mut().enumerate() {
        // SAFETY: the caller's promise.
        *sum = unsafe { sum.fma(V::widen(a.add(p * V::WIDTH)), V::load(b.add(p * V::WIDTH))) };
    }
}
