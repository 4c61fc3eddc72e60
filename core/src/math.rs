//! Elementary functions with the same bits on every CPU: only IEEE operations, in a fixed order, none left to a C library.
//!
//! `exp` and `ln` use plain multiplications and additions, which no compiler of Rust contracts, so that a CPU without
//! fused multiply-add gives the same bits too. Bounds are in units in the last place (ULP) of the exact result, swept by
//! the tests.

#[cfg(target_arch = "arm")]
pub(crate) mod arm;
pub mod half;

/// `a * b + c`, rounded once (IEEE 754 `fusedMultiplyAdd`).
#[inline(always)]
pub fn fma(a: f32, b: f32, c: f32) -> f32 {
    #[cfg(target_arch = "arm")]
    if let Some(fused) = arm::fma(a, b, c) {
        return fused;
    }
    #[cfg(feature = "std")]
    return a.mul_add(b, c);
    #[cfg(not(feature = "std"))]
    return fma_soft(a, b, c);
}

/// `fma` for a CPU without the instruction. The product of two f32 is exact in f64; the sum is rounded to odd there, so
/// that the second rounding, to f32, can't go wrong (Boldo & Melquiond 2008, "Emulation of FMA and correctly rounded
/// sums: proved algorithms using rounding to odd").
#[cfg_attr(feature = "std", allow(dead_code, reason = "the oracle of the test, and the no_std path"))]
fn fma_soft(a: f32, b: f32, c: f32) -> f32 {
    let (product, c) = (a as f64 * b as f64, c as f64);
    let sum = product + c;
    // TwoSum (Knuth): sum + error is exactly product + c.
    let c_part = sum - product;
    let error = (product - (sum - c_part)) + (c - c_part);
    if error == 0.0 || !sum.is_finite() || sum.to_bits() & 1 == 1 {
        return sum as f32;
    }
    // An inexact even sum goes one step towards the error: the odd neighbour.
    let away = (error > 0.0) == (sum > 0.0);
    f64::from_bits(if away { sum.to_bits() + 1 } else { sum.to_bits() - 1 }) as f32
}

/// Square root, correctly rounded. NaN below zero.
#[inline]
pub fn sqrt(x: f32) -> f32 {
    #[cfg(feature = "std")]
    return x.sqrt();
    #[cfg(all(target_arch = "arm", not(feature = "std")))]
    if let Some(root) = arm::sqrt(x) {
        return root;
    }
    #[cfg(not(feature = "std"))]
    return sqrt_soft(x);
}

/// `sqrt` digit by digit on the integer mantissa, as one does by hand.
#[cfg_attr(feature = "std", allow(dead_code, reason = "the oracle of the test, and the no_std path"))]
fn sqrt_soft(x: f32) -> f32 {
    if x == 0.0 || x.is_nan() || x == f32::INFINITY {
        return x;
    }
    if x < 0.0 {
        return f32::NAN;
    }
    // x = mantissa * 2^exponent with 24 bits of mantissa; 25, where the exponent must become odd.
    let bits = x.to_bits();
    let (mut mantissa, mut exponent) = (u64::from(bits & 0x7f_ffff), (bits >> 23) as i32 - 150);
    if bits >> 23 == 0 {
        let shift = mantissa.leading_zeros() as i32 - 40;
        mantissa <<= shift;
        exponent = -149 - shift;
    } else {
        mantissa |= 0x80_0000;
    }
    if exponent & 1 == 0 {
        mantissa <<= 1;
        exponent -= 1;
    }
    // 25 more bits give a root of 25 bits: 24 and the one that decides the rounding. A tie is impossible.
    mantissa <<= 25;
    let (mut root, mut rest, mut bit) = (0u64, mantissa, 1u64 << 48);
    while bit != 0 {
        if rest >= root + bit {
            rest -= root + bit;
            root = (root >> 1) + bit;
        } else {
            root >>= 1;
        }
        bit >>= 2;
    }
    let rounded = (root >> 1) + (root & 1);
    // Exact: 24 bits, and the exponent of a root is never subnormal.
    rounded as f32 * pow2((exponent - 25) / 2 + 1)
}

/// `2^exponent` for -126..=127.
#[inline(always)]
fn pow2(exponent: i32) -> f32 {
    // Wrapping, for the exponent of a NaN, where the result does not matter.
    f32::from_bits((exponent.wrapping_add(127) as u32) << 23)
}

/// Natural exponential, within 1 ULP where the result is normal. `exp(-inf) = 0`, `exp(88.73..) = inf`, NaN stays NaN.
///
/// Cody & Waite's reduction `x = k ln 2 + r` with ln 2 in two parts, then a polynomial of degree 6 on |r| <= ln(2)/2
/// (coefficients: minimax fit of `(exp(r) - 1 - r) / r^2`, Cephes `expf`).
#[inline(always)]
pub fn exp(x: f32) -> f32 {
    const LN2_HIGH: f32 = 0.693_359_4;
    const LN2_LOW: f32 = -2.121_944_4e-4;
    const INFINITE_ABOVE: f32 = 88.722_84;
    const ZERO_BELOW: f32 = -103.972_08;
    // No early returns, so that a loop over this becomes vector code. A clamped NaN is NaN.
    let inside = x.clamp(ZERO_BELOW, INFINITE_ABOVE);
    // Adding 1.5 * 2^23 rounds to the nearest whole number, which is then in the low bits.
    const ROUND: f32 = 12_582_912.0;
    let rounded = inside * core::f32::consts::LOG2_E + ROUND;
    let (k, exponent) = (rounded - ROUND, rounded.to_bits().wrapping_sub(ROUND.to_bits()) as i32);
    let r = inside - k * LN2_HIGH - k * LN2_LOW;
    let p = ((((1.987_569_2e-4 * r + 1.398_199_9e-3) * r + 8.333_452e-3) * r + 4.166_579_6e-2) * r + 1.666_666_5e-1)
        * r
        + 0.5;
    let y = (p * (r * r) + r) + 1.0;
    // Two factors, so that neither over- nor underflows before the product does.
    let half = exponent / 2;
    let y = y * pow2(half) * pow2(exponent - half);
    let y = if x > INFINITE_ABOVE { f32::INFINITY } else { y };
    if x < ZERO_BELOW { 0.0 } else { y }
}

/// Natural logarithm of `1 + x` for `x >= 0`, within 3 ULP: keeps the digits of a tiny `x`, which `ln(1 + x)` loses.
///
/// Kahan's correction: `ln(u) * x / (u - 1)` with `u = 1 + x` rounded.
#[inline(always)]
pub fn ln_1p(x: f32) -> f32 {
    let u = 1.0 + x;
    let y = ln(u) * (x / (u - 1.0));
    if u == 1.0 || u == f32::INFINITY { x } else { y }
}

/// Natural logarithm, within 1 ULP for normal `x`. `ln(0) = -inf`, NaN below zero.
///
/// `x = 2^k m` with m in sqrt(1/2)..sqrt(2), then a polynomial of degree 9 in `m - 1` (Cephes `logf`).
#[inline(always)]
pub fn ln(x: f32) -> f32 {
    let all = x;
    // Subnormals are scaled up first. No early returns, so that a loop over this becomes vector code.
    let (x, bias) = if x < f32::MIN_POSITIVE { (x * pow2(25), 25) } else { (x, 0) };
    // Subtracting the bits of sqrt(1/2) puts the mantissa's split there.
    const SPLIT: u32 = 0x3f35_04f3;
    let shifted = x.to_bits().wrapping_sub(SPLIT);
    let k = ((shifted as i32) >> 23).wrapping_sub(bias);
    let m = f32::from_bits((shifted & 0x7f_ffff) + SPLIT);
    let r = m - 1.0;
    let mut p = 7.037_683_6e-2;
    for c in [
        -1.151_461e-1,
        1.167_699_8e-1,
        -1.242_014_1e-1,
        1.424_932_3e-1,
        -1.666_805_7e-1,
        2.000_071_5e-1,
        -2.499_999_4e-1,
        3.333_333e-1,
    ] {
        p = p * r + c;
    }
    let (square, k) = (r * r, k as f32);
    let mut y = p * r * square + k * -2.121_944_4e-4;
    y -= 0.5 * square;
    let y = (r + y) + k * 0.693_359_4;
    let y = if all == f32::INFINITY { all } else { y };
    let y = if all == 0.0 { f32::NEG_INFINITY } else { y };
    if all >= 0.0 { y } else { f32::NAN }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Distance in units in the last place of `exact`, rounded to f32.
    fn ulps(got: f32, exact: f64) -> f64 {
        let rounded = exact as f32;
        let ulp = (f32::from_bits(rounded.abs().to_bits() + 1) - rounded.abs()) as f64;
        (got as f64 - exact).abs() / ulp
    }

    /// Every `step`-th bit pattern of a range of positive floats.
    fn sweep(from: f32, to: f32, step: usize) -> impl Iterator<Item = f32> {
        (from.to_bits()..=to.to_bits()).step_by(step).map(f32::from_bits)
    }

    #[test]
    fn exp_is_within_one_ulp() {
        for x in sweep(1e-10, 88.72, 1009).flat_map(|x| [x, -x]).filter(|x| *x > -87.3) {
            assert!(ulps(exp(x), (x as f64).exp()) <= 1.0, "exp({x:e}) = {:e}", exp(x));
        }
        for x in sweep(87.3, 103.9, 101) {
            assert!((exp(-x) as f64 - (-x as f64).exp()).abs() <= 1.5 * f32::from_bits(1) as f64, "exp(-{x})");
        }
    }

    #[test]
    fn ln_is_within_one_ulp_and_ln_1p_within_three() {
        for x in sweep(f32::MIN_POSITIVE, f32::MAX, 10007) {
            assert!(ulps(ln(x), (x as f64).ln()) <= 1.0, "ln({x:e}) = {:e}", ln(x));
            assert!(ulps(ln_1p(x), (x as f64).ln_1p()) <= 3.0, "ln_1p({x:e}) = {:e}", ln_1p(x));
        }
        for x in sweep(0.5, 2.0, 7) {
            assert!(x == 1.0 || ulps(ln(x), (x as f64).ln()) <= 1.0, "ln({x:e}) = {:e}", ln(x));
        }
    }

    #[test]
    fn the_ends_of_the_range_are_defined() {
        assert_eq!([exp(0.0), exp(f32::NEG_INFINITY), exp(-200.0)], [1.0, 0.0, 0.0]);
        assert_eq!([exp(89.0), exp(f32::INFINITY)], [f32::INFINITY; 2]);
        assert_eq!([ln(1.0), ln(0.0), ln(f32::INFINITY)], [0.0, f32::NEG_INFINITY, f32::INFINITY]);
        assert_eq!([ln_1p(0.0), ln_1p(f32::INFINITY)], [0.0, f32::INFINITY]);
        assert!([exp(f32::NAN), ln(f32::NAN), ln(-1.0), ln_1p(f32::NAN), sqrt(-1.0)].iter().all(|y| y.is_nan()));
        assert!((ln(f32::from_bits(1)) as f64 - (f32::from_bits(1) as f64).ln()).abs() < 1e-5);
    }

    /// A generator of bit patterns (SplitMix64), so that every exponent occurs.
    #[cfg(feature = "std")]
    fn patterns(mut state: u64) -> impl Iterator<Item = f32> {
        core::iter::repeat_with(move || {
            state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let z = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            f32::from_bits((z >> 32) as u32)
        })
    }

    #[cfg(feature = "std")]
    #[test]
    fn soft_fma_and_sqrt_have_the_bits_of_the_hardware() {
        let same = |x: f32, y: f32| x.to_bits() == y.to_bits() || (x.is_nan() && y.is_nan());
        let mut bits = patterns(1);
        for _ in 0..2_000_000 {
            let [a, b, c] = [bits.next().unwrap(), bits.next().unwrap(), bits.next().unwrap()];
            // Also a c that nearly cancels the product, and one of the same size, where rounding is delicate.
            for c in [c, -(a * b), a * b * 1.5, f32::from_bits((a * b).to_bits().wrapping_sub(25 << 23))] {
                assert!(same(fma_soft(a, b, c), a.mul_add(b, c)), "fma({a:e}, {b:e}, {c:e})");
            }
            assert!(same(sqrt_soft(a), a.sqrt()), "sqrt({a:e})");
        }
    }
}
