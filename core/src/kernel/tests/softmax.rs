//! Exponential, logarithm, softmax: bits against the specification, and the specification against f64.

use super::*;
use crate::math;

/// Values around every change of the functions' course, and many in between.
fn arguments() -> Vec<f32> {
    let special =
        [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 0.0, -0.0, 1e-45, -1e-45, 1.0, f32::MIN_POSITIVE, f32::MAX];
    let edges = [88.722_84_f32, 88.722_85, 89.0, -87.3, -87.4, -103.9, -103.972_08, -103.972_09, -104.0, -1e30];
    let sweep = (0..u32::MAX).step_by(0x1_0307).map(f32::from_bits);
    special.into_iter().chain(edges).chain(sweep).collect()
}

#[test]
fn exp_and_ln_are_those_of_math_at_every_length_and_offset() {
    let all = arguments();
    let expected = [all.iter().map(|x| math::exp(*x)).collect::<Vec<_>>(), all.iter().map(|x| math::ln(*x)).collect()];
    for kernels in Kernels::available() {
        let (mut exp, mut ln) = (all.clone(), all.clone());
        kernels.exp(&mut exp);
        kernels.ln(&mut ln);
        assert_eq!(bits(&exp), bits(&expected[0]), "{kernels:?} exp");
        assert_eq!(bits(&ln), bits(&expected[1]), "{kernels:?} ln");
        for len in lengths() {
            for offset in 0..16 {
                let (mut exp, mut ln) = (all[offset..][..len].to_vec(), all[offset..][..len].to_vec());
                kernels.exp(&mut exp);
                kernels.ln(&mut ln);
                assert_eq!(bits(&exp), bits(&expected[0][offset..][..len]), "{kernels:?} exp {len} at {offset}");
                assert_eq!(bits(&ln), bits(&expected[1][offset..][..len]), "{kernels:?} ln {len} at {offset}");
            }
        }
    }
}

#[test]
fn rows_have_the_bits_of_the_specification() {
    let values: Vec<f32> = numbers(1, 70 * 140).iter().map(|x| x.clamp(-60.0, 60.0)).collect();
    for kernels in vector_kernels() {
        for n_classes in (0..=70).chain([96, 97, 130]) {
            for n_samples in [0, 1, 2, 31, 32, 33, 70] {
                let mut logits = values[..n_samples * n_classes].to_vec();
                if n_samples * n_classes > 40 {
                    (logits[3], logits[17], logits[23], logits[40]) = (f32::NAN, f32::INFINITY, -f32::INFINITY, 1e38);
                }
                if n_classes > 0 {
                    let (mut got, mut expected) = (logits.clone(), logits.clone());
                    kernels.softmax_rows(n_classes, &mut got);
                    scalar::softmax_rows(n_classes, &mut expected);
                    assert_eq!(bits(&got), bits(&expected), "{kernels:?} softmax {n_samples} {n_classes}");
                    let labels: Vec<u16> = (0..n_samples).map(|i| (i * 7 % n_classes) as u16).collect();
                    let run = |kernels: Kernels| {
                        let (mut residuals, mut losses) = (logits.clone(), std::vec![f32::NAN; n_samples]);
                        kernels.cross_entropy_rows(n_classes, &mut residuals, &labels, &mut losses);
                        (bits(&residuals), bits(&losses))
                    };
                    let expected = run(Kernels { isa: Isa::Scalar });
                    assert_eq!(run(kernels), expected, "{kernels:?} cross entropy {n_samples} {n_classes}");
                }
            }
        }
        kernels.cross_entropy_rows(0, &mut [], &[], &mut []);
    }
}

#[test]
fn the_specification_is_softmax_and_its_gradient() {
    let values: Vec<f32> = numbers(2, 50 * 7).iter().map(|x| x.clamp(-30.0, 30.0)).collect();
    let kernels = Kernels::new(Isa::Scalar).unwrap();
    let (mut p, mut residuals, mut losses) = (values.clone(), values.clone(), [0.0; 50]);
    let labels: Vec<u16> = (0..50).map(|i| i % 7).collect();
    kernels.softmax_rows(7, &mut p);
    kernels.cross_entropy_rows(7, &mut residuals, &labels, &mut losses);
    let close = |got: f32, exact: f64| (got as f64 - exact).abs() <= exact.abs() * 2e-6;
    for (i, label) in labels.iter().enumerate() {
        let row = &values[i * 7..][..7];
        let sum: f64 = row.iter().map(|z| (*z as f64).exp()).sum();
        let others: f64 =
            row.iter().enumerate().filter(|(k, _)| *k != *label as usize).map(|(_, z)| (*z as f64).exp()).sum();
        for (k, z) in row.iter().enumerate() {
            let exact = (*z as f64).exp() / sum;
            assert!(close(p[i * 7 + k], exact), "{i} {k}");
            let exact = if k == *label as usize { -others / sum } else { exact };
            assert!(close(residuals[i * 7 + k], exact), "{i} {k}: {} is not {exact}", residuals[i * 7 + k]);
        }
        let exact = (others / (row[*label as usize] as f64).exp()).ln_1p();
        assert!(close(losses[i], exact), "{i}: {} is not {exact}", losses[i]);
    }
}

#[test]
fn labels_and_lengths_that_do_not_fit_panic() {
    for kernels in Kernels::available() {
        let panics = |run: &dyn Fn()| std::panic::catch_unwind(std::panic::AssertUnwindSafe(run)).is_err();
        assert!(panics(&|| kernels.softmax_rows(2, &mut [0.0; 3])));
        assert!(panics(&|| kernels.softmax_rows(0, &mut [0.0; 3])));
        assert!(panics(&|| kernels.cross_entropy_rows(2, &mut [0.0; 4], &[0, 2], &mut [0.0; 2])));
        assert!(panics(&|| kernels.cross_entropy_rows(2, &mut [0.0; 4], &[0, 1], &mut [0.0; 1])));
        assert!(panics(&|| kernels.cross_entropy_rows(2, &mut [0.0; 3], &[0, 1], &mut [0.0; 2])));
    }
}
