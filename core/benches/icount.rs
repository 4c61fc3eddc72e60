//! Runs each kernel once between two calls that `benches/icount/plugin` looks for. Prints the name of each, in the order of
//! their numbers: `KERNEL SHAPE ISA`. Run by `benches/icount/run`, under QEMU; elsewhere it does nothing useful.

use topgraft_core::head::{Head, parameter_count};
use topgraft_core::kernel::Kernels;
use topgraft_core::solver::TrainingSet;
use topgraft_core::solver::softmax::{self, Settings};

const D: usize = 1280;
const N: usize = 64;
const C: usize = 10;

#[cfg(target_os = "linux")]
fn mark(what: i32, id: u64) {
    // SAFETY: an option that no kernel has is answered with EINVAL, whatever the arguments.
    unsafe { libc::prctl(what, id as libc::c_ulong) };
}

#[cfg(not(target_os = "linux"))]
fn mark(_: i32, _: u64) {}

fn main() {
    // `cargo test --benches` has nothing to count.
    if std::env::args().any(|arg| arg == "--test") {
        return;
    }
    let mut state = 1u32;
    let mut random = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / (1 << 24) as f32
    };
    let features: Vec<f32> = (0..N * D).map(|_| random()).collect();
    let weights: Vec<f32> = (0..C * D).map(|_| random() - 0.5).collect();
    let residuals: Vec<f32> = (0..N * C).map(|_| random() - 0.5).collect();
    let labels: Vec<u16> = (0..N).map(|i| (i % C) as u16).collect();
    let bytes: Vec<i8> = (0..C * D).map(|i| (i * 37 % 255) as u8 as i8).collect();
    let mut gram = vec![0.0; N * N];
    let mut id = 0;
    for kernels in Kernels::available() {
        let mut count = |name: &str, run: &mut dyn FnMut()| {
            id += 1;
            println!("{id} {name} {}", kernels.isa().name());
            mark(0x1c0_0001, id);
            run();
            mark(0x1c0_0002, id);
        };
        count("nothing", &mut || {});
        count("dot/1280", &mut || {
            std::hint::black_box(kernels.dot(&features[..D], &weights[..D]));
        });
        count("dot_i8/1280", &mut || {
            std::hint::black_box(kernels.dot_i8(&bytes[..D], &bytes[D..2 * D]));
        });
        let mut logits = vec![0.0; N * C];
        count("gemm_nt/64x10x1280", &mut || kernels.gemm_nt([N, C, D], &features, &weights, &mut logits));
        let mut gradient = vec![0.0; C * D];
        count("gemm_tn/10x1280x64", &mut || kernels.gemm_tn([C, D, N], &residuals, &features, &mut gradient));
        count("syrk_nt/64x1280", &mut || kernels.syrk_nt([N, D], &features, &mut gram));
        (0..N).for_each(|i| gram[i * N + i] += 100.0);
        count("cholesky/64", &mut || kernels.cholesky(N, &mut gram).expect("positive"));
        let mut losses = vec![0.0; N];
        count("cross_entropy_rows/64x10", &mut || kernels.cross_entropy_rows(C, &mut logits, &labels, &mut losses));
        let mut parameters = vec![0.0; parameter_count(C, D).expect("fits")];
        let mut head = Head::new(C, D, &mut parameters[..]).expect("of this length");
        let mut scratch = vec![0.0; softmax::scratch_len(N, C, D).expect("fits")];
        let set = TrainingSet { features: &features, labels: &labels, sample_weights: None };
        count("softmax::fit/64x10x1280", &mut || {
            softmax::fit(kernels, &set, &Settings::new(10.0), &mut head, &mut scratch).expect("sound");
        });
    }
}
