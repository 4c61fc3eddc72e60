//! Against plain f64 elimination.

use super::*;
use crate::solver::oracle::{bits, noise};
use std::vec;
use std::vec::Vec;

/// A random positive semidefinite matrix of rank `rank`, mean diagonal about 1.
fn gram(n: usize, rank: usize) -> Vec<f32> {
    let mut a = vec![0.0; n * n];
    let rows: Vec<f32> = noise(n as u64, n * rank).iter().map(|x| x * (3.0 / rank as f32).sqrt()).collect();
    Kernels::detect().syrk_nt([n, rank], &rows, &mut a);
    a
}

/// `(a + l2 I)^-1` by Gauss and Jordan, in f64.
pub(in crate::solver) fn inverse(n: usize, a: &[f32], l2: f64) -> Vec<f64> {
    let mut rows: Vec<Vec<f64>> = (0..n)
        .map(|i| {
            let left = (0..n).map(|j| a[i * n + j] as f64 + if i == j { l2 } else { 0.0 });
            left.chain((0..n).map(|j| f64::from(i == j))).collect()
        })
        .collect();
    for i in 0..n {
        let pivot = rows[i][i];
        rows[i].iter_mut().for_each(|x| *x /= pivot);
        let own = rows[i].clone();
        for (_, row) in rows.iter_mut().enumerate().filter(|(k, _)| *k != i) {
            let factor = row[i];
            row.iter_mut().zip(&own).for_each(|(x, y)| *x -= factor * y);
        }
    }
    rows.into_iter().flat_map(|row| row[n..].to_vec()).collect()
}

#[test]
fn band_form_solves_what_the_matrix_does() {
    for n in (0..=3 * WIDTH + 3).chain([100]) {
        for rank in [n, n / 2] {
            let kernels = Kernels::detect();
            let a = gram(n, rank.max(1));
            let (mut q, mut band, mut l) = (a.clone(), vec![9.0; n * ROW], vec![9.0; n * ROW]);
            let mut work = vec![f32::NAN; work_len(n).expect("small")];
            reduce(kernels, n, &mut q, &mut band, &mut work);
            let exact = inverse(n, &a, 0.5);
            let factor = Factor::new(kernels, n, &band, 0.5, &mut l).expect("positive");
            let mut forms = vec![f32::NAN; n];
            factor.inverse_forms(n, &q, &mut forms, &mut work);
            let mut solution = q.clone();
            factor.solve(n, &mut solution);
            for i in 0..n {
                let (got, exact_form) = (forms[i] as f64, exact[i * n + i]);
                assert!((got - exact_form).abs() < 3e-5 * exact_form.max(1.0), "{n} {rank} {i}: {got} {exact_form}");
                for j in 0..n {
                    let got: f64 = (0..n).map(|k| q[k * n + i] as f64 * solution[k * n + j] as f64).sum();
                    assert!((got - exact[i * n + j]).abs() < 3e-5, "{n} {rank} {i} {j}");
                }
            }
        }
    }
}

#[test]
fn band_form_has_the_same_bits_on_every_instruction_set() {
    let run = |kernels| {
        let (mut q, mut band) = (gram(41, 30), vec![0.0; 41 * ROW]);
        let mut work = vec![f32::NAN; work_len(41).expect("small")];
        reduce(kernels, 41, &mut q, &mut band, &mut work);
        (bits(&q), bits(&band))
    };
    let expected = run(Kernels::new(crate::kernel::Isa::Scalar).expect("always"));
    for kernels in Kernels::available() {
        assert_eq!(run(kernels), expected, "{kernels:?}");
    }
}

#[test]
fn a_matrix_that_is_not_positive_is_refused() {
    let mut l = vec![0.0; ROW];
    let band: Vec<f32> = vec![0.0; WIDTH].into_iter().chain([-1.0]).collect();
    assert!(Factor::new(Kernels::detect(), 1, &band, 0.5, &mut l).is_none());
    assert!(Factor::new(Kernels::detect(), 1, &band, 1.5, &mut l).is_some());
}

pub(in crate::solver) fn cpu_ms() -> f64 {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").expect("Linux");
    stat.split(' ').next().expect("a number").parse::<f64>().expect("a number") / 1e6
}

/// `cargo test --release -p topgraft-core -- --ignored --nocapture band_speed`; milliseconds of this thread on a CPU.
#[test]
#[ignore = "a measurement"]
fn band_speed() {
    let n = 1000;
    let (rows, mut c) = (noise(1, n * 1280), vec![0.0; n * n]);
    let (a, kernels) = (gram(n, 1280), Kernels::detect());
    let (mut band, mut l, mut forms) = (vec![0.0; n * ROW], vec![0.0; n * ROW], vec![0.0; n]);
    let mut work = vec![0.0; work_len(n).expect("small")];
    for _ in 0..5 {
        let mut q = a.clone();
        let start = cpu_ms();
        kernels.syrk_nt([n, 1280], &rows, &mut c);
        let gram = cpu_ms() - start;
        reduce(kernels, n, &mut q, &mut band, &mut work);
        let reduced = cpu_ms() - start - gram;
        for _ in 0..20 {
            let factor = Factor::new(kernels, n, &band, 0.5, &mut l).expect("positive");
            factor.inverse_forms(n, &q, &mut forms, &mut work);
        }
        let mut u = c.clone();
        (0..n).for_each(|i| u[i * n + i] += 1.0);
        let start_cholesky = cpu_ms();
        kernels.cholesky(n, &mut u).expect("positive");
        let cholesky = cpu_ms() - start_cholesky;
        kernels.solve_upper_transposed([n, 10], &u, &mut q[..10 * n]);
        let solved = cpu_ms() - start_cholesky - cholesky;
        kernels.solve_upper([n, 10], &u, &mut q[..10 * n]);
        std::println!("cholesky {cholesky} forward {solved} back {}", cpu_ms() - start_cholesky - cholesky - solved);
        std::println!("gram {gram} reduce {reduced:?}, 20 diagonals {:?}", cpu_ms() - start - reduced - gram);
    }
}
