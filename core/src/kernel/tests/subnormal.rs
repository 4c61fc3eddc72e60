//! Subnormal operands, products and sums: some vector units would flush them to zero.

use super::*;

/// Numbers whose products, or which themselves, lie around the least normal number, 1.2e-38.
fn tiny(seed: u64, len: usize, scale: f32) -> Vec<f32> {
    numbers(seed, len).iter().map(|x| x * scale).collect()
}

/// Scales of the two operands and of what the result is added to: where the subnormal numbers come up.
const SCALES: [[f32; 3]; 7] = [
    [1e-39, 1.0, 1.0],     // an operand, and often the product
    [1.0, 1e-41, 1e-38],   // an operand, the product and the sum
    [1e-20, 1e-19, 1e-38], // the product and the sum
    [1e-19, 1e-19, 1e-39], // the old value
    [1e-20, 1e-20, 1.0],   // the product, which then is lost in the sum
    [1e-38, 1e3, 1e-40],   // now and then
    [1e-44, 1e-44, 1e-45], // everything; products vanish
];

#[test]
fn subnormal_numbers_are_kept_by_every_kernel() {
    let scalar = Kernels { isa: Isa::Scalar };
    let mut subnormal = 0;
    for kernels in vector_kernels() {
        for (case, scales) in SCALES.into_iter().enumerate() {
            let [a, b, c] = [0, 1, 2].map(|i| tiny(20 + i as u64, 40 * 100, scales[i]));
            for len in [1, 4, 5, 15, 16, 17, 31, 32, 33, 64, 100, 300, 1300] {
                let dot = kernels.dot(&a[..len], &b[..len]);
                assert_eq!(dot.to_bits(), scalar.dot(&a[..len], &b[..len]).to_bits(), "{kernels:?} dot {case} {len}");
                let (mut got, mut expected) = (c[..len].to_vec(), c[..len].to_vec());
                kernels.axpy(b[7], &a[..len], &mut got);
                scalar.axpy(b[7], &a[..len], &mut expected);
                assert_eq!(bits(&got), bits(&expected), "{kernels:?} axpy {case} {len}");
                subnormal += got.iter().filter(|y| y.is_subnormal()).count();
                let halves: Vec<u16> = a[..len].iter().map(|a| (a.to_bits() >> 7) as u16).collect();
                let [dot, expected] = [kernels, scalar].map(|kernels| kernels.dot_f16(&halves, &b[..len]));
                assert_eq!(bits(&[dot]), bits(&[expected]), "{kernels:?} dot_f16 {case} {len}");
            }
            for [m, n, k] in [[1, 3, 33], [3, 3, 64], [7, 8, 40], [2, 33, 5], [13, 9, 100], [6, 40, 70]] {
                let run = |kernels: Kernels| {
                    let (mut nt, mut tn, mut gram) = (c[..m * n].to_vec(), c[..m * n].to_vec(), std::vec![0.0; m * m]);
                    kernels.gemm_nt([m, n, k], &a[..m * k], &b[..n * k], &mut nt);
                    kernels.gemm_tn([m, n, k], &a[..m * k], &b[..n * k], &mut tn);
                    kernels.syrk_nt([m, k], &a[..m * k], &mut gram);
                    [bits(&nt), bits(&tn), bits(&gram)]
                };
                assert_eq!(run(kernels), run(scalar), "{kernels:?} {case} {m} {n} {k}");
            }
        }
    }
    // Where there are vectors at all, the cases were of the kind that they are meant to be.
    assert!(subnormal > 100 || vector_kernels().next().is_none());
}

/// One subnormal among many normal numbers, at each place in turn.
#[test]
fn a_single_subnormal_number_is_not_lost() {
    let scalar = Kernels { isa: Isa::Scalar };
    for kernels in vector_kernels() {
        for len in [5, 32, 50, 70] {
            for at in 0..len {
                let (mut x, mut y) = (std::vec![0.0; len], std::vec![1.5; len]);
                x[at] = 1e-40;
                assert_eq!(kernels.dot(&x, &y), scalar.dot(&x, &y), "{kernels:?} dot {len} {at}");
                assert!(kernels.dot(&x, &y) > 0.0);
                let (mut nt, mut tn) = ([0.0; 12], std::vec![0.0; 3 * len]);
                let rows = [&y[..], &x, &y, &x].concat();
                kernels.gemm_nt([3, 4, len], &rows[..3 * len], &rows, &mut nt);
                assert_eq!([nt[1], nt[3], nt[9]], [scalar.dot(&x, &y); 3], "{kernels:?} gemm_nt {len} {at}");
                kernels.gemm_tn([3, len, 1], &[1.0, -1.0, 0.5], &x, &mut tn);
                assert_eq!([tn[at], tn[len + at], tn[2 * len + at]], [1e-40, -1e-40, 0.5e-40], "{kernels:?} gemm_tn");
                kernels.axpy(2.0, &x, &mut y[..]);
                x.iter_mut().for_each(|x| *x *= 1e38);
                kernels.axpy(-1e-38, &x.clone(), &mut x);
                assert!(y.iter().enumerate().all(|(i, y)| *y == 1.5 + if i == at { 2e-40 } else { 0.0 }));
            }
        }
    }
}

#[test]
fn factors_and_solutions_keep_subnormal_numbers() {
    let scalar = Kernels { isa: Isa::Scalar };
    for kernels in vector_kernels() {
        for n in [7, 33, 100] {
            // Around 1e-38 off the diagonal.
            let mut a = tiny(31, n * n, 1e-38);
            for i in 0..n {
                a[i * n + i] = 2e-38 * (i + 1) as f32;
            }
            let b = tiny(32, 5 * n, 1e-39);
            let run = |kernels: Kernels| {
                let (mut u, mut x) = (a.clone(), b.clone());
                let outcome = kernels.cholesky(n, &mut u);
                let rows = outcome.err().unwrap_or(n);
                let factor: Vec<u32> = (0..rows).flat_map(|i| bits(&u[i * n + i..(i + 1) * n])).collect();
                kernels.solve_upper_transposed([n, 5], &a, &mut x);
                let lower = bits(&x);
                x.copy_from_slice(&b);
                kernels.solve_upper([n, 5], &a, &mut x);
                (outcome, factor, lower, bits(&x))
            };
            assert_eq!(run(kernels), run(scalar), "{kernels:?} {n}");
        }
    }
}
