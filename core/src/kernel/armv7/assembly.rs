//! The loops in assembly, each a function of its own with the C calling convention: `d8`-`d15` are saved, `d0`-`d7` and
//! `d16`-`d31` are free. They take one pointer to their task, and strides in bytes. Only the assembler is told of the
//! instruction set (`.fpu`), so that a program for the Pi Zero has these functions too, and calls them on a CPU that can.

use core::arch::{asm, naked_asm};

/// Floats of 12 registers: the accumulators.
pub(super) const SUMS: usize = 48;

/// Runs `work`; `None` if Advanced SIMD flushed a subnormal number to zero on the way. Flags that were set before are again
/// set afterwards, and those of what was dropped are not.
#[inline(always)]
pub(super) fn unflushed<T>(work: impl FnOnce() -> T) -> Option<T> {
    /// IDC: an operand was flushed. UFC: a result was.
    const FLUSHED: u32 = 1 << 7 | 1 << 3;
    let before = fpscr();
    if before & FLUSHED != 0 {
        set_fpscr(before & !FLUSHED);
    }
    let done = work();
    let after = fpscr();
    if (before | after) & FLUSHED != 0 {
        set_fpscr(after & !FLUSHED | before & FLUSHED);
    }
    (after & FLUSHED == 0).then_some(done)
}

/// The floating-point status.
#[inline(always)]
fn fpscr() -> u32 {
    let value;
    // SAFETY: reads a register that each hard-float CPU has. Not `nomem`, which keeps it in its place among the loops.
    unsafe { asm!("vmrs {}, fpscr", out(reg) value, options(nostack)) }
    value
}

#[inline(always)]
fn set_fpscr(value: u32) {
    // SAFETY: as above; `unflushed` changes only the cumulative flags, which no Rust code depends on.
    unsafe { asm!("vmsr fpscr, {}", in(reg) value, options(nostack)) }
}

/// Rows for [`dots_of_one`] and [`dots_of_three`]. They are read in steps of 32 floats.
#[repr(C)]
pub(super) struct DotTask {
    /// `[SUMS]`: read, added to, written.
    pub(super) sums: *mut f32,
    pub(super) a: *const f32,
    pub(super) a_stride: usize,
    pub(super) b: *const f32,
    pub(super) b_stride: usize,
    /// How many steps; at least 1.
    pub(super) blocks: usize,
}

/// Three rows of `a` by `C` rows of `b`, one register of each block: `sums[(3 * c + r) * 4..][..4]`.
///
/// # Safety
/// The CPU has the instruction set, `C` is 1 to 3, and the rows are there.
#[unsafe(naked)]
pub(super) unsafe extern "C" fn dots_of_three<const C: usize>(task: &DotTask) {
    naked_asm!(
        ".arch armv7-a",
        ".fpu neon-vfpv4",
        "push {{r4-r9, lr}}",
        "vpush {{d8-d15}}",
        "ldm r0, {{r0-r5}}",
        "add r6, r1, r2",
        "add r7, r6, r2",
        "add r8, r3, r4",
        "add r9, r8, r4",
        "mov r12, #128",
        "mov lr, r0",
        "vldmia lr!, {{d8-d23}}",
        "vldmia lr, {{d24-d25}}",
        // a: q0, q1, q2; b: q3, q14, q15; sums: q4 to q12.
        "2:",
        "vld1.32 {{q0}}, [r1], r12",
        "vld1.32 {{q3}}, [r3], r12",
        "vld1.32 {{q1}}, [r6], r12",
        "vld1.32 {{q2}}, [r7], r12",
        ".if {c} > 1",
        "vld1.32 {{q14}}, [r8], r12",
        ".endif",
        "vfma.f32 q4, q0, q3",
        ".if {c} > 2",
        "vld1.32 {{q15}}, [r9], r12",
        ".endif",
        "vfma.f32 q5, q1, q3",
        "subs r5, r5, #1",
        "vfma.f32 q6, q2, q3",
        ".if {c} > 1",
        "vfma.f32 q7, q0, q14",
        "vfma.f32 q8, q1, q14",
        "vfma.f32 q9, q2, q14",
        ".endif",
        ".if {c} > 2",
        "vfma.f32 q10, q0, q15",
        "vfma.f32 q11, q1, q15",
        "vfma.f32 q12, q2, q15",
        ".endif",
        "bne 2b",
        "vstmia r0!, {{d8-d23}}",
        "vstmia r0, {{d24-d25}}",
        "vpop {{d8-d15}}",
        "pop {{r4-r9, pc}}",
        c = const C,
    )
}

/// One row of `a` by `C` rows of `b`, four registers of each block: `sums[c * 16..][..16]`.
///
/// # Safety
/// The CPU has the instruction set, `C` is 1 to 3, and the rows are there.
#[unsafe(naked)]
pub(super) unsafe extern "C" fn dots_of_one<const C: usize>(task: &DotTask) {
    naked_asm!(
        ".arch armv7-a",
        ".fpu neon-vfpv4",
        "push {{r4-r7, lr}}",
        "vpush {{d8-d15}}",
        "ldm r0, {{r0-r5}}",
        "add r6, r3, r4",
        "add r7, r6, r4",
        "mov r12, #96",
        "mov lr, r0",
        "vldmia lr!, {{d8-d23}}",
        "vldmia lr, {{d24-d31}}",
        // a: q0, q1; b: q2, q3; sums: q4 to q15.
        "2:",
        "vld1.32 {{d0-d3}}, [r1]!",
        "vld1.32 {{d4-d7}}, [r3]!",
        "subs r5, r5, #1",
        "vfma.f32 q4, q0, q2",
        "vfma.f32 q5, q1, q3",
        ".if {c} > 1",
        "vld1.32 {{d4-d7}}, [r6]!",
        "vfma.f32 q8, q0, q2",
        "vfma.f32 q9, q1, q3",
        ".endif",
        ".if {c} > 2",
        "vld1.32 {{d4-d7}}, [r7]!",
        "vfma.f32 q12, q0, q2",
        "vfma.f32 q13, q1, q3",
        ".endif",
        "vld1.32 {{d0-d3}}, [r1], r12",
        "vld1.32 {{d4-d7}}, [r3], r12",
        "vfma.f32 q6, q0, q2",
        "vfma.f32 q7, q1, q3",
        ".if {c} > 1",
        "vld1.32 {{d4-d7}}, [r6], r12",
        "vfma.f32 q10, q0, q2",
        "vfma.f32 q11, q1, q3",
        ".endif",
        ".if {c} > 2",
        "vld1.32 {{d4-d7}}, [r7], r12",
        "vfma.f32 q14, q0, q2",
        "vfma.f32 q15, q1, q3",
        ".endif",
        "bne 2b",
        "vstmia r0!, {{d8-d23}}",
        "vstmia r0, {{d24-d31}}",
        "vpop {{d8-d15}}",
        "pop {{r4-r7, pc}}",
        c = const C,
    )
}

/// Folds the 32 lanes of each of `count` dot products: `sums` of [`dots_of_three`] in 8 passes, of [`dots_of_one`] in 2.
///
/// # Safety
/// The CPU has the instruction set; `sums [PASSES, SUMS]`, `dots [count]`; `count` is not 0, `PASSES` 8 or 2.
#[unsafe(naked)]
pub(super) unsafe extern "C" fn fold<const PASSES: usize>(sums: *const f32, dots: *mut f32, count: usize) {
    naked_asm!(
        ".arch armv7-a",
        ".fpu neon-vfpv4",
        // The block's registers in order: q0 to q3, q8 to q11.
        "2:",
        "mov r12, r0",
        ".if {passes} == 8",
        "mov r3, #192",
        "vld1.32 {{q0}}, [r12], r3",
        "vld1.32 {{q1}}, [r12], r3",
        "vld1.32 {{q2}}, [r12], r3",
        "vld1.32 {{q3}}, [r12], r3",
        "vld1.32 {{q8}}, [r12], r3",
        "vld1.32 {{q9}}, [r12], r3",
        "vld1.32 {{q10}}, [r12], r3",
        "vld1.32 {{q11}}, [r12], r3",
        "add r0, r0, #16",
        ".else",
        "add r3, r0, #192",
        "vldmia r12, {{d0-d7}}",
        "vldmia r3, {{d16-d23}}",
        "add r0, r0, #64",
        ".endif",
        "subs r2, r2, #1",
        "vadd.f32 q0, q0, q8",
        "vadd.f32 q1, q1, q9",
        "vadd.f32 q2, q2, q10",
        "vadd.f32 q3, q3, q11",
        "vadd.f32 q0, q0, q2",
        "vadd.f32 q1, q1, q3",
        "vadd.f32 q0, q0, q1",
        "vadd.f32 d0, d0, d1",
        "vpadd.f32 d0, d0, d0",
        "vst1.32 {{d0[0]}}, [r1]!",
        "bne 2b",
        "bx lr",
        passes = const PASSES,
    )
}

/// Matrices for [`chains`].
#[repr(C)]
pub(super) struct ChainTask {
    /// `[6, 8]`: the result.
    pub(super) tile: *mut f32,
    /// `[M, 8]`, read only.
    pub(super) c: *const f32,
    pub(super) c_stride: usize,
    /// `[k, M]`.
    pub(super) a: *const f32,
    pub(super) a_stride: usize,
    /// `[k, 8]`.
    pub(super) b: *const f32,
    pub(super) b_stride: usize,
    /// At least 1.
    pub(super) k: usize,
}

/// `c + aᵀ b`, or `c - aᵀ b` if `MINUS` is 1, along the rows of `a` and `b` in order.
///
/// # Safety
/// The CPU has the instruction set, `M` is 1 to 6, and the matrices are there.
#[unsafe(naked)]
pub(super) unsafe extern "C" fn chains<const M: usize, const MINUS: usize>(task: &ChainTask) {
    naked_asm!(
        ".arch armv7-a",
        ".fpu neon-vfpv4",
        "push {{r4-r7, lr}}",
        "vpush {{d8-d15}}",
        "ldm r0, {{r0-r7}}",
        "vld1.32 {{d8-d11}}, [r1], r2",
        ".if {m} > 1",
        "vld1.32 {{d12-d15}}, [r1], r2",
        ".endif",
        ".if {m} > 2",
        "vld1.32 {{d16-d19}}, [r1], r2",
        ".endif",
        ".if {m} > 3",
        "vld1.32 {{d20-d23}}, [r1], r2",
        ".endif",
        ".if {m} > 4",
        "vld1.32 {{d24-d27}}, [r1], r2",
        ".endif",
        ".if {m} > 5",
        "vld1.32 {{d28-d31}}, [r1], r2",
        ".endif",
        // b: q0, q1; one element of a: q2 or q3; the tile: q4 to q15.
        "2:",
        "vld1.32 {{d0-d3}}, [r5], r6",
        "mov r12, r3",
        "add r3, r3, r4",
        "vld1.32 {{d4[], d5[]}}, [r12]!",
        ".if {m} > 1",
        "vld1.32 {{d6[], d7[]}}, [r12]!",
        ".endif",
        ".if {minus}",
        "vneg.f32 q0, q0",
        "vneg.f32 q1, q1",
        ".endif",
        "subs r7, r7, #1",
        "vfma.f32 q4, q0, q2",
        "vfma.f32 q5, q1, q2",
        ".if {m} > 2",
        "vld1.32 {{d4[], d5[]}}, [r12]!",
        ".endif",
        ".if {m} > 1",
        "vfma.f32 q6, q0, q3",
        "vfma.f32 q7, q1, q3",
        ".endif",
        ".if {m} > 3",
        "vld1.32 {{d6[], d7[]}}, [r12]!",
        ".endif",
        ".if {m} > 2",
        "vfma.f32 q8, q0, q2",
        "vfma.f32 q9, q1, q2",
        ".endif",
        ".if {m} > 4",
        "vld1.32 {{d4[], d5[]}}, [r12]!",
        ".endif",
        ".if {m} > 3",
        "vfma.f32 q10, q0, q3",
        "vfma.f32 q11, q1, q3",
        ".endif",
        ".if {m} > 5",
        "vld1.32 {{d6[], d7[]}}, [r12]!",
        ".endif",
        ".if {m} > 4",
        "vfma.f32 q12, q0, q2",
        "vfma.f32 q13, q1, q2",
        ".endif",
        ".if {m} > 5",
        "vfma.f32 q14, q0, q3",
        "vfma.f32 q15, q1, q3",
        ".endif",
        "bne 2b",
        "vstmia r0!, {{d8-d23}}",
        "vstmia r0, {{d24-d31}}",
        "vpop {{d8-d15}}",
        "pop {{r4-r7, pc}}",
        m = const M,
        minus = const MINUS,
    )
}

/// Vectors for [`axpy`], in blocks of 16 floats.
#[repr(C)]
pub(super) struct AxpyTask {
    pub(super) x: *const f32,
    pub(super) y: *mut f32,
    /// Becomes what `y` was.
    pub(super) old: *mut f32,
    /// At least 1.
    pub(super) blocks: usize,
    pub(super) alpha: f32,
}

/// `y += alpha * x`, fused.
///
/// # Safety
/// The CPU has the instruction set, and the vectors are there.
#[unsafe(naked)]
pub(super) unsafe extern "C" fn axpy(task: &AxpyTask) {
    naked_asm!(
        ".arch armv7-a",
        ".fpu neon-vfpv4",
        "add r12, r0, #16",
        "vld1.32 {{d24[], d25[]}}, [r12]",
        "ldm r0, {{r0-r3}}",
        "2:",
        "mov r12, r1",
        "vld1.32 {{d0-d3}}, [r0]!",
        "vld1.32 {{d16-d19}}, [r12]!",
        "vld1.32 {{d4-d7}}, [r0]!",
        "vld1.32 {{d20-d23}}, [r12]",
        "vst1.32 {{d16-d19}}, [r2]!",
        "vfma.f32 q8, q0, q12",
        "vfma.f32 q9, q1, q12",
        "vst1.32 {{d20-d23}}, [r2]!",
        "vfma.f32 q10, q2, q12",
        "vfma.f32 q11, q3, q12",
        "subs r3, r3, #1",
        "vst1.32 {{d16-d19}}, [r1]!",
        "vst1.32 {{d20-d23}}, [r1]!",
        "bne 2b",
        "bx lr",
    )
}

/// Widens `blocks` times 32 numbers of IEEE 754 binary16. None is flushed: each is normal as a float.
///
/// # Safety
/// The CPU has the instruction set, the vectors are there, and `blocks` is not 0.
#[unsafe(naked)]
pub(super) unsafe extern "C" fn widen(narrow: *const u16, wide: *mut f32, blocks: usize) {
    naked_asm!(
        ".arch armv7-a",
        ".fpu neon-vfpv4",
        "2:",
        ".rept 2",
        "vld1.16 {{d0-d3}}, [r0]!",
        "vcvt.f32.f16 q8, d0",
        "vcvt.f32.f16 q9, d1",
        "vcvt.f32.f16 q10, d2",
        "vcvt.f32.f16 q11, d3",
        "vst1.32 {{d16-d19}}, [r1]!",
        "vst1.32 {{d20-d23}}, [r1]!",
        ".endr",
        "subs r2, r2, #1",
        "bne 2b",
        "bx lr",
    )
}

/// Sum of products of `blocks` times 16 bytes: products of 16 bits, added in pairs to 32 bits without loss.
///
/// # Safety
/// The CPU has the instruction set, the vectors are there, and `blocks` is not 0.
#[unsafe(naked)]
pub(super) unsafe extern "C" fn dot_i8(a: *const i8, b: *const i8, blocks: usize) -> i32 {
    naked_asm!(
        ".arch armv7-a",
        ".fpu neon-vfpv4",
        "vmov.i32 q8, #0",
        "vmov.i32 q9, #0",
        "2:",
        "vld1.8 {{d0-d1}}, [r0]!",
        "vld1.8 {{d2-d3}}, [r1]!",
        "subs r2, r2, #1",
        "vmull.s8 q2, d0, d2",
        "vmull.s8 q3, d1, d3",
        "vpadal.s16 q8, q2",
        "vpadal.s16 q9, q3",
        "bne 2b",
        "vadd.i32 q8, q8, q9",
        "vadd.i32 d16, d16, d17",
        "vpadd.i32 d16, d16, d16",
        "vmov.32 r0, d16[0]",
        "bx lr",
    )
}

#[cfg(all(test, feature = "std"))]
mod tests {
    use super::*;

    /// `y += alpha * x` of 16 equal numbers. `None` if something was flushed.
    fn flushes(alpha: f32, x: f32, y: f32) -> bool {
        let (x, mut y, mut old) = ([x; 16], [y; 16], [0.0; 16]);
        let task = AxpyTask { x: x.as_ptr(), y: y.as_mut_ptr(), old: old.as_mut_ptr(), blocks: 1, alpha };
        // SAFETY: the tests below have asked the CPU; the vectors have one block.
        unflushed(|| unsafe { axpy(&task) }).is_none()
    }

    #[test]
    fn what_the_vector_unit_flushes_comes_to_notice() {
        if !crate::math::arm::has_simd() {
            return;
        }
        let least = f32::MIN_POSITIVE;
        for (alpha, x, y) in [(1.0, 1e-40, 1.0), (1e-40, 1.0, 0.0), (1.0, 1.0, 1e-45), (1e-45, 0.0, 0.0)] {
            assert!(flushes(alpha, x, y), "operands {alpha:e} {x:e} {y:e}");
        }
        for (alpha, x, y) in [(1e-20, 1e-20, 0.0), (0.5, least, 0.0), (-1.0, least * 1.5, least), (1e-30, 1e-30, 0.0)] {
            assert!(flushes(alpha, x, y), "results {alpha:e} {x:e} {y:e}");
        }
        for (alpha, x, y) in [(1.0, least, 0.0), (-1.0, least, least), (1e-30, 1e-30, 1.0), (f32::NAN, 0.0, 1.0)] {
            assert!(!flushes(alpha, x, y), "{alpha:e} {x:e} {y:e}");
        }
    }

    #[test]
    fn flags_are_left_as_they_were() {
        if !crate::math::arm::has_simd() {
            return;
        }
        let flags = || fpscr() & 0x88;
        let before = fpscr();
        for flag in [0, 0x80, 0x08] {
            set_fpscr(before & !0x88 | flag);
            assert!(flushes(1e-20, 1e-40, 0.0) && flags() == flag);
            assert!(!flushes(1.0, 1.0, 1.0) && flags() == flag);
        }
        set_fpscr(before);
    }
}
