//! Numbers narrower than f32: bits against the specification, and that against arithmetic of its own.

use super::*;

/// Bit patterns of every kind, the same each time.
fn patterns(seed: u64, len: usize) -> Vec<u64> {
    numbers(seed, len).iter().map(|x| u64::from(x.to_bits()).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32).collect()
}

#[test]
fn every_half_precision_number_is_widened_exactly() {
    for bits in 0..=u16::MAX {
        let (exponent, fraction) = (i32::from(bits >> 10 & 31), f64::from(bits & 0x3ff));
        let magnitude = match exponent {
            0 => fraction * 2f64.powi(-24),
            31 if fraction == 0.0 => f64::INFINITY,
            31 => f64::NAN,
            _ => (1024.0 + fraction) * 2f64.powi(exponent - 25),
        };
        let exact = if bits >> 15 == 1 { -magnitude } else { magnitude };
        let got = scalar::widen(bits) as f64;
        assert!(got == exact || (got.is_nan() && exact.is_nan()), "{bits:#x}: {got} is not {exact}");
        assert!(got.is_nan() || got.is_sign_negative() == (bits >> 15 == 1), "{bits:#x}");
        for kernels in vector_kernels() {
            // As a factor of 1, next to nothing: the sum is the number, but for the sign of zero.
            let sum = kernels.dot_f16(&[bits], &[1.0]);
            assert!(sum as f64 == exact || (sum.is_nan() && exact.is_nan()), "{kernels:?} {bits:#x}: {sum}");
        }
    }
}

#[test]
fn half_precision_products_have_the_bits_of_the_specification_at_every_length_and_offset() {
    // Finite, then any.
    let finite: Vec<u16> = patterns(1, 1400).iter().map(|p| *p as u16 & 0xbfff).collect();
    let any: Vec<u16> = patterns(2, 1400).iter().map(|p| *p as u16).collect();
    let b = numbers(3, 1400);
    for kernels in vector_kernels() {
        for len in lengths() {
            for offset in 0..16 {
                for a in [&finite, &any] {
                    let (a, b) = (&a[offset..][..len], &b[15 - offset..][..len]);
                    let (got, expected) = (kernels.dot_f16(a, b), scalar::dot_f16(a, b));
                    assert_eq!(bits(&[got]), bits(&[expected]), "{kernels:?} dot_f16 {len} at {offset}");
                }
            }
            let wide: Vec<f32> = finite[..len].iter().map(|a| scalar::widen(*a)).collect();
            assert_eq!(kernels.dot_f16(&finite[..len], &b[..len]).to_bits(), kernels.dot(&wide, &b[..len]).to_bits());
        }
        for (m, k) in [(0, 5), (3, 0), (1, 33), (7, 100)] {
            let mut y = std::vec![f32::NAN; m];
            kernels.gemv_f16([m, k], &finite[..m * k], &b[..k], &mut y);
            let expected: Vec<f32> = (0..m).map(|i| scalar::dot_f16(&finite[i * k..][..k], &b[..k])).collect();
            assert_eq!(bits(&y), bits(&expected), "{kernels:?} gemv_f16 {m} {k}");
        }
    }
}

#[test]
fn products_of_bytes_are_exact_at_every_length_and_offset() {
    let any: Vec<i8> = patterns(4, 3000).iter().map(|p| *p as i8).collect();
    let least = std::vec![-128; MAX_LEN_I8];
    let most = std::vec![127; MAX_LEN_I8];
    for kernels in Kernels::available() {
        for len in lengths() {
            for offset in 0..16 {
                let (a, b) = (&any[offset..][..len], &any[1500 - offset..][..len]);
                let exact: i64 = a.iter().zip(b).map(|(a, b)| i64::from(*a) * i64::from(*b)).sum();
                assert_eq!(i64::from(kernels.dot_i8(a, b)), exact, "{kernels:?} dot_i8 {len} at {offset}");
            }
        }
        for (a, b, product) in [(&least, &least, 128 * 128), (&least, &most, -128 * 127), (&most, &least, -128 * 127)] {
            assert_eq!(kernels.dot_i8(a, b), product * MAX_LEN_I8 as i32, "{kernels:?}");
        }
        for (m, k) in [(0, 5), (3, 0), (1, 33), (7, 200)] {
            let mut y = std::vec![1; m];
            kernels.gemv_i8([m, k], &any[..m * k], &any[9..][..k], &mut y);
            let expected: Vec<i32> = (0..m).map(|i| scalar::dot_i8(&any[i * k..][..k], &any[9..][..k])).collect();
            assert_eq!(y, expected, "{kernels:?} gemv_i8 {m} {k}");
        }
    }
}

/// Also the paths that this CPU does not take by itself.
#[test]
fn products_of_bytes_are_exact_without_the_newest_instructions() {
    let any: Vec<i8> = patterns(5, 1000).iter().map(|p| *p as i8).collect();
    for len in 0..300 {
        let (a, b) = (&any[..len], &any[500..][..len]);
        #[cfg(target_arch = "x86_64")]
        if Kernels::new(Isa::Avx2).is_some() {
            // SAFETY: the CPU has it.
            assert_eq!(unsafe { avx2::dot_i8(a, b) }, scalar::dot_i8(a, b), "avx2 {len}");
        }
        #[cfg(target_arch = "aarch64")]
        if Kernels::new(Isa::Neon).is_some() {
            // SAFETY: the CPU has it.
            assert_eq!(unsafe { neon::dot_i8_base(a, b) }, scalar::dot_i8(a, b), "neon {len}");
        }
        #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
        assert_eq!(Kernels::detect().dot_i8(a, b), scalar::dot_i8(a, b));
    }
}

#[test]
fn lengths_that_do_not_fit_panic() {
    for kernels in Kernels::available() {
        let panics = |run: &dyn Fn()| std::panic::catch_unwind(std::panic::AssertUnwindSafe(run)).is_err();
        assert!(panics(&|| assert_eq!(kernels.dot_f16(&[0], &[]), 0.0)));
        assert!(panics(&|| assert_eq!(kernels.dot_i8(&[0], &[]), 0)));
        let long = std::vec![0; MAX_LEN_I8 + 1];
        assert!(panics(&|| assert_eq!(kernels.dot_i8(&long, &long), 0)));
        assert!(panics(&|| kernels.gemv_i8([1, long.len()], &long, &long, &mut [0])));
        assert!(panics(&|| kernels.gemv_i8([1, 2], &[0; 2], &[0; 3], &mut [0])));
        assert!(panics(&|| kernels.gemv_f16([1, 2], &[0; 2], &[0.0; 3], &mut [0.0])));
    }
}
