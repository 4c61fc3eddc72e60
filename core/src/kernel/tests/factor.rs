//! The factor and its triangular systems: bits against the specification, and whether they solve anything.

use super::*;

/// A symmetric positive definite matrix `[n, n]`.
fn definite(seed: u64, n: usize) -> Vec<f32> {
    let (rows, mut a) = (numbers(seed, n * (n + 3)), std::vec![0.0; n * n]);
    Kernels { isa: Isa::Scalar }.syrk_nt([n, n + 3], &rows, &mut a);
    for i in 0..n {
        a[i * n + i] += 1e6;
    }
    a
}

/// The upper triangle, which is all that is specified.
fn upper(n: usize, a: &[f32]) -> Vec<u32> {
    (0..n).flat_map(|i| bits(&a[i * n + i..(i + 1) * n])).collect()
}

fn sizes() -> impl Iterator<Item = usize> {
    (0..=130).chain([200, 257])
}

#[test]
fn the_factor_has_the_bits_of_the_specification_at_every_size() {
    for n in sizes() {
        let a = definite(1, n);
        let mut expected = a.clone();
        scalar::cholesky(n, &mut expected).unwrap();
        for kernels in vector_kernels() {
            let mut got = std::vec![f32::NAN; n * n + 1];
            for i in 0..n {
                // The lower triangle is not read.
                got[1 + i * n + i..1 + (i + 1) * n].copy_from_slice(&a[i * n + i..(i + 1) * n]);
            }
            kernels.cholesky(n, &mut got[1..]).unwrap();
            assert_eq!(upper(n, &got[1..]), upper(n, &expected), "{kernels:?} {n}");
        }
    }
}

#[test]
fn the_factor_names_the_pivot_that_fails() {
    for kernels in Kernels::available() {
        for n in [1, 5, 49, 100] {
            for at in [0, n / 2, n - 1] {
                for value in [0.0, -1.0, f32::NAN, f32::INFINITY] {
                    let mut a = definite(2, n);
                    a[at * n + at] = value;
                    assert_eq!(kernels.cholesky(n, &mut a), Err(at), "{kernels:?} {n}: {value} at {at}");
                }
            }
        }
    }
}

#[test]
fn solutions_have_the_bits_of_the_specification_and_solve_the_system() {
    for n in sizes() {
        let a = definite(3, n);
        let mut u = a.clone();
        scalar::cholesky(n, &mut u).unwrap();
        (0..n).for_each(|i| u[i * n..i * n + i].fill(f32::NAN));
        for m in [0, 1, 2, 3, 4, 5, 13].into_iter().filter(|m| n % 7 == 0 || *m < 4) {
            let b = numbers(4, m * n);
            let (mut lower, mut both) = (b.clone(), b.clone());
            scalar::solve_upper_transposed([n, m], &u, &mut lower);
            both.copy_from_slice(&lower);
            scalar::solve_upper([n, m], &u, &mut both);
            for kernels in vector_kernels() {
                let mut x = b.clone();
                kernels.solve_upper_transposed([n, m], &u, &mut x);
                assert_eq!(bits(&x), bits(&lower), "{kernels:?} transposed {n} {m}");
                kernels.solve_upper([n, m], &u, &mut x);
                assert_eq!(bits(&x), bits(&both), "{kernels:?} {n} {m}");
            }
            for (x, b) in both.chunks_exact(n.max(1)).zip(b.chunks_exact(n.max(1))) {
                for (row, b) in a.chunks_exact(n.max(1)).zip(b) {
                    let ax: f64 = row.iter().zip(x).map(|(a, x)| *a as f64 * *x as f64).sum();
                    let size: f64 = row.iter().zip(x).map(|(a, x)| (*a as f64 * *x as f64).abs()).sum();
                    assert!((ax - *b as f64).abs() <= (size + b.abs() as f64) * 1e-4, "{n} {m}: {ax} is not {b}");
                }
            }
        }
    }
}

#[test]
fn shapes_that_do_not_fit_panic() {
    for kernels in Kernels::available() {
        let panics = |run: &dyn Fn()| std::panic::catch_unwind(std::panic::AssertUnwindSafe(run)).is_err();
        assert!(panics(&|| kernels.syrk_nt([2, 3], &[0.0; 5], &mut [0.0; 4])));
        assert!(panics(&|| kernels.syrk_nt([2, 3], &[0.0; 6], &mut [0.0; 3])));
        assert!(panics(&|| assert!(kernels.cholesky(2, &mut [0.0; 3]).is_ok())));
        assert!(panics(&|| kernels.solve_upper([2, 1], &[0.0; 4], &mut [0.0; 3])));
        assert!(panics(&|| kernels.solve_upper_transposed([2, 1], &[0.0; 3], &mut [0.0; 2])));
    }
}
