//! The DSP extension of Cortex-M4, M7 and M33: two 16-bit products an instruction. Only int8 gains; all else is the
//! scalar kernels.

pub(super) use super::scalar::{
    add, axpy, bend, cholesky, convolve, cross_entropy_rows, depthwise, dot, dot_f16, exp, gemm_nt, gemm_tn, gemv_f16,
    ln, multiply, pool, scale_rows, softmax_rows, solve_upper, solve_upper_transposed, syrk_nt,
};
use core::arch::asm;

/// Exact, as the specification: no order of summation makes a difference.
///
/// # Safety
/// None is needed: the instructions are part of the target, or the assembler refuses them. Unsafe as its siblings are.
pub(super) unsafe fn dot_i8(a: &[i8], b: &[i8]) -> i32 {
    let ((a, a_tail), (b, b_tail)) = (a.as_chunks::<4>(), b.as_chunks::<4>());
    let mut sum = 0;
    for (a, b) in a.iter().zip(b) {
        sum = multiply_add(sum, *a, *b);
    }
    a_tail.iter().zip(b_tail).fold(sum, |sum, (a, b)| sum + i32::from(*a) * i32::from(*b))
}

/// Each element is one [`dot_i8`].
///
/// # Safety
/// As [`dot_i8`].
pub(super) unsafe fn gemv_i8([_, k]: [usize; 2], a: &[i8], x: &[i8], y: &mut [i32]) {
    for (i, y) in y.iter_mut().enumerate() {
        // SAFETY: as above.
        *y = unsafe { dot_i8(&a[i * k..][..k], x) };
    }
}

/// `sum` plus four products.
#[inline(always)]
fn multiply_add(mut sum: i32, a: [i8; 4], b: [i8; 4]) -> i32 {
    let [a, b] = [a, b].map(|bytes| u32::from_ne_bytes(bytes.map(|byte| byte as u8)));
    // SAFETY: the instructions only read and write these registers, and the flag Q, which nobody reads.
    unsafe {
        asm!(
            "sxtb16 {even}, {a}",
            "sxtb16 {a}, {a}, ror #8",
            "sxtb16 {odd}, {b}",
            "sxtb16 {b}, {b}, ror #8",
            "smlad {sum}, {even}, {odd}, {sum}",
            "smlad {sum}, {a}, {b}, {sum}",
            a = inout(reg) a => _,
            b = inout(reg) b => _,
            even = out(reg) _,
            odd = out(reg) _,
            sum = inout(reg) sum,
            options(pure, nomem, nostack),
        );
    }
    sum
}
