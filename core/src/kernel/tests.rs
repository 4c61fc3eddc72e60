//! Every instruction set of this machine against the specification: equality of bits, every length, every offset.

mod factor;
mod maps;
mod narrow;
mod softmax;
mod subnormal;

use super::*;
use std::vec::Vec;

/// Numbers of mixed sign and size, the same each time (SplitMix64).
fn numbers(seed: u64, len: usize) -> Vec<f32> {
    let mut state = seed;
    let number = || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let unit = (z >> 40) as f32 / (1 << 23) as f32 - 1.0;
        unit * [1.0, 1e-3, 1e4][z as usize % 3]
    };
    core::iter::repeat_with(number).take(len).collect()
}

/// Bits, with one NaN for all: payloads are not specified.
fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|v| if v.is_nan() { f32::NAN.to_bits() } else { v.to_bits() }).collect()
}

fn vector_kernels() -> impl Iterator<Item = Kernels> {
    Kernels::available().filter(|kernels| kernels.isa() != Isa::Scalar)
}

/// Lengths around the block of 32, and the odd ones beyond.
fn lengths() -> impl Iterator<Item = usize> {
    (0..=130).chain([255, 256, 257, 1279, 1280, 1281])
}

#[test]
fn dot_and_axpy_have_the_bits_of_the_specification_at_every_length_and_offset() {
    let (a, b) = (numbers(1, 1400), numbers(2, 1400));
    for kernels in vector_kernels() {
        for len in lengths() {
            for offset in 0..16 {
                let (x, y) = (&a[offset..][..len], &b[15 - offset..][..len]);
                let dot = kernels.dot(x, y);
                assert_eq!(dot.to_bits(), scalar::dot(x, y).to_bits(), "{kernels:?} dot {len} at {offset}");
                let (mut expected, mut got) = (y.to_vec(), y.to_vec());
                scalar::axpy(0.3, x, &mut expected);
                kernels.axpy(0.3, x, &mut got);
                assert_eq!(bits(&got), bits(&expected), "{kernels:?} axpy {len} at {offset}");
            }
        }
    }
}

#[test]
fn gemms_have_the_bits_of_the_specification_around_every_tile_edge() {
    let (a, b, c) = (numbers(3, 24 * 200), numbers(4, 24 * 200), numbers(5, 24 * 200));
    for kernels in vector_kernels() {
        for m in [0, 1, 2, 3, 4, 5, 7, 8, 9, 10, 11, 12, 13, 21] {
            for n in [0, 1, 2, 3, 4, 5, 6, 7, 10, 13] {
                for k in [0, 1, 15, 16, 17, 31, 32, 33, 47, 64, 70, 100] {
                    let nt = |kernels: Kernels| {
                        let mut out = c[..m * n].to_vec();
                        kernels.gemm_nt([m, n, k], &a[1..][..m * k], &b[3..][..n * k], &mut out);
                        bits(&out)
                    };
                    assert_eq!(nt(kernels), nt(Kernels { isa: Isa::Scalar }), "{kernels:?} gemm_nt {m} {n} {k}");
                    // Here k is the width, so that it crosses the block edges too.
                    let tn = |kernels: Kernels| {
                        let mut out = c[..m * k].to_vec();
                        kernels.gemm_tn([m, k, n], &a[5..][..n * m], &b[7..][..n * k], &mut out);
                        bits(&out)
                    };
                    assert_eq!(tn(kernels), tn(Kernels { isa: Isa::Scalar }), "{kernels:?} gemm_tn {m} {k} {n}");
                }
            }
        }
    }
}

#[test]
fn rank_one_updates_and_matrix_times_vector_are_made_of_dot_and_axpy() {
    let (x, y, a) = (numbers(10, 70), numbers(11, 70), numbers(12, 70 * 70));
    for kernels in Kernels::available() {
        for (m, n) in [(0, 0), (0, 3), (3, 0), (1, 1), (5, 33), (33, 5), (70, 70)] {
            let (mut got, mut expected) = (a[..m * n].to_vec(), a[..m * n].to_vec());
            kernels.ger(0.3, &x[..m], &y[..n], &mut got);
            for (i, row) in expected.chunks_exact_mut(n.max(1)).enumerate() {
                row.iter_mut().zip(&y).for_each(|(a, y)| *a = (0.3 * x[i]).mul_add(*y, *a));
            }
            assert_eq!(bits(&got), bits(&expected), "{kernels:?} ger {m} {n}");
            let mut out = std::vec![0.0; m];
            kernels.gemv([m, n], &a[..m * n], &y[..n], &mut out);
            let dots: Vec<f32> = (0..m).map(|i| scalar::dot(&a[i * n..][..n], &y[..n])).collect();
            assert_eq!(bits(&out), bits(&dots), "{kernels:?} gemv {m} {n}");
        }
        for n in [0, 1, 2, 33, 70] {
            let (mut got, mut expected) = (a[..n * n].to_vec(), a[..n * n].to_vec());
            kernels.syr(-0.7, &x[..n], &mut got);
            for (i, j) in (0..n).flat_map(|i| (i..n).map(move |j| (i, j))) {
                expected[i * n + j] = (-0.7 * x[i]).mul_add(x[j], expected[i * n + j]);
            }
            assert_eq!(bits(&got), bits(&expected), "{kernels:?} syr {n}");
        }
    }
}

/// Long enough for more than one panel of `b`, more than one round of rows, and rows of more than one pass.
#[test]
fn large_gemms_and_gram_matrices_have_the_bits_of_the_specification() {
    let (a, b) = (numbers(8, 80 * 1100), numbers(9, 90 * 1100));
    let scalar = Kernels { isa: Isa::Scalar };
    for kernels in vector_kernels() {
        for ([m, n, k], offset) in [([9, 90, 1100], 0), ([7, 50, 1051], 3), ([13, 40, 150], 1)] {
            let nt = |kernels: Kernels| {
                let mut out = std::vec![0.0; m * n];
                kernels.gemm_nt([m, n, k], &a[offset..][..m * k], &b[offset..][..n * k], &mut out);
                bits(&out)
            };
            assert_eq!(nt(kernels), nt(scalar), "{kernels:?} gemm_nt {m} {n} {k}");
            let tn = |kernels: Kernels| {
                let mut out = b[..m * n].to_vec();
                kernels.gemm_tn([m, n, k], &a[offset..][..k * m], &b[offset..][..k * n], &mut out);
                bits(&out)
            };
            assert_eq!(tn(kernels), tn(scalar), "{kernels:?} gemm_tn {m} {n} {k}");
        }
        let sizes = (0..14).flat_map(|n| [0, 1, 31, 32, 33, 80].map(|k| [n, k])).chain([[80, 1100], [61, 1031]]);
        for [n, k] in sizes {
            for offset in [0, 5] {
                let gram = |kernels: Kernels| {
                    let mut out = std::vec![0.0; n * n];
                    kernels.syrk_nt([n, k], &a[offset..][..(n * k).min(a.len() - offset)], &mut out);
                    bits(&out)
                };
                if offset + n * k <= a.len() {
                    assert_eq!(gram(kernels), gram(scalar), "{kernels:?} syrk_nt {n} {k}");
                }
            }
        }
    }
}

#[test]
fn nan_infinities_and_signed_zeros_come_out_the_same() {
    let special = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, -0.0, 1e-45, -1e-45, f32::MAX, f32::MIN_POSITIVE];
    for kernels in vector_kernels() {
        for len in [1, 7, 32, 33, 70] {
            for at in 0..len {
                for value in special {
                    for other in special.into_iter().chain([0.0, 1.0, -1e-20]) {
                        let (mut x, mut y) = (std::vec![-1e-30; len], std::vec![1e-30; len]);
                        (x[at], y[at]) = (value, other);
                        let (got, expected) = (kernels.dot(&x, &y), scalar::dot(&x, &y));
                        assert_eq!(bits(&[got]), bits(&[expected]), "{kernels:?} dot {len}: {value} * {other} at {at}");
                        let (mut gram, [mut nt, mut tn]) = ([0.0; 4], [[1.0]; 2]);
                        let rows: Vec<f32> = x.iter().chain(&y).copied().collect();
                        kernels.syrk_nt([2, len], &rows, &mut gram);
                        kernels.gemm_nt([1, 1, len], &x, &y, &mut nt);
                        assert_eq!(bits(&[gram[1], gram[2], nt[0]]), bits(&[expected; 3]), "{kernels:?} {len} {value}");
                        let mut chain = [1.0];
                        kernels.gemm_tn([1, 1, len], &x, &y, &mut tn);
                        scalar::gemm_tn([1, 1, len], &x, &y, &mut chain);
                        assert_eq!(bits(&tn), bits(&chain), "{kernels:?} gemm_tn {len}: {value} * {other} at {at}");
                        let (mut got, mut expected) = (y.clone(), y.clone());
                        kernels.axpy(value, &x, &mut got);
                        scalar::axpy(value, &x, &mut expected);
                        assert_eq!(bits(&got), bits(&expected), "{kernels:?} axpy {len}: {value} at {at}");
                    }
                }
            }
        }
    }
}

#[test]
fn the_specification_agrees_with_plain_sums() {
    for len in lengths() {
        let (a, b) = (numbers(6, len), numbers(7, len));
        let exact: f64 = a.iter().zip(&b).map(|(a, b)| *a as f64 * *b as f64).sum();
        let size: f64 = a.iter().zip(&b).map(|(a, b)| (*a as f64 * *b as f64).abs()).sum();
        // (len / 32 + 6) roundings, each of half an ULP of a partial sum.
        let bound = size * (len as f64 / 32.0 + 6.0) * f32::EPSILON as f64;
        assert!((scalar::dot(&a, &b) as f64 - exact).abs() <= bound, "{len}");
    }
}

#[test]
fn shapes_that_do_not_fit_panic_before_any_read() {
    for kernels in Kernels::available() {
        for (m, n, k) in [(2, 2, 3), (usize::MAX, usize::MAX, 2)] {
            let run = || kernels.gemm_nt([m, n, k], &[0.0; 5], &[0.0; 6], &mut [0.0; 4]);
            assert!(std::panic::catch_unwind(run).is_err());
            let run = || kernels.gemm_tn([m, n, k], &[0.0; 6], &[0.0; 5], &mut [0.0; 4]);
            assert!(std::panic::catch_unwind(run).is_err());
        }
        assert!(std::panic::catch_unwind(|| kernels.dot(&[0.0], &[])).is_err());
        assert!(std::panic::catch_unwind(|| kernels.axpy(1.0, &[0.0], &mut [])).is_err());
    }
}
