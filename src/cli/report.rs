//! What `eval --report` and `probe --chart` write, where this program was built with the feature `report`.

#[cfg(feature = "report")]
pub use with::*;
#[cfg(not(feature = "report"))]
pub use without::*;

#[cfg(feature = "report")]
mod with {
    use anyhow::bail;
    use serde_json::{Value, json};
    use std::path::{Path, PathBuf};
    use topgraft::learn::{
        Difference, Estimate, Extracted, Model, Prediction, Probed, TransferCurve, TransferPoint, check_path, save,
    };
    use topgraft::report::{CutPoint, FILES, File, Folder, FolderError, PAGE, Report, cut_chart};
    use topgraft::trunk::Backbone;

    use crate::cli::probe::Measured;
    use crate::cli::text::{bytes, plain_path, shortest};

    /// Whether the system did not let a report be written.
    pub fn failed(error: &anyhow::Error) -> bool {
        error.chain().any(|cause| matches!(cause.downcast_ref(), Some(FolderError::Write { .. })))
    }

    /// A folder that can take a report.
    pub struct Place(Folder);

    /// A report that was written.
    pub struct Written {
        /// Where, and how much.
        pub line: String,
        /// Documented in docs/json.md.
        pub json: Value,
    }

    impl Place {
        /// Before the work.
        pub fn open(folder: &Path, replace: bool) -> anyhow::Result<Self> {
            Ok(Self(Folder::open(folder, replace)?))
        }

        /// The files that it may have.
        pub fn files(&self) -> impl Iterator<Item = PathBuf> {
            FILES.iter().map(|name| self.0.file(name))
        }

        /// Draws and writes the report.
        pub fn write(
            self,
            model: &Model,
            extracted: &Extracted,
            photos: &Path,
            truth: &[u16],
            predictions: &[Prediction],
            cuts: Option<&(Backbone, Measured)>,
        ) -> anyhow::Result<Written> {
            let mut report = Report::new(model, extracted, photos, truth, predictions)?;
            if let Some((backbone, measured)) = cuts {
                report = with_points(backbone, measured, |points| report.with_cuts(points));
            }
            let files = report.files();
            let page = self.0.file(PAGE);
            self.0.write(&files)?;
            let size: usize = files.iter().map(|file| file.bytes.len()).sum();
            let line = format!("{} and {} pictures ({})", plain_path(&page), files.len() - 1, bytes(size as u64));
            Ok(Written { line, json: to_json(&report, &page, &files) })
        }
    }

    fn to_json(report: &Report<'_>, page: &Path, files: &[File]) -> Value {
        let calibration = report.calibration();
        let curve = report.curve();
        json!({
            "path": page.display().to_string(),
            "files": files.iter().map(|file| file.name).collect::<Vec<_>>(),
            "calibration": {
                "temperature": shortest(calibration.temperature),
                "ece_before": calibration.ece_before,
                "ece_after": calibration.ece_after,
            },
            "curve": curve.ok().map(curve_json),
            "no_curve": curve.err(),
        })
    }

    fn curve_json(curve: &TransferCurve) -> Value {
        let estimate = |Estimate { accuracy, interval }| json!({ "accuracy": accuracy, "interval": interval });
        let point = |point: &TransferPoint| {
            let (transfer, pixels) = (estimate(point.transfer), estimate(point.pixels));
            json!({ "shots": point.shots, "transfer": transfer, "pixels": pixels })
        };
        let difference = |difference: &Difference| json!({ "mean": difference.mean, "interval": difference.interval, "holds": difference.sign() });
        json!({
            "n_samples": curve.n_samples,
            "points": curve.points.iter().map(point).collect::<Value>(),
            "start": difference(&curve.start),
            "slope": curve.slope.as_ref().map(difference),
            "end": difference(&curve.end),
        })
    }

    /// The file of a chart of cuts.
    pub struct Chart {
        path: PathBuf,
        replace: bool,
    }

    impl Chart {
        /// Before the work.
        pub fn open(path: &Path, replace: bool) -> anyhow::Result<Self> {
            if !path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("png")) {
                bail!("{}: a chart is a PNG picture; give a name that ends in .png", path.display());
            }
            check_path(path, replace)?;
            let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
            if let Some(folder) = folder.filter(|folder| !folder.is_dir()) {
                bail!("{}: no such folder to write the chart to; make it first", folder.display());
            }
            Ok(Self { path: path.to_path_buf(), replace })
        }

        /// Draws and writes it.
        pub fn write(&self, backbone: &Backbone, measured: &Measured) -> anyhow::Result<()> {
            Ok(save(&self.path, &with_points(backbone, measured, cut_chart), self.replace)?)
        }
    }

    /// What is made of the cuts as points.
    fn with_points<T>(backbone: &Backbone, measured: &Measured, make: impl FnOnce(&[CutPoint<'_>]) -> T) -> T {
        let Measured { probed, times, recommended, .. } = measured;
        let names: Vec<String> = probed.iter().map(|probed| backbone.tap_name(&probed.tap)).collect();
        let cuts = probed.iter().zip(&times.cuts).enumerate();
        let points = cuts.map(|(at, (Probed { fitted, .. }, time))| CutPoint {
            name: &names[at],
            accuracy: fitted.evaluation.accuracy(),
            interval: fitted.evaluation.interval(),
            milliseconds: time.as_secs_f64() * 1e3,
            is_recommended: at == *recommended,
        });
        make(&points.collect::<Vec<_>>())
    }
}

#[cfg(not(feature = "report"))]
mod without {
    use std::path::Path;

    use anyhow::bail;
    use serde_json::Value;
    use topgraft::learn::{Extracted, Model, Prediction};
    use topgraft::trunk::Backbone;

    use crate::cli::probe::Measured;

    pub fn failed(_: &anyhow::Error) -> bool {
        false
    }

    /// There is none.
    pub enum Place {}
    pub enum Chart {}
    #[allow(dead_code)]
    pub struct Written {
        pub line: String,
        pub json: Value,
    }

    impl Place {
        pub fn open(_: &Path, _: bool) -> anyhow::Result<Self> {
            bail!("--report: this program was built without reports; build it with the feature `report`")
        }

        pub fn files(&self) -> impl Iterator<Item = std::path::PathBuf> {
            std::iter::empty()
        }

        pub fn write(
            self,
            _: &Model,
            _: &Extracted,
            _: &Path,
            _: &[u16],
            _: &[Prediction],
            _: Option<&(Backbone, Measured)>,
        ) -> anyhow::Result<Written> {
            match self {}
        }
    }

    impl Chart {
        pub fn open(_: &Path, _: bool) -> anyhow::Result<Self> {
            bail!("--chart: this program was built without charts; build it with the feature `report`")
        }

        pub fn write(&self, _: &Backbone, _: &Measured) -> anyhow::Result<()> {
            match *self {}
        }
    }
}
