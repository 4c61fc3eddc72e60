//! What the programs in `bin/` share.
#![no_std]

pub mod board;
pub mod flash;
pub mod rows;
