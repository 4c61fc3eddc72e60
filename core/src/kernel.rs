//! The safe front of the vector kernels. Each has the same bits on every instruction set.
//!
//! A [`Kernels`] value proves that the CPU has its instruction set; only checked constructors make one. What each kernel
//! computes, and in which order it sums, is written down once, in `kernel/scalar.rs`: that file is the specification.
//!
//! | CPU | kernels |
//! |---|---|
//! | x86-64 with AVX2 or AVX-512 | [`Isa::Avx2`], [`Isa::Avx512`] |
//! | aarch64: each | [`Isa::Neon`]; dot products of bytes with `sdot` where the CPU has it (Pi 5) |
//! | 32-bit ARM Linux, hard-float, with NEON and VFPv4: Cortex-A7, A15, A53, A72 (Pi 2, 3, 4, Zero 2) | [`Isa::Armv7`] |
//! | Cortex-M4F, M7, M33 ... with `eabihf` | [`Isa::Scalar`], with the hardware's fused multiply-add and square root |
//! | ARMv6 (Pi Zero), Cortex-A8, A9, soft-float ABIs, all others | [`Isa::Scalar`]; fused multiply-add by software, slower |
//!
//! Matrices are row-major. NaN in gives NaN out, its payload is not specified.
//!
//! ```
//! use topgraft_core::kernel::Kernels;
//! let kernels = Kernels::detect();
//! assert_eq!(kernels.dot(&[1.0, 2.0, 3.0], &[4.0, 5.0, 6.0]), 32.0);
//! ```

/// The kernels of an instruction set that the compiler makes of the specification: elements are independent, and loops are plain.
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
macro_rules! by_the_compiler {
    ($features:literal) => {
        by_the_compiler! { $features:
            exp(x: &mut [f32]);
            ln(x: &mut [f32]);
            softmax_rows(n_classes: usize, logits: &mut [f32]);
            cross_entropy_rows(n_classes: usize, logits: &mut [f32], labels: &[u16], losses: &mut [f32]);
            pool(pooling: $crate::kernel::Pooling, window: &$crate::kernel::Window, maps: [&$crate::kernel::Map; 2],
                rows: core::ops::Range<usize>, x: &[f32], y: &mut [f32]);
            add(x: &[f32], bounds: [f32; 2], y: &mut [f32]);
            multiply(x: &[f32], y: &mut [f32]);
            bend(curve: $crate::kernel::Curve, y: &mut [f32]);
            scale_rows(scale: &[f32], shift: &[f32], bounds: [f32; 2], y: &mut [f32]);
        }
    };
    ($features:literal: $($kernel:ident($($name:ident: $type:ty),*);)*) => {$(
        #[target_feature(enable = $features)]
        pub(super) fn $kernel($($name: $type),*) {
            $crate::kernel::scalar::$kernel($($name),*)
        }
    )*};
}

#[cfg(all(target_arch = "arm", target_abi = "eabihf", target_os = "linux"))]
mod armv7;
#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
#[cfg(all(target_arch = "arm", feature = "dsp"))]
mod dsp;
#[cfg(any(
    target_arch = "x86_64",
    target_arch = "aarch64",
    all(target_arch = "arm", target_abi = "eabihf", target_os = "linux")
))]
mod lanes;
mod maps;
#[cfg(target_arch = "aarch64")]
mod neon;
mod scalar;

pub use maps::{Convolution, Curve, Map, Pooling, Window, pack_filters, packed_filters};

/// Partial sums of a dot product, the same on every CPU: 2 AVX-512, 4 AVX2 or 8 NEON registers.
pub const LANES: usize = 32;

/// The longest vectors of [`Kernels::dot_i8`]: even `-128 * -128` in each place fits 32 bits.
pub const MAX_LEN_I8: usize = (i32::MAX as usize) / (128 * 128);

/// Floats that [`aligned`] takes off a slice at most.
pub const ALIGNMENT_SLACK: usize = 15;

/// The part of a slice from the first multiple of 64 bytes on, where the cache line of most CPUs begins: loads that cross
/// one cost the fastest kernels a tenth or more. A large `Vec` starts 16 bytes beyond one with glibc. Of a slice that is
/// longer by [`ALIGNMENT_SLACK`] enough is left; no result depends on it.
///
/// ```
/// use topgraft_core::kernel::{ALIGNMENT_SLACK, aligned};
/// let mut features = vec![0.0; 1000 + ALIGNMENT_SLACK];
/// assert!(aligned(&mut features).len() >= 1000);
/// assert!(aligned(&mut features).as_ptr().addr().is_multiple_of(64));
/// ```
pub fn aligned(floats: &mut [f32]) -> &mut [f32] {
    let skip = floats.as_ptr().align_offset(64).min(ALIGNMENT_SLACK).min(floats.len());
    &mut floats[skip..]
}

/// An instruction set that kernels are written for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Isa {
    /// No vectors: the specification, and the fallback.
    Scalar,
    /// x86-64 with AVX2, FMA and F16C (all that have AVX2 have F16C).
    Avx2,
    /// x86-64 with AVX-512F.
    Avx512,
    /// 32-bit ARM Linux with Advanced SIMD and VFPv4 (Cortex-A7, A15, A53, A72 ...), hard-float ABI.
    Armv7,
    /// aarch64 Advanced SIMD.
    Neon,
    /// The DSP extension of Cortex-M4, M7 and M33, with the feature `dsp`: for int8 only.
    Dsp,
}

impl Isa {
    /// Every instruction set, the fastest last.
    pub const ALL: [Isa; 6] = [Isa::Scalar, Isa::Dsp, Isa::Avx2, Isa::Avx512, Isa::Armv7, Isa::Neon];

    /// Lower-case name, as in messages and benches.
    pub fn name(self) -> &'static str {
        match self {
            Isa::Scalar => "scalar",
            Isa::Avx2 => "avx2",
            Isa::Avx512 => "avx512",
            Isa::Armv7 => "armv7",
            Isa::Neon => "neon",
            Isa::Dsp => "dsp",
        }
    }
}

/// Vector kernels of one instruction set, which the CPU has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kernels {
    isa: Isa,
}

/// Calls the kernel of `self.isa`. The arms of other architectures are not compiled.
macro_rules! dispatch {
    ($self:ident . $kernel:ident ( $($argument:expr),* )) => {
        match $self.isa {
            // SAFETY: `isa` is private and set only by `new`, after the CPU or the compiler's target vouched for it.
            #[cfg(target_arch = "x86_64")]
            $crate::kernel::Isa::Avx512 => unsafe { $crate::kernel::avx512::$kernel($($argument),*) },
            // SAFETY: as above.
            #[cfg(target_arch = "x86_64")]
            $crate::kernel::Isa::Avx2 => unsafe { $crate::kernel::avx2::$kernel($($argument),*) },
            // SAFETY: as above.
            #[cfg(target_arch = "aarch64")]
            $crate::kernel::Isa::Neon => unsafe { $crate::kernel::neon::$kernel($($argument),*) },
            // SAFETY: as above.
            #[cfg(all(target_arch = "arm", feature = "dsp"))]
            #[allow(unused_unsafe, reason = "those that are the scalar kernels are safe")]
            $crate::kernel::Isa::Dsp => unsafe { $crate::kernel::dsp::$kernel($($argument),*) },
            // SAFETY: as above.
            #[cfg(all(target_arch = "arm", target_abi = "eabihf", target_os = "linux"))]
            #[allow(unused_unsafe, reason = "those that are the scalar kernels are safe")]
            $crate::kernel::Isa::Armv7 => unsafe { $crate::kernel::armv7::$kernel($($argument),*) },
            _ => $crate::kernel::scalar::$kernel($($argument),*),
        }
    };
}

use dispatch;

impl Kernels {
    /// The kernels of `isa`, or `None` where this CPU has not got it. Without the `std` feature, where the CPU can't be
    /// asked, `None` unless the instruction set is enabled at compile time.
    pub fn new(isa: Isa) -> Option<Self> {
        let has = match isa {
            Isa::Scalar => true,
            #[cfg(all(target_arch = "x86_64", feature = "std"))]
            Isa::Avx2 => {
                std::is_x86_feature_detected!("avx2")
                    && std::is_x86_feature_detected!("fma")
                    && std::is_x86_feature_detected!("f16c")
            }
            #[cfg(all(target_arch = "x86_64", feature = "std"))]
            Isa::Avx512 => std::is_x86_feature_detected!("avx512f"),
            #[cfg(all(target_arch = "x86_64", not(feature = "std")))]
            Isa::Avx2 => {
                cfg!(all(target_feature = "avx2", target_feature = "fma", target_feature = "f16c"))
            }
            #[cfg(all(target_arch = "x86_64", not(feature = "std")))]
            Isa::Avx512 => cfg!(target_feature = "avx512f"),
            #[cfg(all(target_arch = "arm", target_abi = "eabihf", target_os = "linux"))]
            Isa::Armv7 => crate::math::arm::has_simd(),
            // Part of the aarch64 base that Rust's targets enable, but for the soft-float ones.
            #[cfg(target_arch = "aarch64")]
            Isa::Neon => cfg!(target_feature = "neon"),
            // Where the CPU has it not, the assembler has refused it.
            #[cfg(all(target_arch = "arm", feature = "dsp"))]
            Isa::Dsp => true,
            #[allow(unreachable_patterns, reason = "the arms above depend on the target")]
            _ => false,
        };
        has.then_some(Self { isa })
    }

    /// The fastest kernels that this CPU has.
    pub fn detect() -> Self {
        Self::available().last().unwrap_or(Self { isa: Isa::Scalar })
    }

    /// All kernels that this CPU has, the scalar ones first. Tests loop over these.
    pub fn available() -> impl Iterator<Item = Self> {
        Isa::ALL.into_iter().filter_map(Self::new)
    }

    /// The instruction set.
    pub fn isa(self) -> Isa {
        self.isa
    }

    /// Sum of `a[k] * b[k]`.
    ///
    /// # Panics
    /// If the lengths differ.
    #[inline]
    pub fn dot(self, a: &[f32], b: &[f32]) -> f32 {
        assert!(a.len() == b.len(), "dot: lengths differ");
        dispatch!(self.dot(a, b))
    }

    /// `y[k] += alpha * x[k]`, fused.
    ///
    /// # Panics
    /// If the lengths differ.
    #[inline]
    pub fn axpy(self, alpha: f32, x: &[f32], y: &mut [f32]) {
        assert!(x.len() == y.len(), "axpy: lengths differ");
        dispatch!(self.axpy(alpha, x, y))
    }

    /// `c = a * bᵀ`: `a [m, k]`, `b [n, k]`, `c [m, n]`. Each element is [`dot`](Self::dot) of a row of `a` and a row of `b`,
    /// bit for bit. With features for `a` and weights for `b`: the logits.
    ///
    /// # Panics
    /// If a slice's length is not what `m`, `n` and `k` say.
    #[inline]
    pub fn gemm_nt(self, [m, n, k]: [usize; 3], a: &[f32], b: &[f32], c: &mut [f32]) {
        check("gemm_nt", [a.len(), b.len(), c.len()], [(m, k), (n, k), (m, n)]);
        dispatch!(self.gemm_nt([m, n, k], a, b, c))
    }

    /// `c += aᵀ * b`: `a [k, m]`, `b [k, n]`, `c [m, n]`. Each element is one chain of fused multiply-adds that starts at
    /// `c` and goes through the `k` rows in order. With residuals for `a` and features for `b`: the gradient.
    ///
    /// # Panics
    /// If a slice's length is not what `m`, `n` and `k` say.
    #[inline]
    pub fn gemm_tn(self, [m, n, k]: [usize; 3], a: &[f32], b: &[f32], c: &mut [f32]) {
        check("gemm_tn", [a.len(), b.len(), c.len()], [(k, m), (k, n), (m, n)]);
        dispatch!(self.gemm_tn([m, n, k], a, b, c))
    }

    /// `y [m] = a x`: `a [m, k]`, `x [k]`. Each element is [`dot`](Self::dot) of a row and `x`, bit for bit.
    ///
    /// # Panics
    /// If a slice's length is not what `m` and `k` say.
    #[inline]
    pub fn gemv(self, [m, k]: [usize; 2], a: &[f32], x: &[f32], y: &mut [f32]) {
        check("gemv", [a.len(), x.len(), y.len()], [(m, k), (1, k), (1, m)]);
        dispatch!(self.gemm_nt([1, m, k], x, a, y))
    }

    /// `a += alpha * x * yᵀ`: `a [m, n]`, `x [m]`, `y [n]`. Row `i` is [`axpy`](Self::axpy) with `alpha * x[i]`, rounded.
    ///
    /// # Panics
    /// If the length of `a` is not `m * n`.
    #[inline]
    pub fn ger(self, alpha: f32, x: &[f32], y: &[f32], a: &mut [f32]) {
        check("ger", [a.len()], [(x.len(), y.len())]);
        for (x, row) in x.iter().zip(a.chunks_exact_mut(y.len().max(1))) {
            self.axpy(alpha * x, y, row);
        }
    }

    /// `a += alpha * x * xᵀ`, in the upper triangle of `a [n, n]` only, as [`cholesky`](Self::cholesky) reads it: `x [n]`. The
    /// elements `i..` of row `i` are [`axpy`](Self::axpy) with `alpha * x[i]`, rounded.
    ///
    /// # Panics
    /// If the length of `a` is not `n * n`.
    #[inline]
    pub fn syr(self, alpha: f32, x: &[f32], a: &mut [f32]) {
        check("syr", [a.len()], [(x.len(), x.len())]);
        for (i, row) in a.chunks_exact_mut(x.len().max(1)).enumerate() {
            self.axpy(alpha * x[i], &x[i..], &mut row[i..]);
        }
    }

    /// Gram matrix `c [n, n] = a * aᵀ`: `a [n, k]`. Both triangles are filled; each element is [`dot`](Self::dot) of two rows
    /// of `a`, bit for bit, for half of the work that [`gemm_nt`](Self::gemm_nt) has.
    ///
    /// # Panics
    /// If a slice's length is not what `n` and `k` say.
    #[inline]
    pub fn syrk_nt(self, [n, k]: [usize; 2], a: &[f32], c: &mut [f32]) {
        check("syrk_nt", [a.len(), c.len()], [(n, k), (n, n)]);
        dispatch!(self.syrk_nt([n, k], a, c))
    }

    /// Cholesky factor of a symmetric matrix in place: `a [n, n]`, of which the upper triangle is read, becomes U of
    /// `a = Uᵀ U`, upper triangular with a positive diagonal. Row `k` of U starts at `a[k * n + k]`. The strict lower triangle
    /// is left with no particular content.
    ///
    /// Each element is one chain of fused `-U[k][i] * U[k][j]` over the rows `k < i` in order, starting at `a[i][j]`; then the
    /// pivot's square root is taken, and the rest of its row divided by that.
    ///
    /// # Errors
    /// The index of the first pivot that is not positive and finite; `a` is then left with no particular content.
    ///
    /// # Panics
    /// If the length of `a` is not `n * n`.
    ///
    /// ```
    /// let mut a = [4.0, 2.0, 2.0, 5.0];
    /// topgraft_core::kernel::Kernels::detect().cholesky(2, &mut a)?;
    /// assert_eq!([a[0], a[1], a[3]], [2.0, 1.0, 2.0]);
    /// # Ok::<(), usize>(())
    /// ```
    #[inline]
    pub fn cholesky(self, n: usize, a: &mut [f32]) -> Result<(), usize> {
        check("cholesky", [a.len()], [(n, n)]);
        dispatch!(self.cholesky(n, a))
    }

    /// Solves `Uᵀ x = b` in place for `m` right-hand sides: `u [n, n]`, of which the upper triangle is read, and `b [m, n]`:
    /// each row is a right-hand side, and becomes its solution.
    ///
    /// Each element is one chain of fused `-U[k][i] * x[k]` over `k < i` in order, starting at `b[i]`, divided by `U[i][i]`.
    ///
    /// # Panics
    /// If a slice's length is not what `n` and `m` say.
    #[inline]
    pub fn solve_upper_transposed(self, [n, m]: [usize; 2], u: &[f32], b: &mut [f32]) {
        check("solve_upper_transposed", [u.len(), b.len()], [(n, n), (m, n)]);
        dispatch!(self.solve_upper_transposed([n, m], u, b))
    }

    /// Solves `U x = b` in place for `m` right-hand sides: `u [n, n]`, of which the upper triangle is read, and `b [m, n]`:
    /// each row is a right-hand side, and becomes its solution. After [`cholesky`](Self::cholesky) and
    /// [`solve_upper_transposed`](Self::solve_upper_transposed) the solution of `a x = b`.
    ///
    /// For element `i`, `e` is the first multiple of 32 above `i`, or `n`: from `b[i]` is taken the [`dot`](Self::dot) of
    /// `U[i][e..]` and `x[e..]`, then, fused, `U[i][k] * x[k]` for `k` from `e - 1` down to `i + 1`; divided by `U[i][i]`.
    ///
    /// # Panics
    /// If a slice's length is not what `n` and `m` say.
    #[inline]
    pub fn solve_upper(self, [n, m]: [usize; 2], u: &[f32], b: &mut [f32]) {
        check("solve_upper", [u.len(), b.len()], [(n, n), (m, n)]);
        dispatch!(self.solve_upper([n, m], u, b))
    }

    /// Natural exponential of each element, in place: [`math::exp`](crate::math::exp), bit for bit.
    #[inline]
    pub fn exp(self, x: &mut [f32]) {
        dispatch!(self.exp(x))
    }

    /// Natural logarithm of each element, in place: [`math::ln`](crate::math::ln), bit for bit.
    #[inline]
    pub fn ln(self, x: &mut [f32]) {
        dispatch!(self.ln(x))
    }

    /// Softmax of each row of `logits [n_samples, n_classes]`, in place: `exp(z - max z)`, divided by their sum, which is taken
    /// in the order of [`dot`](Self::dot). A row with a NaN, with two `+inf`, or of `-inf` only becomes NaN.
    ///
    /// # Panics
    /// If the length is not a multiple of `n_classes`.
    #[inline]
    pub fn softmax_rows(self, n_classes: usize, logits: &mut [f32]) {
        assert!(logits.len().is_multiple_of(n_classes), "softmax_rows: slice has no rows of {n_classes}");
        if n_classes > 0 {
            dispatch!(self.softmax_rows(n_classes, logits))
        }
    }

    /// Turns each row of `logits [n_samples, n_classes]` into `softmax - one_hot(label)`, the gradient with respect to the
    /// logits, and writes `-ln softmax[label]` to `losses [n_samples]`; `labels [n_samples]`. Both keep all their digits where
    /// the label is almost certain.
    ///
    /// # Panics
    /// If a slice's length does not fit, or a label is not below `n_classes`.
    #[inline]
    pub fn cross_entropy_rows(self, n_classes: usize, logits: &mut [f32], labels: &[u16], losses: &mut [f32]) {
        let n_samples = labels.len();
        check("cross_entropy_rows", [logits.len(), losses.len()], [(n_samples, n_classes), (1, n_samples)]);
        assert!(labels.iter().all(|label| (*label as usize) < n_classes), "cross_entropy_rows: no such class");
        dispatch!(self.cross_entropy_rows(n_classes, logits, labels, losses))
    }

    /// Sum of `a[k] * b[k]`, `a` in the bits of IEEE 754 binary16. Each is widened, exactly; then as [`dot`](Self::dot).
    ///
    /// # Panics
    /// If the lengths differ.
    #[inline]
    pub fn dot_f16(self, a: &[u16], b: &[f32]) -> f32 {
        assert!(a.len() == b.len(), "dot_f16: lengths differ");
        dispatch!(self.dot_f16(a, b))
    }

    /// `y [m] = a x`: `a [m, k]` in the bits of IEEE 754 binary16, `x [k]`. Each element is [`dot_f16`](Self::dot_f16).
    ///
    /// # Panics
    /// If a slice's length is not what `m` and `k` say.
    #[inline]
    pub fn gemv_f16(self, [m, k]: [usize; 2], a: &[u16], x: &[f32], y: &mut [f32]) {
        check("gemv_f16", [a.len(), x.len(), y.len()], [(m, k), (1, k), (1, m)]);
        dispatch!(self.gemv_f16([m, k], a, x, y))
    }

    /// Sum of `a[k] * b[k]`, exactly.
    ///
    /// # Panics
    /// If the lengths differ, or are above [`MAX_LEN_I8`].
    #[inline]
    pub fn dot_i8(self, a: &[i8], b: &[i8]) -> i32 {
        assert!(a.len() == b.len(), "dot_i8: lengths differ");
        assert!(a.len() <= MAX_LEN_I8, "dot_i8: longer than {MAX_LEN_I8}");
        dispatch!(self.dot_i8(a, b))
    }

    /// `y [m] = a x`, exactly: `a [m, k]`, `x [k]`.
    ///
    /// # Panics
    /// If a slice's length is not what `m` and `k` say, or `k` is above [`MAX_LEN_I8`].
    #[inline]
    pub fn gemv_i8(self, [m, k]: [usize; 2], a: &[i8], x: &[i8], y: &mut [i32]) {
        check("gemv_i8", [a.len(), x.len(), y.len()], [(m, k), (1, k), (1, m)]);
        assert!(k <= MAX_LEN_I8, "gemv_i8: rows longer than {MAX_LEN_I8}");
        dispatch!(self.gemv_i8([m, k], a, x, y))
    }
}

/// Panics unless each length is the product of its shape. The kernels' unchecked reads rest on this.
fn check<const N: usize>(kernel: &str, lengths: [usize; N], shapes: [(usize, usize); N]) {
    for (length, (rows, columns)) in lengths.into_iter().zip(shapes) {
        // No `assert_eq`: a firmware would carry the code that shows two values.
        assert!(rows.checked_mul(columns) == Some(length), "{kernel}: slice is not [{rows}, {columns}]");
    }
}

#[cfg(all(test, feature = "std"))]
mod tests;
