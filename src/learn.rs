//! Photos in, head out; and how good it is.
//!
//! ```text
//! Dataset --extract--> features --fit--> Model --save--> pets.graft
//!                                  Model + Trunk = Classifier --> Prediction
//! ```
//!
//! Trunk, vision, words and store meet here and nowhere else.

mod cache;
mod calibration;
mod checkup;
mod choice;
mod chunk;
mod classifier;
mod cost;
mod cross_validation;
mod csv;
mod curve;
mod dataset;
mod develop;
mod evaluation;
mod extract;
mod fit;
mod heads;
mod import;
mod lines;
mod model;
mod neighbours;
mod npy;
mod online_head;
mod panel;
mod pixels;
mod prediction;
mod probe;
mod random;
mod rejection;
mod review;
mod rows;
mod save;
mod scaling;
mod select;
#[cfg(feature = "encoder")]
mod sentence_encoder;
mod settle;
mod span;
mod spectrum;
mod statistics;
mod subsets;
mod teacher;
mod text_pooling;
mod text_trunk;
mod texts;
mod transfer;
mod transferability;
mod warm;
mod zero_shot;

pub use cache::{CacheError, FeatureCache};
pub use calibration::{Calibration, ECE_BINS, ReliabilityBin, calibration_error, probabilities, reliability};
pub use checkup::{Checkup, checkup};
pub use classifier::{Classifier, WrongTrunk};
pub use cost::Cost;
pub use cross_validation::{L2_GRID, LEAVE_ONE_OUT_LIMIT};
pub use curve::{Advice, CurvePoint, LearningCurve, PowerLaw, learning_curve};
pub use dataset::{Dataset, DatasetError, Sample, TooFew, photos_below};
pub use develop::{Comparison, DevelopError, Developed, NeckSettings, Verdict, develop};
pub use evaluation::{ClassReport, Evaluation, wilson};
pub use extract::{ExtractError, Extracted, Views, extract, for_each_photo};
pub use fit::{Fitted, LearnError, Settings, balanced, fit, fit_with, refit};
pub use heads::{AnyHead, LeftOut, takes_class_weights};
pub use import::{ImportError, ImportLimits, Imported, import};
pub use model::{Model, ModelError, NotFinite};
pub use panel::Panel;
pub use pixels::{PIXEL_SIDE, pixels};
pub use prediction::Prediction;
pub use probe::{PassTimes, Probed, Readings, TimeError, pass_times, recommended};
pub use rejection::{Novelty, UNKNOWN_RATE, auroc, energy, held_out_auroc};
pub use review::{Confusion, DUPLICATE_COSINE, Duplicates, Suspect, confusions, near_duplicates, suspects};
pub use rows::{Rows, RowsError};
pub use save::{SaveError, Written, check_path, is_same_file, save};
pub use scaling::Scaling;
pub use select::{Candidate, pareto_front, ranking};
#[cfg(feature = "encoder")]
pub use sentence_encoder::SentenceEncoder;
pub use settle::{Settled, Snapshot, settle};
pub use statistics::{
    LEAST_SAMPLES, MAX_BYTES, MAX_CLASSES, MAX_NODES, Statistics, StatisticsError, StatisticsFault,
    StatisticsFileError, StatisticsHead, TrunkIdentity, Union, UnionError,
};
pub use teacher::{Extraction, Lesson, TeachError, Teacher};
pub use text_pooling::{PoolingError, choose_pooling, scaling_of};
pub use text_trunk::{TextError, TextTrunk};
pub use texts::{Texts, TextsError};
pub use transfer::{Difference, Estimate, TransferCurve, TransferPoint, curve_samples, transfer_curve};
pub use transferability::{h_score, log_me};
pub use warm::{WarmStart, WarmStartError, warm_start};
pub use zero_shot::{ClassNames, HeldOut, NameError, for_names, held_out, name_vectors, temperature};
