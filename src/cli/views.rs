//! Further views of the photos, to learn from.

use topgraft::learn::Views;
use topgraft::vision::Augment;

/// The options of views.
#[derive(clap::Args)]
pub struct ViewsArgs {
    /// Learn from this many views of each photo, itself and random changes of it; the accuracy that is reported is measured
    /// without them [default: 1]
    #[arg(long, value_name = "K", value_parser = clap::value_parser!(u8).range(2..=64), conflicts_with = "cache")]
    views: Option<u8>,
    /// What is changed in views, separated by commas
    #[arg(long, requires = "views", value_delimiter = ',', default_value = "crop,color")]
    augment: Vec<Change>,
}

/// A change of photos.
#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Change {
    /// Left and right change places, half of the time
    Flip,
    /// A part of at least half the area, a little wider or higher
    Crop,
    /// Brightness, contrast and saturation by up to 30 %
    Color,
}

impl ViewsArgs {
    /// The views that were asked for, at random by that seed.
    pub fn views(&self, seed: u64) -> Option<Views> {
        let has = |change| self.augment.contains(&change);
        let augment = Augment { flip: has(Change::Flip), crop: has(Change::Crop), color: has(Change::Color) };
        self.views.map(|views| Views { augment, per_photo: views.into(), seed })
    }
}
