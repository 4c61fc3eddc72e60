//! Why there are no statistics, or no head of them.

use std::path::PathBuf;

use topgraft_core::preprocess::PreprocessError;
use topgraft_core::solver::FitError;

use super::{MAX_BYTES, MAX_CLASSES};

/// Why statistics were not made, merged, or turned into a head.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum StatisticsError {
    /// There is nothing to make them of.
    #[error("there are no samples, so there are no statistics of them; teach something first")]
    Nothing,
    /// Features of different trunks.
    #[error(
        "statistics of two trunks cannot be merged: {first} and {second}; use the same network, cut and preprocessing on all devices"
    )]
    Trunk {
        /// The one,
        first: String,
        /// and the other.
        second: String,
    },
    /// Features of different lengths.
    #[error(
        "statistics of {first} and of {second} features cannot be merged; use the same network and cut on all devices"
    )]
    FeatureDim {
        /// The one,
        first: usize,
        /// and the other.
        second: usize,
    },
    /// Features that were scaled in different ways.
    #[error(
        "statistics of features of scaling {first} and of scaling {second} cannot be merged; use the same one on all devices"
    )]
    Scaling {
        /// The one,
        first: &'static str,
        /// and the other.
        second: &'static str,
    },
    /// A scaling that depends on the samples, so that it would be another one on each device.
    #[error(
        "there are no statistics of features of scaling {scaling}, which depends on the samples of one device; use l2 or none"
    )]
    OwnScaling {
        /// Its name.
        scaling: &'static str,
    },
    /// A trunk with a neck, which would have to be sent with them.
    #[error("there are no statistics of a trunk with a neck; use the trunk without it")]
    Neck,
    /// No class has enough samples to be shown to others.
    #[error(
        "no class has {least} samples, the most is {most}; teach more, or lower the least number of samples to publish"
    )]
    TooFewSamples {
        /// Samples that a class must have.
        least: u32,
        /// Samples of the largest class.
        most: u32,
    },
    /// A head tells classes apart.
    #[error("there is only one class, `{}`, and a head takes two; teach another one", class.escape_debug())]
    TooFewClasses {
        /// Its name.
        class: String,
    },
    /// More classes than a file holds.
    #[error(
        "{classes} classes, and at most {MAX_CLASSES} can be merged; remove some, or give those that are the same one name"
    )]
    TooManyClasses {
        /// How many there are.
        classes: usize,
    },
    /// A file would be too large.
    #[error(
        "statistics of {feature_dim} features and {classes} classes are larger than {} MB; use a cut with fewer features",
        MAX_BYTES / 1_000_000
    )]
    TooLarge {
        /// Length of the features.
        feature_dim: usize,
        /// Number of classes.
        classes: usize,
    },
    /// A name that no file takes.
    #[error("{what}")]
    Name {
        /// Which, and what is wrong with it.
        what: String,
    },
    /// A label beyond the classes.
    #[error("label {label} is of no class")]
    Label {
        /// The label.
        label: u16,
    },
    /// Numbers that are too large to be added in 32 bits.
    #[error("the numbers of the statistics are too large; they are not of scaled features")]
    NotFinite,
    /// The numbers are those of no samples.
    #[error("the statistics cannot be used: {0}; are they of real samples?")]
    Fit(#[from] FitError),
}

/// Why bytes are no statistics.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StatisticsFault {
    /// The first bytes are others.
    #[error("no statistics as `topgraft store statistics` writes them (.stats)")]
    NotStatistics,
    /// Larger than any can be.
    #[error("larger than {} MB, so these are no statistics", MAX_BYTES / 1_000_000)]
    TooLarge,
    /// Cut off within the header.
    #[error("cut off after {len} bytes")]
    TooShort {
        /// Bytes there are.
        len: usize,
    },
    /// Cut off, or something was added.
    #[error("cut off or extended: {found} bytes instead of {stated}")]
    Length {
        /// Length that the header states, or that what is in it calls for.
        stated: usize,
        /// Bytes there are.
        found: usize,
    },
    /// Written by another version of the format.
    #[error("statistics of version {found}; this program reads version {known}")]
    Version {
        /// Its version.
        found: u16,
        /// The one that is known.
        known: u16,
    },
    /// A byte was changed.
    #[error("damaged: its checksum is {computed:08x}, not {stated:08x} as written in it")]
    Checksum {
        /// CRC-32 in the file.
        stated: u32,
        /// CRC-32 of the bytes.
        computed: u32,
    },
    /// A name that means nothing.
    #[error("{what}")]
    Name {
        /// Which, and what is wrong with it.
        what: String,
    },
    /// A code or a number that means nothing.
    #[error("{what} is out of range")]
    Value {
        /// Its meaning.
        what: &'static str,
    },
    /// Preprocessing that means nothing.
    #[error(transparent)]
    Preprocess(#[from] PreprocessError),
}

/// Why there are no statistics in a file.
#[derive(Debug, thiserror::Error)]
pub enum StatisticsFileError {
    /// It cannot be read.
    #[error("{}: {source}; give a file as written by `topgraft store statistics`", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// It is none, or a damaged one.
    #[error("{}: {source}; write it again or take another copy", path.display())]
    Parse {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: StatisticsFault,
    },
}
