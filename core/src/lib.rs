//! Linear heads for the features of a frozen network: fitted to their exact optimum on the device, with the same bits on
//! every CPU.
//!
//! No operating system, no allocation, no dependency: the caller owns all memory. The only unsafe code of Topgraft is
//! here: in [`kernel`], in [`math`] for ARM's fused multiply-add, and in the casts of [`mod@format`].
//!
//! | module | what |
//! |---|---|
//! | [`kernel`] | vector kernels: scalar (the specification), AVX2, AVX-512, NEON of 64 and of 32 bits |
//! | [`math`] | `exp`, `ln` ... with stated bounds |
//! | [`head`] | [`head::Head`]: a linear classifier over any buffer; [`head::Nearest`]: samples that vote |
//! | [`neck`] | [`neck::Neck`]: a hidden layer before the head, for other tasks than that which it was developed on |
//! | [`scaler`] | what happens to features before the head |
//! | [`rejection`] | whether a sample is of none of the classes |
//! | [`solver`] | fitting a head: one file a kind |
//! | [`random`] | numbers that come in |
//! | [`preprocess`] | how a photo becomes the trunk's input |
//! | [`mod@format`] | the head file `.graft` |
//! | [`slots`] | two slots of flash: a head that survives a reset, and lost power |
//!
//! # Features
//! `std` (default): detects the CPU's instruction set at run time, and takes fused multiply-add and square root from the
//! standard library. Without it the instruction set is the one that is enabled at compile time; on
//! Cortex-M with an FPU these two are its instructions, elsewhere software. The results are the same.
#![cfg_attr(not(feature = "std"), no_std)]
#![deny(missing_docs, missing_debug_implementations, unsafe_op_in_unsafe_fn, clippy::undocumented_unsafe_blocks)]

mod crc;
pub mod format;
pub mod head;
pub mod kernel;
pub mod math;
pub mod neck;
pub mod preprocess;
pub mod random;
pub mod rejection;
pub mod scaler;
pub mod slots;
pub mod solver;

#[cfg(test)]
mod training_tests;
