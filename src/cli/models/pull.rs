//! `topgraft models pull`: the arguments, and what it says in a program without downloads.

#[cfg(feature = "pull")]
mod download;

use std::time::Duration;

#[cfg(feature = "pull")]
pub use download::run;

/// Download models, to use them by name
#[derive(clap::Args)]
// Without the feature they are only parsed.
#[cfg_attr(not(feature = "pull"), allow(dead_code))]
pub struct Args {
    /// Names, as `topgraft models list` has them
    #[arg(value_name = "NAME", required = true)]
    names: Vec<String>,
    /// Download from there instead, https or http; for one model
    #[arg(long, value_name = "URL")]
    url: Option<String>,
    /// How long to wait for a connection, for an answer, and for each next piece
    #[arg(long, value_name = "SECONDS", default_value = "30", value_parser = seconds)]
    timeout: Duration,
    /// How often to go on after a lost connection, a pause, or an answer that the server is busy
    #[arg(long, value_name = "N", default_value = "3", value_parser = clap::value_parser!(u32).range(..=100))]
    retries: u32,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds = text.parse().ok().filter(|seconds| (0.01..=3600.0).contains(seconds));
    seconds.map(Duration::from_secs_f64).ok_or_else(|| "give seconds from 0.01 to 3600".to_owned())
}

#[cfg(not(feature = "pull"))]
pub fn run(_: &Args) -> anyhow::Result<crate::cli::Outcome> {
    anyhow::bail!(
        "this program was built without downloads (feature `pull`); get the file otherwise, `topgraft models show NAME` says \
         where, and give it to `topgraft models add FILE`"
    )
}
