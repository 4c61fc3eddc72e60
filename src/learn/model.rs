//! What was learned, in memory and as a head file.

use std::collections::HashSet;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use topgraft_core::format::{self, Contents, Graft, ParseError};
use topgraft_core::head::{Head, Kind, Nearest};
use topgraft_core::kernel::Kernels;
use topgraft_core::preprocess::Preprocess;
use topgraft_core::rejection::Rejection;
use topgraft_core::scaler::Scaler;

use super::calibration::probabilities;
use super::chunk;
use super::fit::Fitted;
use super::heads::AnyHead;
use super::prediction::Prediction;
use super::rejection::UNKNOWN_RATE;
use super::save::{self, SaveError};
use super::zero_shot::ClassNames;
use crate::trunk::{NECK_CHUNK, Neck, Trunk};
use crate::words::{Recipe, RecipeError};

/// A head with all that is needed to use it: labels, scaling, and which trunk it belongs to.
#[derive(Clone, Debug, PartialEq)]
pub struct Model {
    /// Names the trunk that the head was fitted on, with its neck.
    pub fingerprint: [u8; 32],
    /// What was developed behind the network, if the head was fitted on such.
    pub neck: Option<Neck>,
    /// How texts become features, if the head was fitted on such.
    pub recipe: Option<Recipe>,
    /// How names get vectors, if a head of ridge regression may be asked for names that it was not taught.
    pub names: Option<ClassNames>,
    /// Name of the backbone, for messages.
    pub backbone: String,
    /// Layer whose output are the features.
    pub cut: String,
    /// How a photo becomes the trunk's input.
    pub preprocess: Preprocess,
    /// Names of the classes, in the order of the head's rows.
    pub labels: Vec<String>,
    /// Scaling of the features before the head.
    pub scaler: Scaler<Vec<f32>>,
    /// What turns scaled features into logits.
    pub head: AnyHead,
    /// L2 penalty that it was fitted with; the shrinkage of `Lda`, 1 for `Prototype`, the number of neighbours for `Nearest`.
    pub l2: f32,
    /// How it was fitted.
    pub kind: Kind,
    /// How good it is on samples that it has not seen.
    pub evaluation: Option<format::Evaluation>,
    /// Temperature of the probabilities; without one it is 1.
    pub calibration: Option<format::Calibration>,
    /// What makes a sample unknown; without it none is.
    pub rejection: Option<Rejection<Vec<f32>, Vec<i8>>>,
    /// Program that wrote the file.
    pub producer: String,
}

/// What a file that is written here says of its producer.
pub(super) const PRODUCER: &str = concat!("topgraft ", env!("CARGO_PKG_VERSION"));

/// Tag of the chunk that holds a recipe of texts.
const RECIPE_CHUNK: [u8; 4] = *b"text";
/// Tag of the chunk that holds [`ClassNames`].
const NAMES_CHUNK: [u8; 4] = *b"name";

/// The largest head file that is read: 10,000 classes of 1,280 features are 51 MB, as many samples 26 MB.
const MAX_FILE_BYTES: u64 = 1 << 30;

/// Why there is no model in a file.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    /// The file is not there or cannot be read.
    #[error("{}: {source}; give a head file as written by `topgraft learn`", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file is too large to be a head.
    #[error("{}: larger than 1 GiB, so it is no head file (.graft)", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
    },
    /// The file is no head file, or a damaged one.
    #[error("{}: {source}; teach it again or take another copy", path.display())]
    Parse {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: ParseError,
    },
}

/// A head that gives NaN or infinity for a class: its weights or its scaling are too large for 32 bits.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the head's number for class `{label}` is not finite: its weights or its scaling are too large; teach it again"
)]
pub struct NotFinite {
    /// Label of the first such class.
    pub label: String,
}

impl Model {
    /// What was learned on `trunk`: a fitted head and the names of its classes. [`UNKNOWN_RATE`] is the share of photos of
    /// these classes that may be called unknown.
    pub fn new(trunk: &Trunk, labels: Vec<String>, fitted: &Fitted) -> Self {
        let evaluation = &fitted.evaluation;
        Self {
            fingerprint: trunk.fingerprint(),
            neck: trunk.neck().cloned(),
            recipe: None,
            names: None,
            backbone: trunk.backbone_name().to_owned(),
            cut: trunk.cut().to_owned(),
            preprocess: *trunk.preprocess(),
            labels,
            scaler: fitted.scaler.clone(),
            head: fitted.head.clone(),
            l2: fitted.left_out.setting,
            kind: fitted.left_out.kind,
            evaluation: Some(format::Evaluation {
                folds: fitted.left_out.folds as u32,
                n_samples: evaluation.n_samples(),
                correct: evaluation.correct(),
                majority: evaluation.majority(),
            }),
            calibration: Some(format::Calibration {
                temperature: fitted.calibration.temperature,
                ece_before: fitted.calibration.ece_before as f32,
                ece_after: fitted.calibration.ece_after as f32,
            }),
            rejection: fitted.novelty.rejection(UNKNOWN_RATE),
            producer: PRODUCER.to_owned(),
        }
    }

    /// Reads and checks a head file of at most 1 GiB.
    ///
    /// # Errors
    /// [`ModelError`] with the path and what is wrong.
    pub fn open(path: &Path) -> Result<Self, ModelError> {
        let read = |source| ModelError::Read { path: path.to_path_buf(), source };
        let mut bytes = Vec::new();
        File::open(path).map_err(read)?.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes).map_err(read)?;
        if bytes.len() as u64 > MAX_FILE_BYTES {
            return Err(ModelError::TooLarge { path: path.to_path_buf() });
        }
        Self::parse(&bytes).map_err(|source| ModelError::Parse { path: path.to_path_buf(), source })
    }

    /// Checks the bytes of a head file and copies them out.
    ///
    /// # Errors
    /// [`ParseError`], the first thing that is wrong.
    pub fn parse(bytes: &[u8]) -> Result<Self, ParseError> {
        let graft = Graft::parse(bytes)?;
        let mut seen = HashSet::new();
        if !graft.labels().all(|label| seen.insert(label)) {
            return Err(ParseError::Value { what: "a label that two classes have" });
        }
        let mut seen = HashSet::new();
        let is_known = |tag: &[u8; 4]| {
            [b"eval", b"temp", b"reje", b"made", &NECK_CHUNK, &RECIPE_CHUNK, &NAMES_CHUNK].contains(&tag)
        };
        if !Graft::chunks(bytes).filter(is_known).all(|tag| seen.insert(tag)) {
            return Err(ParseError::Value { what: "a chunk that is there twice" });
        }
        let neck = chunk::find(bytes, NECK_CHUNK).map(Neck::parse).transpose()?;
        if let Some(neck) = &neck {
            if neck.hidden_dim() != graft.feature_dim() {
                return Err(ParseError::Value { what: "what the neck gives" });
            }
            if neck.fingerprint() != *graft.fingerprint() {
                return Err(ParseError::Value { what: "the fingerprint of the trunk with its neck" });
            }
        }
        let recipe = chunk::find(bytes, RECIPE_CHUNK).map(Recipe::parse).transpose();
        let recipe = recipe.map_err(|RecipeError(what)| ParseError::Value { what })?;
        if let Some(recipe) = &recipe {
            let (trunk, feature_dim) = match &neck {
                Some(neck) => (neck.trunk, neck.feature_dim()),
                None => (*graft.fingerprint(), graft.feature_dim()),
            };
            if recipe.fingerprint() != trunk || recipe.feature_dim() != feature_dim {
                return Err(ParseError::Value { what: "the recipe of texts" });
            }
        }
        let names = chunk::find(bytes, NAMES_CHUNK).map(ClassNames::parse).transpose();
        let names = names.map_err(|RecipeError(what)| ParseError::Value { what })?;
        if names.is_some() && graft.kind() != Kind::Ridge {
            return Err(ParseError::Value { what: "names of classes of a head that is not ridge regression's" });
        }
        let shape = [graft.n_classes(), graft.feature_dim()];
        const CHECKED: &str = "the parser has checked it";
        let head = match graft.samples() {
            None => Head::new(shape[0], shape[1], graft.parameters().iter().collect()).expect(CHECKED).into(),
            Some(samples) => {
                let (rows, labels) = (samples.rows.iter().collect(), samples.labels.iter().collect());
                let squares = vec![0.0; samples.labels.len()];
                Nearest::new(Kernels::detect(), shape, samples.k, rows, labels, squares).expect(CHECKED).into()
            }
        };
        Ok(Self {
            fingerprint: *graft.fingerprint(),
            neck,
            recipe,
            names,
            backbone: graft.backbone().to_owned(),
            cut: graft.cut().to_owned(),
            preprocess: graft.preprocess(),
            labels: graft.labels().map(str::to_owned).collect(),
            scaler: match graft.scaler() {
                Scaler::None => Scaler::None,
                Scaler::L2 => Scaler::L2,
                Scaler::Standard { mean, scale } => {
                    Scaler::Standard { mean: mean.iter().collect(), scale: scale.iter().collect() }
                }
                Scaler::CentredL2 { mean } => Scaler::CentredL2 { mean: mean.iter().collect() },
            },
            head,
            l2: graft.l2(),
            kind: graft.kind(),
            evaluation: graft.evaluation(),
            calibration: graft.calibration(),
            rejection: graft.rejection().map(|r| Rejection {
                steps: r.steps.iter().collect(),
                means: r.means.to_vec(),
                scale: r.scale,
                threshold: r.threshold,
                rate: r.rate,
                auroc: r.auroc,
            }),
            producer: graft.producer().unwrap_or_default().to_owned(),
        })
    }

    /// The bytes of the head file.
    ///
    /// # Errors
    /// [`format::EmitError`], e.g. labels that do not fit the head.
    pub fn to_bytes(&self) -> Result<Vec<u8>, format::EmitError> {
        let labels: Vec<&str> = self.labels.iter().map(String::as_str).collect();
        let contents = Contents {
            fingerprint: self.fingerprint,
            backbone: &self.backbone,
            cut: &self.cut,
            preprocess: self.preprocess,
            labels: &labels,
            scaler: match &self.scaler {
                Scaler::None => Scaler::None,
                Scaler::L2 => Scaler::L2,
                Scaler::Standard { mean, scale } => Scaler::Standard { mean, scale },
                Scaler::CentredL2 { mean } => Scaler::CentredL2 { mean },
            },
            head: self.head.as_slices(),
            l2: self.l2,
            kind: self.kind,
            evaluation: self.evaluation,
            calibration: self.calibration,
            rejection: self.rejection.as_ref().map(|r| Rejection {
                steps: r.steps.as_slice(),
                means: r.means.as_slice(),
                scale: r.scale,
                threshold: r.threshold,
                rate: r.rate,
                auroc: r.auroc,
            }),
            producer: &self.producer,
        };
        let mut bytes = vec![0; contents.encoded_len()?];
        contents.emit(&mut bytes)?;
        let neck = self.neck.as_ref().map(|neck| (NECK_CHUNK, neck.to_bytes()));
        let recipe = self.recipe.as_ref().map(|recipe| (RECIPE_CHUNK, recipe.to_bytes()));
        let names = self.names.as_ref().map(|names| (NAMES_CHUNK, names.to_bytes()));
        for (tag, payload) in neck.into_iter().chain(recipe).chain(names) {
            bytes = chunk::add(bytes, tag, &payload).ok_or(format::EmitError::TooLarge)?;
        }
        Ok(bytes)
    }

    /// The trunk that the head was fitted on, if that is without a network: of pixels, of rows, or of the features of texts, with
    /// its neck.
    pub fn raw_trunk(&self) -> Option<Trunk> {
        if let Some(recipe) = &self.recipe {
            let columns = u32::try_from(recipe.feature_dim()).ok()?;
            let trunk = Trunk::made_elsewhere(&self.backbone, &self.cut, columns, recipe.fingerprint());
            return match &self.neck {
                Some(neck) => trunk.with_neck(neck.clone()).ok(),
                None => Some(trunk),
            };
        }
        match &self.neck {
            None => Trunk::raw_of(self.fingerprint, &self.preprocess, self.head.feature_dim()),
            Some(neck) => Trunk::raw_of(neck.trunk, &self.preprocess, neck.feature_dim())?.with_neck(neck.clone()).ok(),
        }
    }

    /// Whether [`save`](Self::save) would refuse the path for what is there now: to be asked before the work.
    ///
    /// # Errors
    /// [`SaveError::Exists`] unless `replace`, [`SaveError::NotAFile`].
    pub fn check_path(path: &Path, replace: bool) -> Result<(), SaveError> {
        save::check_path(path, replace)
    }

    /// Writes the head file whole or not at all: a temporary file beside it is synced, then renamed. A file that is
    /// replaced gives its mode to the new one; if the path is that of a link, the file that it leads to is replaced.
    ///
    /// # Errors
    /// As [`check_path`](Self::check_path), or what the system said.
    pub fn save(&self, path: &Path, replace: bool) -> Result<(), SaveError> {
        save::check_path(path, replace)?;
        let bytes = self.to_bytes().map_err(|source| SaveError::Emit { path: path.to_path_buf(), source })?;
        save::save(path, &bytes, replace)
    }

    /// Probability of each class, `[n_classes]`, for features `[feature_dim]` as the trunk gives them, and whether they are
    /// of none of the classes: `None` if the head has nothing to tell that by.
    ///
    /// # Errors
    /// [`NotFinite`] if the head's numbers are so large that it gives no probabilities.
    ///
    /// # Panics
    /// If the features are not of the head's `feature_dim`.
    pub fn predict(&self, kernels: Kernels, features: &[f32]) -> Result<Prediction, NotFinite> {
        let (scaled, mut p) = self.scaled_and_logits(kernels, features)?;
        probabilities(&mut p, self.calibration.map_or(1.0, |calibration| calibration.temperature));
        let surest = p.iter().fold(0.0, |max: f32, p| max.max(*p));
        let score = self.rejection.as_ref().map(|rejection| rejection.score(&scaled, surest));
        let unknown = self.rejection.as_ref().zip(score).map(|(rejection, score)| rejection.is_unknown(score));
        Ok(Prediction { unknown, score, ..Prediction::new(p) })
    }

    /// Logits `[n_classes]` for features `[feature_dim]` as the trunk gives them: before the temperature and the softmax.
    ///
    /// # Errors
    /// [`NotFinite`] if one of them is not.
    ///
    /// # Panics
    /// If the features are not of the head's `feature_dim`.
    pub fn logits(&self, kernels: Kernels, features: &[f32]) -> Result<Vec<f32>, NotFinite> {
        self.scaled_and_logits(kernels, features).map(|(_, logits)| logits)
    }

    /// The scaled features, and the logits.
    fn scaled_and_logits(&self, kernels: Kernels, features: &[f32]) -> Result<(Vec<f32>, Vec<f32>), NotFinite> {
        let mut scaled = features.to_vec();
        self.scaler.apply(kernels, &mut scaled);
        let mut logits = vec![0.0; self.labels.len()];
        self.head.logits(kernels, &scaled, &mut logits);
        match logits.iter().position(|logit| !logit.is_finite()) {
            Some(class) => Err(NotFinite { label: self.labels[class].clone() }),
            None => Ok((scaled, logits)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn golden() -> Vec<u8> {
        std::fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/golden.graft")).expect("is in the tree")
    }

    #[test]
    fn a_file_survives_being_read_and_written() {
        let model = Model::parse(&golden()).expect("sound");
        assert_eq!(model.to_bytes().expect("fits"), golden());
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("x.graft");
        model.save(&path, false).expect("writes");
        assert_eq!(Model::open(&path).expect("sound"), model);
        assert_eq!(std::fs::read_dir(folder.path()).expect("a folder").count(), 1, "no temporary file is left");
    }

    #[test]
    fn what_may_be_there_once_is_refused_twice() {
        let seal = |mut bytes: Vec<u8>| {
            bytes.extend(*b"CRC \x04\0\0\0\0\0\0\0\0\0\0\0");
            let len = bytes.len();
            bytes[12..16].copy_from_slice(&(len as u32).to_le_bytes());
            let crc = crc32fast::hash(&bytes[..len - 16]);
            bytes[len - 8..len - 4].copy_from_slice(&crc.to_le_bytes());
            bytes
        };
        let golden = golden();
        let body = &golden[..golden.len() - 16];
        assert_eq!(seal(body.to_vec()), golden);
        let at = body.windows(8).position(|tag| tag == b"eval\x10\0\0\0").expect("an evaluation");
        let twice = seal([body, &body[at..at + 24]].concat());
        assert_eq!(Model::parse(&twice), Err(ParseError::Value { what: "a chunk that is there twice" }));
        // Two labels of the same length.
        let mut model = Model::parse(&golden).expect("sound");
        model.labels[1] = model.labels[0].clone();
        let bytes = model.to_bytes().expect("fits");
        assert_eq!(Model::parse(&bytes), Err(ParseError::Value { what: "a label that two classes have" }));
    }

    #[test]
    fn a_file_is_replaced_only_on_demand() {
        let model = Model::parse(&golden()).expect("sound");
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("x.graft");
        std::fs::write(&path, "mine").expect("writes");
        assert!(matches!(model.save(&path, false), Err(SaveError::Exists { .. })));
        assert_eq!(std::fs::read(&path).expect("is there"), b"mine");
        model.save(&path, true).expect("writes");
        assert_eq!(Model::open(&path).expect("sound"), model);
        let nowhere = folder.path().join("no/such/folder/x.graft");
        assert!(matches!(model.save(&nowhere, true), Err(SaveError::Write { .. })));
        assert_eq!(std::fs::read_dir(folder.path()).expect("a folder").count(), 1, "no temporary file is left");
    }

    #[cfg(unix)]
    #[test]
    fn a_link_stays_a_link_and_a_mode_stays_and_what_is_no_file_stays() {
        use std::fs::Permissions;
        use std::os::unix::fs::{PermissionsExt, symlink};
        use std::os::unix::net::UnixListener;
        let model = Model::parse(&golden()).expect("sound");
        let folder = tempfile::tempdir().expect("a folder");
        let path = |name: &str| folder.path().join(name);
        std::fs::write(path("real.graft"), "mine").expect("writes");
        std::fs::set_permissions(path("real.graft"), Permissions::from_mode(0o640)).expect("ours");
        symlink("real.graft", path("link.graft")).expect("a link");
        assert!(matches!(model.save(&path("link.graft"), false), Err(SaveError::Exists { .. })));
        model.save(&path("link.graft"), true).expect("writes");
        assert!(path("link.graft").is_symlink());
        assert_eq!(Model::open(&path("real.graft")).expect("sound"), model);
        assert_eq!(path("real.graft").metadata().expect("there").permissions().mode() & 0o777, 0o640);

        symlink("gone.graft", path("nowhere.graft")).expect("a link");
        let _socket = UnixListener::bind(path("socket")).expect("a socket");
        std::fs::create_dir(path("folder")).expect("a folder");
        for name in ["nowhere.graft", "socket", "folder"] {
            let refused = model.save(&path(name), true);
            assert!(matches!(refused, Err(SaveError::NotAFile { .. })), "{name}: {refused:?}");
            assert!(matches!(Model::check_path(&path(name), true), Err(SaveError::NotAFile { .. })));
            assert!(path(name).symlink_metadata().is_ok());
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_folder_that_cannot_be_read_takes_a_file_all_the_same() {
        use std::os::unix::fs::PermissionsExt;
        // Root may read any folder, so this says something only for others.
        let model = Model::parse(&golden()).expect("sound");
        let folder = tempfile::tempdir().expect("a folder");
        let mode = |mode| std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(mode)).expect("ours");
        mode(0o300);
        let saved = model.save(&folder.path().join("x.graft"), false);
        mode(0o700);
        saved.expect("writes");
    }

    #[test]
    fn what_is_no_head_file_says_why() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("x.graft");
        assert!(matches!(Model::open(&path), Err(ModelError::Read { .. })));
        std::fs::write(&path, "not a head").expect("writes");
        let error = Model::open(&path).expect_err("not a head");
        assert!(error.to_string().ends_with("x.graft: not a head file (.graft); teach it again or take another copy"));
    }

    #[test]
    fn probabilities_add_up_to_one() {
        let mut model = Model::parse(&golden()).expect("sound");
        model
            .head
            .linear_mut()
            .expect("softmax")
            .parameters_mut()
            .copy_from_slice(&[1.0, 2.0, 3.0, -1.0, 0.5, 0.0, 0.1, 0.2]);
        let predict = |model: &Model| model.predict(Kernels::detect(), &[0.3, 0.2, 0.1]).expect("finite");
        let Prediction { probabilities: p, unknown, .. } = predict(&model);
        assert!((p.iter().sum::<f32>() - 1.0).abs() < 1e-6 && p.iter().all(|p| *p > 0.0));
        assert_eq!(unknown, None, "this file is from before there were unknown samples");
        model.calibration = Some(format::Calibration { temperature: 1e3, ece_before: 0.5, ece_after: 0.0 });
        let flat = predict(&model).probabilities;
        assert!(flat[0] > 0.499 && flat[0] < 0.501 && (p[0] - 0.5).abs() > 0.1, "{flat:?} {p:?}");
    }

    #[test]
    fn a_head_that_knows_how_its_classes_look_calls_other_things_unknown() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/golden_calibrated.graft");
        let bytes = std::fs::read(path).expect("is in the tree");
        let mut model = Model::parse(&bytes).expect("sound");
        assert_eq!(model.to_bytes().expect("fits"), bytes);
        model
            .head
            .linear_mut()
            .expect("softmax")
            .parameters_mut()
            .copy_from_slice(&[2.0, 0.0, 0.0, 0.0, 2.0, 0.0, 0.0, 0.0]);
        model.scaler = Scaler::None;
        let rejection = model.rejection.as_mut().expect("has one");
        (rejection.steps, rejection.means) = (vec![0.01; 2], vec![100, 0, 0, 0, 100, 0]);
        let unknown =
            |model: &Model, features: &[f32]| model.predict(Kernels::detect(), features).expect("finite").unknown;
        assert_eq!(unknown(&model, &[1.0, 0.0, 0.0]), Some(false));
        assert_eq!(unknown(&model, &[1.0, 0.0, 2.0]), Some(true));
        model.rejection = None;
        assert_eq!(unknown(&model, &[1.0, 0.0, 2.0]), None);
    }

    #[test]
    fn a_head_of_samples_survives_being_read_and_written_and_judges_by_them() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/golden_nearest.graft");
        let bytes = std::fs::read(path).expect("is in the tree");
        let mut model = Model::parse(&bytes).expect("sound");
        assert_eq!(model.to_bytes().expect("fits"), bytes);
        assert_eq!((model.kind, model.l2, model.head.parameter_count()), (Kind::Nearest, 2.0, 9));
        (model.scaler, model.calibration) = (Scaler::None, None);
        // The two nearest to the first sample, of class 1, are itself and the third, of class 1 too.
        let p = model.predict(Kernels::detect(), &[1.0, 0.0, 0.0]).expect("finite").probabilities;
        assert!((p[1] - 2.5 / 3.0).abs() < 1e-6, "{p:?}");
        assert!(model.predict(Kernels::detect(), &[3e38, 0.0, 3e38]).is_err());
    }

    #[test]
    fn a_head_of_huge_weights_gives_no_probabilities() {
        let mut model = Model::parse(&golden()).expect("sound");
        model.scaler = Scaler::None;
        model.head.linear_mut().expect("softmax").parameters_mut().fill(3e38);
        let error = NotFinite { label: model.labels[0].clone() };
        assert_eq!(model.predict(Kernels::detect(), &[3.0, 2.0, 1.0]), Err(error));
    }
}
