//! Random choices that are the same for the same seed.

pub(super) use topgraft_core::random::SplitMix64;
