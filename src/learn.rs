//! Photos in, head out; and how good it is.
//!
//! ```text
//! Dataset --extract--> features --fit--> Model --save--> pets.graft
//!                                  Model + Trunk = Classifier --> Prediction
//! ```
//!
//! Trunk and vision meet here and nowhere else.

mod classifier;
mod cross_validation;
mod dataset;
mod evaluation;
mod extract;
mod fit;
mod model;
mod span;

pub use classifier::{Classifier, Prediction, WrongTrunk};
pub use cross_validation::{CrossValidation, L2_GRID, LEAVE_ONE_OUT_LIMIT};
pub use dataset::{Dataset, DatasetError, Sample, TooFew, photos_below};
pub use evaluation::{ClassReport, Evaluation, wilson};
pub use extract::{ExtractError, Extracted, extract};
pub use fit::{Fitted, LearnError, Scaling, fit};
pub use model::{Model, ModelError, NotFinite, SaveError};
