//! What came out, as pictures and as a page to read: `eval --report`, `probe --chart`.
//!
//! ```text
//! Model + labelled photos --Report::new--> Report --files--> report.html, *.png --Folder::write--> a folder
//! ```
//!
//! docs/report.md says what each picture means.

mod axes;
mod canvas;
mod confusion;
mod cut_chart;
mod folder;
mod font;
mod html;
mod learning_curve;
mod reliability;
mod text;
mod thumbnails;

use std::path::Path;

use topgraft_core::kernel::Kernels;

use crate::learn::{
    Calibration, Estimate, Evaluation, Extracted, Model, NotFinite, Prediction, TransferCurve, calibration_error,
    curve_samples, pixels, reliability as bins, transfer_curve, wilson,
};
use canvas::Theme;
use confusion::Matrix;
pub use cut_chart::{CutPoint, cut_chart};
pub use folder::{Folder, FolderError};
use html::{GalleryPhoto, Page};
use reliability::Reliability;
use text::{counted, interval, percent, shown};
use thumbnails::Thumbnail;

/// Name of the page.
pub const PAGE: &str = "report.html";
/// Names of all files that a report may have; the page comes last.
pub const FILES: [&str; 5] = ["learning_curve.png", "confusion.png", "reliability.png", "cuts.png", PAGE];

/// A file of a report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct File {
    /// Its name in the folder.
    pub name: &'static str,
    /// What is in it.
    pub bytes: Vec<u8>,
}

/// A photo, and what the head says of it.
#[derive(Clone, Copy, Debug)]
struct Photo<'a> {
    path: &'a Path,
    truth: u16,
    predicted: u16,
    probability: f32,
    is_unknown: bool,
}

/// What there is to say about a head and photos that it has not seen.
#[derive(Debug)]
pub struct Report<'a> {
    model: &'a Model,
    evaluation: Evaluation,
    /// Photos that could not be read.
    skipped: usize,
    /// Photos that the head calls unknown; `None` if it can call none so.
    unknown: Option<usize>,
    curve: Result<TransferCurve, String>,
    before: Reliability,
    /// `None` if the head's temperature is 1.
    after: Option<Reliability>,
    cuts: Option<Cuts>,
    worst: Vec<Thumbnail>,
    unknown_photos: Vec<Thumbnail>,
}

/// Cuts of the network beside each other.
#[derive(Debug)]
struct Cuts {
    /// Light and dark.
    charts: [Vec<u8>; 2],
    description: String,
    rows: Vec<Vec<String>>,
}

impl<'a> Report<'a> {
    /// Measures. `truth` and `predictions` are those of the samples of `extracted`, whose photos lie below `folder`; of these
    /// the curve's and the worst ones are read once more.
    ///
    /// # Errors
    /// [`NotFinite`], as for a prediction.
    ///
    /// # Panics
    /// If there is not one of each for every sample, or no sample.
    pub fn new(
        model: &'a Model,
        extracted: &Extracted,
        folder: &Path,
        truth: &[u16],
        predictions: &[Prediction],
    ) -> Result<Self, NotFinite> {
        let samples = &extracted.dataset.samples;
        assert_eq!([truth.len(), predictions.len()], [samples.len(); 2], "one for each sample");
        assert!(!samples.is_empty(), "a report is about photos");
        let n_classes = model.labels.len();
        let mut logits = Vec::with_capacity(samples.len() * n_classes);
        for row in extracted.features.rows() {
            logits.extend(model.logits(Kernels::detect(), row.as_slice().expect("standard layout"))?);
        }
        let side = |temperature| Reliability {
            bins: bins(&logits, truth, n_classes, temperature),
            error: calibration_error(&logits, truth, n_classes, temperature),
        };
        let temperature = model.calibration.map_or(1.0, |calibration| calibration.temperature);
        let photos: Vec<Photo> = samples
            .iter()
            .zip(truth)
            .zip(predictions)
            .map(|((sample, truth), prediction)| Photo {
                path: &sample.path,
                truth: *truth,
                predicted: prediction.class(),
                probability: prediction.probabilities[usize::from(prediction.class())],
                is_unknown: prediction.unknown == Some(true),
            })
            .collect();
        Ok(Self {
            model,
            evaluation: Evaluation::new(n_classes, photos.iter().map(|photo| (photo.truth, photo.predicted))),
            skipped: extracted.skipped.len(),
            unknown: model.rejection.as_ref().map(|_| photos.iter().filter(|photo| photo.is_unknown).count()),
            curve: draw_curve(extracted),
            before: side(1.0),
            after: (temperature != 1.0).then(|| side(temperature)),
            cuts: None,
            worst: thumbnails::worst(&photos, folder),
            unknown_photos: thumbnails::unknown(&photos, folder),
        })
    }

    /// With a picture of the network's cuts, as [`cut_chart`] draws it, measured with the same photos.
    pub fn with_cuts(self, points: &[CutPoint<'_>]) -> Self {
        let charts = [Theme::LIGHT, Theme::DARK].map(|theme| cut_chart::chart(points, theme));
        let (description, rows) = (cut_chart::description(points), cut_chart::rows(points));
        Self { cuts: Some(Cuts { charts, description, rows }), ..self }
    }

    /// What transfer brings, or why that could not be measured.
    pub fn curve(&self) -> Result<&TransferCurve, &str> {
        self.curve.as_ref().map_err(String::as_str)
    }

    /// Calibration of the head on these photos.
    pub fn calibration(&self) -> Calibration {
        let temperature = self.model.calibration.map_or(1.0, |calibration| calibration.temperature);
        let ece_after = self.after.as_ref().map_or(self.before.error, |after| after.error);
        Calibration { temperature, ece_before: self.before.error, ece_after }
    }

    /// The page and the pictures, the page last.
    pub fn files(&self) -> Vec<File> {
        let matrix = Matrix::new(&self.evaluation, &self.model.labels);
        let themes = [Theme::LIGHT, Theme::DARK];
        let curve =
            self.curve.as_ref().ok().map(|curve| themes.map(|theme| learning_curve::chart(curve, self.naive(), theme)));
        let confusion = themes.map(|theme| matrix.chart(theme));
        let reliability = themes.map(|theme| reliability::chart(&self.before, self.after.as_ref(), theme));
        let page = self.page(&matrix, curve.as_ref(), &confusion, &reliability);
        let cuts = self.cuts.as_ref().map(|cuts| cuts.charts.clone());
        let pictures = [curve, Some(confusion), Some(reliability), cuts].map(|charts| charts.map(|[light, _]| light));
        let pictures = FILES.iter().zip(pictures).filter_map(|(name, bytes)| Some(File { name, bytes: bytes? }));
        pictures.chain([File { name: PAGE, bytes: page }]).collect()
    }

    /// The naive model: always the largest class.
    fn naive(&self) -> Estimate {
        let (right, n) = (self.evaluation.majority(), self.evaluation.n_samples());
        Estimate { accuracy: f64::from(right) / f64::from(n), interval: wilson(right, n) }
    }

    fn page(
        &self,
        matrix: &Matrix,
        curve: Option<&[Vec<u8>; 2]>,
        confusion: &[Vec<u8>; 2],
        reliability: &[Vec<u8>; 2],
    ) -> Vec<u8> {
        let (model, evaluation) = (self.model, &self.evaluation);
        let mut page = Page::new("What the head is worth");
        let n_photos = evaluation.n_samples() as usize;
        page.note(&format!(
            "{} on {} cut at {}; {} of {} that it was not taught with, as far as that is known.",
            model.kind.name(),
            shown(&model.backbone, 80),
            shown(&model.cut, 80),
            counted(n_photos, "photo"),
            format_args!("{} classes", model.labels.len()),
        ));
        self.summary(&mut page);
        self.transfer(&mut page, curve, n_photos);

        page.heading("Which classes are taken for which");
        page.chart([&confusion[0], &confusion[1]], matrix.size(), &confusion::description(evaluation, matrix));
        page.note(&confusion_note(matrix, model.labels.len()));
        let (heading, rows) = confusion::pairs(evaluation, &model.labels);
        if !rows.is_empty() {
            page.table(Some("Confusions, the most frequent first"), &heading, &rows, 2);
        }
        let (heading, rows) = confusion::classes(evaluation, &model.labels);
        page.table(None, &heading, &rows, 2);
        page.note(
            "Precision: of the photos given this label, those that are of it. Recall: of the photos of this class, those given \
             its label. F1: their harmonic mean. Intervals: 95 %, Wilson.",
        );

        self.calibrated(&mut page, reliability);
        self.compared(&mut page);
        self.galleries(&mut page);
        page.finish()
    }

    fn summary(&self, page: &mut Page) {
        let (evaluation, naive) = (&self.evaluation, self.naive());
        let (correct, n) = (evaluation.correct(), evaluation.n_samples() as usize);
        let largest: Vec<u32> = evaluation.confusion().map(|row| row.iter().sum()).collect();
        let largest = (0..largest.len()).rev().max_by_key(|class| largest[*class]).unwrap_or(0);
        let label = shown(&self.model.labels[largest], 40);
        let calibration = self.calibration();
        let mut figures = vec![
            (
                percent(evaluation.accuracy()),
                "accuracy".to_owned(),
                format!("{correct} of {}, 95 % interval {}", counted(n, "photo"), interval(evaluation.interval())),
            ),
            (percent(naive.accuracy), "naive".to_owned(), format!("by always saying {label}")),
            (
                percent(calibration.ece_after),
                "calibration error".to_owned(),
                match self.after {
                    Some(_) => format!(
                        "{} without temperature {:.3}",
                        percent(calibration.ece_before),
                        calibration.temperature
                    ),
                    None => "no temperature".to_owned(),
                },
            ),
        ];
        if let Some(unknown) = self.unknown {
            figures.push((unknown.to_string(), "called unknown".to_owned(), format!("of {}", counted(n, "photo"))));
        }
        if self.skipped > 0 {
            figures.push((self.skipped.to_string(), "skipped".to_owned(), "could not be read".to_owned()));
        }
        page.figures(&figures);
    }

    fn transfer(&self, page: &mut Page, charts: Option<&[Vec<u8>; 2]>, n_photos: usize) {
        page.heading("What transfer brings");
        let (curve, charts) = match (&self.curve, charts) {
            (Ok(curve), Some(charts)) => (curve, charts),
            (Err(reason), _) => return page.paragraph(reason),
            (Ok(_), None) => return,
        };
        let naive = self.naive();
        let description = learning_curve::description(curve, naive);
        page.chart([&charts[0], &charts[1]], learning_curve::SIZE, &description);
        let benefits = learning_curve::benefits(curve);
        let verdicts: Vec<_> =
            benefits.into_iter().map(|b| (format!("{}: {}.", b.name, b.verdict), b.sentence)).collect();
        page.verdicts(&verdicts);
        let (heading, rows) = learning_curve::table(curve, naive);
        page.table(Some("The numbers"), &heading, &rows, 0);
        page.note(&learning_curve::method(curve, n_photos));
    }

    fn calibrated(&self, page: &mut Page, charts: &[Vec<u8>; 2]) {
        page.heading("What a probability is worth");
        let after = self.after.as_ref();
        page.chart([&charts[0], &charts[1]], reliability::SIZE, &reliability::description(&self.before, after));
        let calibration = self.calibration();
        page.paragraph(&match self.after {
            Some(_) => format!(
                "Temperature {:.3}, from the photos that the head was taught with, takes the expected calibration error on \
                 these from {} to {}.",
                calibration.temperature,
                percent(calibration.ece_before),
                percent(calibration.ece_after)
            ),
            None => format!(
                "The head's temperature is 1: calibration changes nothing. Its expected calibration error on these photos is {}.",
                percent(calibration.ece_after)
            ),
        });
        let (heading, rows) = reliability::table(&self.before, after);
        page.table(Some("The bins"), &heading, &rows, 1);
        page.note(
            "Photos are binned by the probability of the head's answer. On the dotted line, of the answers given with 80 % four \
             in five are right. Below it the head is too sure. With few photos the error is above zero for a perfect head, too.",
        );
    }

    fn compared(&self, page: &mut Page) {
        let Some(Cuts { charts: [light, dark], description, rows }) = &self.cuts else { return };
        page.heading("What other cuts are worth");
        page.chart([light, dark], cut_chart::SIZE, description);
        page.table(Some("The numbers"), &cut_chart::HEADING, rows, 2);
        page.note(
            "For each cut a head was learned from these photos and measured on left-out ones of them, so the accuracy is not \
             that of the head of this page. Times are of one thread. The best of several is a little flattered.",
        );
    }

    fn galleries(&self, page: &mut Page) {
        let labels = &self.model.labels;
        let entry = |thumbnail: &Thumbnail| {
            let Thumbnail { name, truth, predicted, probability, is_unknown, picture } = thumbnail;
            let [truth, predicted] = [truth, predicted].map(|class| shown(&labels[usize::from(*class)], 40));
            let classes = match truth == predicted {
                true => truth,
                false => format!("{predicted}, not {truth}"),
            };
            let unknown = if *is_unknown { ", called unknown" } else { "" };
            GalleryPhoto {
                picture: picture.as_ref().map(|picture| (picture.jpeg.clone(), picture.size)),
                lines: [name.clone(), classes, format!("{}{unknown}", percent(f64::from(*probability)))],
            }
        };
        let wrong = (self.evaluation.n_samples() - self.evaluation.correct()) as usize;
        page.heading("The surest mistakes");
        match self.worst.len() {
            0 => page.paragraph("Every photo is right."),
            shown if shown < wrong => page.paragraph(&format!("The surest {shown} of {wrong} photos that are wrong.")),
            _ => page.paragraph(&format!("All {} that are wrong, the surest first.", counted(wrong, "photo"))),
        }
        page.gallery(self.worst.iter().map(entry));
        if !self.unknown_photos.is_empty() {
            page.heading("Called unknown, but of its class");
            page.paragraph("Right by their label, and yet unlike what the head was taught; the surest first.");
            page.gallery(self.unknown_photos.iter().map(entry));
        }
    }
}

fn confusion_note(matrix: &Matrix, n_classes: usize) -> String {
    let colours = "Rows are the true classes. The darker a cell, the larger its share of the row; right answers are on the \
                   diagonal, in blue, wrong ones in orange.";
    match matrix.has_others {
        true => format!(
            "{colours} Of {n_classes} classes the {} with the most mistakes have a row of their own; all others are one.",
            matrix.classes.len()
        ),
        false => colours.to_owned(),
    }
}

/// The curve, or why there is none.
fn draw_curve(extracted: &Extracted) -> Result<TransferCurve, String> {
    let dataset = &extracted.dataset;
    let counts = dataset.counts();
    if let Some(class) = counts.iter().position(|count| *count < 2) {
        return Err(format!(
            "Not measured: that takes two photos of each class or more, and of `{}` there {}.",
            shown(&dataset.classes[class], 60),
            if counts[class] == 1 { "is one" } else { "is none" }
        ));
    }
    if counts.len() < 2 {
        return Err("Not measured: that takes two classes or more.".to_owned());
    }
    let labels = extracted.labels();
    let chosen = curve_samples(&labels, counts.len());
    let labels: Vec<u16> = chosen.iter().map(|sample| labels[*sample]).collect();
    let paths: Vec<&Path> = chosen.iter().map(|sample| dataset.samples[*sample].path.as_path()).collect();
    let pixels = pixels(&paths).map_err(|error| format!("Not measured: {}.", shown(&error.to_string(), 300)))?;
    let features = extracted.features.select(ndarray::Axis(0), &chosen);
    match transfer_curve(features.view(), pixels.view(), &labels, counts.len()) {
        Ok(Some(curve)) => Ok(curve),
        Ok(None) => Err("Not measured: so many photos and classes would take long.".to_owned()),
        Err(error) => Err(format!("Not measured: {error}.")),
    }
}
