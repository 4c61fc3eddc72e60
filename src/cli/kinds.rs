//! Kinds of heads and scalings, as they are asked for.

use clap::ValueEnum;
use topgraft::learn::Scaling;
use topgraft::topgraft_core::head::Kind;
use topgraft::topgraft_core::scaler::Scaler;

/// What to do to the features before the head.
#[derive(Clone, Copy, ValueEnum)]
pub enum ScalingArg {
    /// L2, unless another one has a clearly lower left-out log-loss
    Auto,
    /// Scale each feature vector to length 1
    L2,
    /// Subtract the mean and divide by the deviation, feature by feature
    Standard,
    /// Leave the features as they are
    None,
    /// Subtract the mean, then scale to length 1
    CentredL2,
}

impl ScalingArg {
    /// That of a head.
    pub fn of<F>(scaler: &Scaler<F>) -> Self {
        match scaler {
            Scaler::None => Self::None,
            Scaler::L2 => Self::L2,
            Scaler::Standard { .. } => Self::Standard,
            Scaler::CentredL2 { .. } => Self::CentredL2,
        }
    }

    pub fn scalings(self) -> Vec<Scaling> {
        match self {
            Self::Auto => Scaling::ALL.to_vec(),
            Self::L2 => vec![Scaling::L2],
            Self::Standard => vec![Scaling::Standard],
            Self::None => vec![Scaling::None],
            Self::CentredL2 => vec![Scaling::CentredL2],
        }
    }
}

/// Kind of head, or the choice of one.
#[derive(Clone, Copy, ValueEnum)]
pub enum HeadArg {
    /// Softmax, unless another kind but `nearest` has a clearly lower left-out log-loss
    Auto,
    /// Softmax regression (multinomial logistic regression)
    Softmax,
    /// Ridge regression on the classes
    Ridge,
    /// Linear discriminant analysis
    Lda,
    /// Nearest class mean
    Prototype,
    /// K nearest neighbours; the head file holds the features of each photo
    Nearest,
}

impl HeadArg {
    pub fn kinds(self) -> Vec<Kind> {
        match self {
            Self::Auto => Kind::LINEAR.to_vec(),
            Self::Softmax => vec![Kind::Softmax],
            Self::Ridge => vec![Kind::Ridge],
            Self::Lda => vec![Kind::Lda],
            Self::Prototype => vec![Kind::Prototype],
            Self::Nearest => vec![Kind::Nearest],
        }
    }
}
