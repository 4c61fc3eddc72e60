//! The peak of one core, measured: fused multiply-adds in registers that do not wait for each other.

use std::hint::black_box;

use super::timing::{Runs, measure};
use topgraft_core::kernel::{Isa, Kernels};

/// The most GFLOP/s that an instruction set gives on this core, by CPU time; `None` for scalar code.
pub fn peak(kernels: Kernels) -> Option<f64> {
    let isa = kernels.isa();
    const ROUNDS: usize = 20_000;
    let chains: fn(usize) -> f32 = match isa {
        #[cfg(target_arch = "x86_64")]
        // SAFETY: `kernels` is the proof that the CPU has it.
        Isa::Avx512 => |rounds| unsafe { chains::avx512(rounds) },
        #[cfg(target_arch = "x86_64")]
        // SAFETY: as above.
        Isa::Avx2 => |rounds| unsafe { chains::avx2(rounds) },
        #[cfg(target_arch = "aarch64")]
        Isa::Neon => chains::neon,
        _ => return None,
    };
    let lanes = match isa {
        Isa::Avx512 => 16,
        Isa::Avx2 => 8,
        _ => 4,
    };
    let flops = (2 * lanes * chains::CHAINS * ROUNDS) as f64;
    let timing = measure(
        Runs { least: 20, seconds: 0.3 },
        &mut (),
        |_| (),
        |_| {
            black_box(chains(black_box(ROUNDS)));
        },
    );
    Some(flops / timing.cpu / 1e9)
}

/// Independent chains of fused multiply-adds that stay in registers, more than latency times units.
mod chains {
    pub const CHAINS: usize = 12;

    #[cfg(target_arch = "x86_64")]
    use core::arch::x86_64::*;

    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx512f")]
    pub fn avx512(rounds: usize) -> f32 {
        let [half, quarter] = [0.5, 0.25].map(|x| std::hint::black_box(_mm512_set1_ps(x)));
        let mut chains = [quarter; CHAINS];
        for _ in 0..rounds {
            chains.iter_mut().for_each(|chain| *chain = _mm512_fmadd_ps(*chain, half, quarter));
        }
        _mm512_reduce_add_ps(chains.into_iter().fold(_mm512_setzero_ps(), |sum, chain| _mm512_add_ps(sum, chain)))
    }

    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx2,fma")]
    pub fn avx2(rounds: usize) -> f32 {
        let [half, quarter] = [0.5, 0.25].map(|x| std::hint::black_box(_mm256_set1_ps(x)));
        let mut chains = [quarter; CHAINS];
        for _ in 0..rounds {
            chains.iter_mut().for_each(|chain| *chain = _mm256_fmadd_ps(*chain, half, quarter));
        }
        let sum = chains.into_iter().fold(_mm256_setzero_ps(), |sum, chain| _mm256_add_ps(sum, chain));
        _mm256_cvtss_f32(sum)
    }

    #[cfg(target_arch = "aarch64")]
    pub fn neon(rounds: usize) -> f32 {
        use core::arch::aarch64::*;
        let [half, quarter] = [0.5, 0.25].map(|x| std::hint::black_box(vdupq_n_f32(x)));
        let mut chains = [quarter; CHAINS];
        for _ in 0..rounds {
            chains.iter_mut().for_each(|chain| *chain = vfmaq_f32(quarter, *chain, half));
        }
        vaddvq_f32(chains.into_iter().fold(vdupq_n_f32(0.0), |sum, chain| vaddq_f32(sum, chain)))
    }
}
