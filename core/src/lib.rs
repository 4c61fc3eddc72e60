//! Linear heads for frozen features.
#![cfg_attr(not(feature = "std"), no_std)]
pub mod preprocess;
