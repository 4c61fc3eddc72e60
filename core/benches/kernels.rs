//! How near the kernels come to the peak of one core: `cargo bench -p topgraft-core --bench kernels [-- WORD...]`, WORDs being
//! parts of kernels' names.
//!
//! The peak is measured in the same run, by independent fused multiply-adds in registers. Each kernel runs on buffers that
//! start at a multiple of 64 bytes, and at 16 bytes beyond one, where a large `Vec` starts with glibc. A bench of core, not of
//! the root: there each bench would link tract.

mod peak;
mod timing;

use std::hint::black_box;

use peak::peak;
use timing::{Runs, Timing, measure};
use topgraft_core::kernel::{Isa, Kernels};

const FEATURE_DIM: usize = 1280;
/// Work of one timed run, so that reading the clock does not count: floating-point operations.
const FLOPS_A_RUN: f64 = 4e6;
const RUNS: Runs = Runs { least: 5, seconds: 0.15 };
/// The scalar kernels call a function for each fused multiply-add, unless built for a CPU that has one: small shapes only.
const MOST_SCALAR_FLOPS: f64 = 3e7;

/// Floats that start at a multiple of 64 bytes plus `offset` floats.
struct Buffer {
    floats: Vec<f32>,
    first: usize,
}

impl Buffer {
    fn new(offset: usize, contents: &[f32]) -> Self {
        let mut floats = vec![0.0; contents.len() + 32];
        let first = floats.as_ptr().align_offset(64) + offset;
        floats[first..][..contents.len()].copy_from_slice(contents);
        Self { floats, first }
    }

    fn slice(&self, len: usize) -> &[f32] {
        &self.floats[self.first..][..len]
    }

    fn slice_mut(&mut self, len: usize) -> &mut [f32] {
        &mut self.floats[self.first..][..len]
    }
}

/// What the kernels work on, of one alignment.
struct Data {
    a: Buffer,
    b: Buffer,
    c: Buffer,
    /// Restored into `c` before each run of a kernel that works in place.
    start: Vec<f32>,
    halves: Vec<u16>,
    bytes: Vec<i8>,
    sums: Vec<i32>,
}

impl Data {
    fn new(offset: usize) -> Self {
        let len = 1000 * FEATURE_DIM;
        let bits = |seed: u64| numbers(seed, 101 * FEATURE_DIM);
        Self {
            a: Buffer::new(offset, &numbers(1, len)),
            b: Buffer::new(offset, &numbers(2, len)),
            c: Buffer::new(offset, &vec![0.0; len]),
            start: Vec::new(),
            // Between 0.25 and 0.5.
            halves: bits(3).iter().map(|x| 0x3400 + (x.abs() * 1000.0) as u16).collect(),
            bytes: bits(4).iter().map(|x| (x * 127.0) as i8).collect(),
            sums: vec![0; 100],
        }
    }

    fn restore(&mut self) {
        let Self { start, c, .. } = self;
        c.slice_mut(start.len()).copy_from_slice(start);
    }
}

type Run = Box<dyn Fn(Kernels, &mut Data)>;

/// A kernel at a shape.
struct Case {
    kernel: &'static str,
    shape: String,
    /// What a call does, in `unit`s.
    amount: f64,
    unit: Unit,
    /// Content of `c` before each run.
    start: Vec<f32>,
    run: Run,
}

#[derive(Clone, Copy, PartialEq)]
enum Unit {
    /// Floating-point operations; a fused multiply-add is two.
    Flops,
    /// Integer operations; a multiply-add is two.
    Ops,
    Elements,
}

fn main() {
    let words: Vec<String> = std::env::args().skip(1).filter(|arg| !arg.starts_with("--")).collect();
    let mut cases = cases();
    cases.retain(|case| words.is_empty() || words.iter().any(|word| case.kernel.contains(word.as_str())));
    let [mut aligned, mut plain] = [0, 4].map(Data::new);
    for kernels in Kernels::available() {
        let isa = kernels.isa();
        let before = peak(kernels);
        let rows: Vec<_> = cases
            .iter()
            .filter(|case| isa != Isa::Scalar || case.amount <= MOST_SCALAR_FLOPS)
            .map(|case| (case, time(kernels, case, &mut aligned), time(kernels, case, &mut plain)))
            .collect();
        let peak = before.zip(peak(kernels)).map(|(before, after)| before.max(after));
        match peak {
            Some(peak) => println!("\n## {}: peak {peak:.1} GFLOP/s of one core\n", isa.name()),
            None => println!("\n## {}\n", isa.name()),
        }
        println!(
            "| kernel | shape | 64-byte aligned: by CPU time | by wall time | of peak, by CPU time | 16 beyond: by CPU time | by wall time | of peak, by CPU time |"
        );
        println!("|---|---|---|---|---|---|---|---|");
        for (case, aligned, plain) in rows {
            let [aligned, plain] = [aligned, plain].map(|timing| {
                let rate = |seconds: f64| case.amount / seconds / 1e9;
                let share = peak.filter(|_| case.unit == Unit::Flops).map(|peak| 100.0 * rate(timing.cpu) / peak);
                let share = share.map_or("-".to_owned(), |share| format!("{share:.0} %"));
                format!(
                    "{} | {} | {share}",
                    with_unit(rate(timing.cpu), case.unit),
                    with_unit(rate(timing.wall), case.unit)
                )
            });
            println!("| {} | {} | {aligned} | {plain} |", case.kernel, case.shape);
        }
    }
}

fn with_unit(rate: f64, unit: Unit) -> String {
    match unit {
        Unit::Flops => format!("{rate:.1} GFLOP/s"),
        Unit::Ops => format!("{rate:.1} Gop/s"),
        Unit::Elements => format!("{rate:.2} G elements/s"),
    }
}

/// Seconds of one call.
fn time(kernels: Kernels, case: &Case, data: &mut Data) -> Timing {
    // A kernel that works in place runs once after each restoration.
    let calls = if case.start.is_empty() { (FLOPS_A_RUN / case.amount).ceil() } else { 1.0 };
    data.start.clone_from(&case.start);
    let runs = if kernels.isa() == Isa::Scalar { Runs { least: 3, seconds: 0.0 } } else { RUNS };
    data.restore();
    (case.run)(kernels, data);
    let total = measure(runs, data, Data::restore, |data| (0..calls as usize).for_each(|_| (case.run)(kernels, data)));
    Timing { wall: total.wall / calls, cpu: total.cpu / calls }
}

fn cases() -> Vec<Case> {
    let d = FEATURE_DIM;
    let mut cases = Vec::new();
    let mut add = |kernel, shape, amount: usize, unit, start, run: Run| {
        cases.push(Case { kernel, shape, amount: amount as f64, unit, start, run });
    };
    // Logits of many samples; and as the solver has them, a block of 64 at a time.
    for (m, n) in [(1000, 5), (1000, 10), (1000, 100), (5, 64), (10, 64), (100, 64)] {
        let run = move |kernels: Kernels, data: &mut Data| {
            kernels.gemm_nt([m, n, d], data.a.slice(m * d), data.b.slice(n * d), data.c.slice_mut(m * n));
        };
        add("gemm_nt", format!("{m} x {n} x {d}"), 2 * m * n * d, Unit::Flops, vec![], Box::new(run));
    }
    for m in [5, 10, 100] {
        let rows = 64;
        let run = move |kernels: Kernels, data: &mut Data| {
            kernels.gemm_tn([m, d, rows], data.a.slice(rows * m), data.b.slice(rows * d), data.c.slice_mut(m * d));
        };
        add("gemm_tn", format!("{m} x {d}, {rows} rows"), 2 * m * d * rows, Unit::Flops, vec![], Box::new(run));
    }
    for n in [200, 1000] {
        let run = move |kernels: Kernels, data: &mut Data| {
            kernels.syrk_nt([n, d], data.a.slice(n * d), data.c.slice_mut(n * n));
        };
        // One triangle is computed.
        add("syrk_nt", format!("{n} x {d}"), n * (n + 1) * d, Unit::Flops, vec![], Box::new(run));
    }
    for n in [200, 1000] {
        let (rows, mut gram) = (numbers(5, n * d), vec![0.0; n * n]);
        Kernels::detect().syrk_nt([n, d], &rows, &mut gram);
        (0..n).for_each(|i| gram[i * n + i] += n as f32);
        let run = move |kernels: Kernels, data: &mut Data| {
            assert!(kernels.cholesky(n, data.c.slice_mut(n * n)).is_ok());
        };
        add("cholesky", format!("{n} x {n}"), n * n * n / 3, Unit::Flops, gram, Box::new(run));
    }
    let run = move |kernels: Kernels, data: &mut Data| {
        black_box(kernels.dot(black_box(data.a.slice(d)), data.b.slice(d)));
    };
    add("dot f32", d.to_string(), 2 * d, Unit::Flops, vec![], Box::new(run));
    let run = move |kernels: Kernels, data: &mut Data| {
        black_box(kernels.dot_f16(black_box(&data.halves[..d]), data.b.slice(d)));
    };
    add("dot f16", d.to_string(), 2 * d, Unit::Flops, vec![], Box::new(run));
    let run = move |kernels: Kernels, data: &mut Data| {
        black_box(kernels.dot_i8(black_box(&data.bytes[..d]), &data.bytes[d..][..d]));
    };
    add("dot i8", d.to_string(), 2 * d, Unit::Ops, vec![], Box::new(run));
    let (m, len) = (100, 100 * d);
    let run = move |kernels: Kernels, data: &mut Data| {
        kernels.gemv([m, d], data.a.slice(len), data.b.slice(d), data.c.slice_mut(m));
    };
    add("gemv f32", format!("{m} x {d}"), 2 * len, Unit::Flops, vec![], Box::new(run));
    let run = move |kernels: Kernels, data: &mut Data| {
        kernels.gemv_f16([m, d], &data.halves[..len], data.b.slice(d), data.c.slice_mut(m));
    };
    add("gemv f16", format!("{m} x {d}"), 2 * len, Unit::Flops, vec![], Box::new(run));
    let run = move |kernels: Kernels, data: &mut Data| {
        kernels.gemv_i8([m, d], &data.bytes[..len], &data.bytes[len..][..d], &mut data.sums);
    };
    add("gemv i8", format!("{m} x {d}"), 2 * len, Unit::Ops, vec![], Box::new(run));
    let elements = 1 << 16;
    let logits: Vec<f32> = numbers(6, elements).iter().map(|x| 10.0 * x).collect();
    let run = move |kernels: Kernels, data: &mut Data| kernels.exp(data.c.slice_mut(elements));
    add("exp", elements.to_string(), elements, Unit::Elements, logits.clone(), Box::new(run));
    for n in [2, 10, 100] {
        let len = elements / n * n;
        let run = move |kernels: Kernels, data: &mut Data| kernels.softmax_rows(n, data.c.slice_mut(len));
        add("softmax_rows", format!("{} x {n}", len / n), len, Unit::Elements, logits[..len].to_vec(), Box::new(run));
    }
    cases
}

/// Numbers in -1..1, the same each time.
fn numbers(seed: u64, len: usize) -> Vec<f32> {
    let mut state = seed;
    let number = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f32 / (1 << 23) as f32 - 1.0
    };
    std::iter::repeat_with(number).take(len).collect()
}
