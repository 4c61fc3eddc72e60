//! IEEE 754 binary16, half precision, as bits.

/// Largest finite number of half precision.
pub const MAX: f32 = 65504.0;

/// The value of binary16 bits, exactly.
///
/// ```
/// assert_eq!(topgraft_core::math::half::widen(0x3c00), 1.0);
/// ```
pub fn widen(bits: u16) -> f32 {
    let (sign, exponent, fraction) = (u32::from(bits >> 15) << 31, u32::from(bits >> 10) & 31, u32::from(bits) & 0x3ff);
    let magnitude = match exponent {
        // A subnormal is a multiple of 2^-24.
        0 => (fraction as f32 * f32::from_bits((127 - 24) << 23)).to_bits(),
        31 => 0xff << 23 | fraction << 13,
        _ => (exponent + 127 - 15) << 23 | fraction << 13,
    };
    f32::from_bits(sign | magnitude)
}

/// The nearest number of half precision, of two equally near ones the even one: infinite from 65520 on. NaN stays NaN.
///
/// ```
/// use topgraft_core::math::half::{narrow, widen};
/// assert_eq!(narrow(1.0), 0x3c00);
/// assert_eq!(widen(narrow(0.1)), 0.099975586);
/// ```
pub fn narrow(x: f32) -> u16 {
    let sign = (x.to_bits() >> 16) as u16 & 0x8000;
    let magnitude = x.to_bits() & 0x7fff_ffff;
    sign | match magnitude {
        0x7f80_0001.. => 0x7e00,
        // 65520 lies halfway between the largest number and the one that would come next.
        0x477f_f000.. => 0x7c00,
        // From 2^-14 on: the exponent's bias is 112 less, and 13 digits go.
        0x3880_0000.. => {
            let exact = magnitude - (112 << 23);
            ((exact + 0xfff + (exact >> 13 & 1)) >> 13) as u16
        }
        // Below lie the multiples of 2^-24; those are the numbers that f32 has from 0.5 on, to which the sum is rounded.
        _ => ((f32::from_bits(magnitude) + 0.5).to_bits() - 0.5f32.to_bits()) as u16,
    }
}

/// Whether binary16 bits are those of a number: not NaN, not infinite.
pub const fn is_finite(bits: u16) -> bool {
    bits & 0x7c00 != 0x7c00
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every f32 lies between two neighbours or on one: it is decided at their middle.
    #[test]
    fn each_number_is_its_own_nearest_and_the_middle_of_two_goes_to_the_even_one() {
        for bits in 0..0x7c00u16 {
            let number = widen(bits);
            assert_eq!((narrow(number), narrow(-number)), (bits, bits | 0x8000), "{number}");
            assert!(is_finite(bits) && is_finite(bits | 0x8000));
            let next = if bits == 0x7bff { 65536.0 } else { widen(bits + 1) };
            // Exact: both have 11 digits.
            let middle = (number + next) / 2.0;
            let even = bits + (bits & 1);
            assert_eq!(narrow(middle), even, "{middle}");
            assert_eq!((narrow(middle.next_down()), narrow(middle.next_up())), (bits, bits + 1), "{middle}");
        }
    }

    #[test]
    fn what_is_no_number_stays_so() {
        assert_eq!((narrow(f32::INFINITY), narrow(f32::NEG_INFINITY), narrow(f32::MAX)), (0x7c00, 0xfc00, 0x7c00));
        assert!(widen(narrow(f32::NAN)).is_nan() && widen(narrow(-f32::NAN)).is_nan());
        assert!(!is_finite(0x7c00) && !is_finite(0xfc00) && !is_finite(0x7e00));
        assert_eq!((widen(0x7bff), narrow(f32::from_bits(1)), narrow(-0.0)), (MAX, 0, 0x8000));
    }
}
