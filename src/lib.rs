//! Transfer learning on the device: a pretrained network is cut at a layer and frozen, and a small head on its features is
//! taught from a few labelled photos, to its exact optimum, in milliseconds.
//!
//! ```text
//! photo --vision--> input tensor --trunk--> features --head--> prediction
//! ```
//!
//! | module | what |
//! |---|---|
//! | [`vision`] | photo file -> input tensor |
//! | [`trunk`] | ONNX file -> backbone -> trunk, cut at a layer |
//! | [`words`] | text -> features, by word vectors |
//! | [`learn`] | folder of photos -> head, and how good it is |
//! | [`live`] | camera -> trunk -> head, all the time; teaching by showing |
//! | [`export`] | what was learned, in the formats of other programs |
//! | [`models`] | source models by name: catalogs, the folder that keeps them, downloads |
//! | [`report`] | how good it is, as pictures and a page |
//! | [`store`] | samples, their features and heads in one SQLite file |
//! | [`topgraft_core`] | kernels, solvers, the head file; no operating system needed |
//!
//! ```no_run
//! use std::path::Path;
//! use topgraft::learn::{Dataset, Extracted, Model, Scaling, fit};
//! use topgraft::trunk::Backbone;
//!
//! let backbone = Backbone::open(Path::new("mobilenet_v2.onnx"))?;
//! let (preprocess, _) = backbone.preprocess();
//! let trunk = backbone.cut(&backbone.penultimate()?.output, &preprocess)?;
//!
//! let photos = Extracted::new(&trunk, &Dataset::open(Path::new("photos"))?, || {});
//! photos.dataset.check_teachable()?;
//! let fitted = fit(photos.features.view(), &photos.labels(), photos.dataset.classes.len(), Scaling::L2)?;
//! println!("{:.1} % of left-out photos right", 100.0 * fitted.evaluation.accuracy());
//! Model::new(&trunk, photos.dataset.classes, &fitted).save(Path::new("pets.graft"), false)?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Features
//! `embed-backbone` (default): EfficientNet-Lite0 (9.3 MB) is part of the program, [`trunk::Backbone`]'s `embedded`.
//! Without it every trunk comes from an ONNX file.
//!
//! `pull` (default): [`models::Store`] can download. Without it there is no code for networks and no TLS.
//!
//! `screen` (default): [`live::display`]'s SPI and I2C screens, on Linux. Without it there are the framebuffer and PNG files.
//!
//! `report` (default): [`report`]. Without it there are no pictures and no pages.
#![forbid(unsafe_code)]
#![deny(missing_docs)]

pub mod export;
pub mod learn;
pub mod live;
pub mod models;
mod panics;
#[cfg(feature = "report")]
pub mod report;
pub mod store;
pub mod trunk;
pub mod vision;
pub mod words;

pub use topgraft_core;
