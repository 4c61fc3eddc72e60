//! The hardware's fused multiply-add of 32-bit ARM, where Rust's own is a call to the C library, or is not there at all
//! (without `std`).
//!
//! | target | CPU | |
//! |---|---|---|
//! | Linux, hard-float | Cortex-A7, A15, A53, A72 ... (VFPv4) | asked of the kernel once, at run time |
//! | Linux, hard-float | ARMv6 (Pi Zero), Cortex-A8, A9 | has none: software, the same bits |
//! | no system, hard-float, Cortex-M | M4F, M7, M33 ... | each has it |
//! | all others | | software, the same bits |

#[cfg(all(target_abi = "eabihf", target_os = "none", not(target_has_atomic = "64")))]
use cortex_m as cpu;
#[cfg(all(target_abi = "eabihf", target_os = "linux"))]
use linux as cpu;
#[cfg(not(all(
    target_abi = "eabihf",
    any(target_os = "linux", all(target_os = "none", not(target_has_atomic = "64")))
)))]
use software as cpu;

pub(super) use cpu::fma;
#[cfg(not(feature = "std"))]
pub(super) use cpu::sqrt;
#[cfg(all(target_abi = "eabihf", target_os = "linux"))]
pub(crate) use linux::{has_simd, vfma};

#[cfg(all(target_abi = "eabihf", target_os = "linux"))]
mod linux {
    // Bits of `AT_HWCAP` (arch/arm/include/uapi/asm/hwcap.h).
    const NEON: u32 = 1 << 12;
    const VFPV4: u32 = 1 << 16;

    /// Whether the CPU has Advanced SIMD with fused multiply-add, and [`vfma`] too.
    #[inline(always)]
    pub(crate) fn has_simd() -> bool {
        has(NEON | VFPV4)
    }

    /// `a * b + c`, rounded once, if the CPU has it.
    #[inline(always)]
    pub(crate) fn fma(a: f32, b: f32, c: f32) -> Option<f32> {
        // SAFETY: it has.
        has(VFPV4).then(|| unsafe { vfma(a, b, c) })
    }

    /// `a * b + c`, rounded once. Subnormals are kept, which the vector instruction does not do.
    ///
    /// # Safety
    /// The CPU has VFPv4.
    #[inline(always)]
    pub(crate) unsafe fn vfma(a: f32, b: f32, mut c: f32) -> f32 {
        // SAFETY: the caller's promise; the instruction only changes its register.
        unsafe {
            core::arch::asm!(".fpu vfpv4", "vfma.f32 {c}, {a}, {b}", c = inout(sreg) c, a = in(sreg) a,
                b = in(sreg) b, options(pure, nomem, nostack));
        }
        c
    }

    /// Square root, correctly rounded: part of every VFP.
    #[cfg(not(feature = "std"))]
    #[inline(always)]
    pub(crate) fn sqrt(mut x: f32) -> Option<f32> {
        // SAFETY: the hard-float ABI needs VFP; the instruction only changes its register.
        unsafe { core::arch::asm!("vsqrt.f32 {x}, {x}", x = inout(sreg) x, options(pure, nomem, nostack)) }
        Some(x)
    }

    /// Whether the CPU has all of `bits`. The kernel is asked only once.
    #[cfg(feature = "std")]
    #[inline(always)]
    fn has(bits: u32) -> bool {
        use core::sync::atomic::{AtomicU32, Ordering::Relaxed};
        static CACHE: AtomicU32 = AtomicU32::new(0);
        let mut cached = CACHE.load(Relaxed);
        if cached == 0 {
            cached = ask();
            CACHE.store(cached, Relaxed);
        }
        cached & bits == bits
    }

    /// The bits of the CPU, and bit 0, so that it is never 0.
    #[cfg(feature = "std")]
    #[cold]
    fn ask() -> u32 {
        use core::ffi::c_ulong;
        unsafe extern "C" {
            fn getauxval(kind: c_ulong) -> c_ulong;
        }
        const AT_HWCAP: c_ulong = 16;
        // SAFETY: the C libraries of Linux have it; any kind may be asked for.
        (unsafe { getauxval(AT_HWCAP) }) as u32 & (NEON | VFPV4) | 1
    }

    /// Nobody to ask: what the compiler may use.
    #[cfg(not(feature = "std"))]
    fn has(bits: u32) -> bool {
        (!cfg!(target_feature = "neon") as u32 * NEON | !cfg!(target_feature = "vfp4") as u32 * VFPV4) & bits == 0
    }
}

// Of ARM's hard-float targets only those of Cortex-M are without 64-bit atomics.
#[cfg(all(target_abi = "eabihf", target_os = "none", not(target_has_atomic = "64")))]
mod cortex_m {
    use core::arch::asm;

    // Through integer registers, since the compiler refuses `sreg` where the unit has single precision only. The operands
    // mostly come from memory, and are loaded there at no cost.

    /// `a * b + c`, rounded once.
    #[inline(always)]
    pub(crate) fn fma(a: f32, b: f32, mut c: f32) -> Option<f32> {
        // SAFETY: each hard-float Cortex-M has the instruction (FPv4, FPv5); only the named registers change.
        unsafe {
            asm!("vmov s0, {a}", "vmov s1, {b}", "vmov s2, {c}", "vfma.f32 s2, s0, s1", "vmov {c}, s2",
                a = in(reg) a, b = in(reg) b, c = inout(reg) c, out("s0") _, out("s1") _, out("s2") _,
                options(pure, nomem, nostack));
        }
        Some(c)
    }

    /// Square root, correctly rounded.
    #[inline(always)]
    pub(crate) fn sqrt(mut x: f32) -> Option<f32> {
        // SAFETY: as above.
        unsafe {
            asm!("vmov s0, {x}", "vsqrt.f32 s0, s0", "vmov {x}, s0", x = inout(reg) x, out("s0") _,
                options(pure, nomem, nostack));
        }
        Some(x)
    }
}

#[cfg(not(all(
    target_abi = "eabihf",
    any(target_os = "linux", all(target_os = "none", not(target_has_atomic = "64")))
)))]
mod software {
    pub(crate) fn fma(_: f32, _: f32, _: f32) -> Option<f32> {
        None
    }

    #[cfg(not(feature = "std"))]
    pub(crate) fn sqrt(_: f32) -> Option<f32> {
        None
    }
}
