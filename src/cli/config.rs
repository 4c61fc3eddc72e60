//! `topgraft config`: the file of settings.

use std::io::Write;
use std::path::PathBuf;

use clap::Subcommand;
use serde_json::json;
use topgraft::live::Config;

use super::Outcome;
use super::text::plain_path;

/// The file of settings of `watch` and `teach`
#[derive(clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Say whether a file is sound, and if not, what is wrong in which line
    Check {
        /// The file
        #[arg(value_name = "FILE.toml")]
        file: PathBuf,
        /// Print one JSON object
        #[arg(long)]
        json: bool,
    },
    /// Print a file with all settings and their defaults, to begin with
    Example,
}

pub fn run(args: &Args) -> anyhow::Result<Outcome> {
    let mut out = std::io::stdout().lock();
    match &args.command {
        Command::Example => write!(out, "{}", include_str!("../../deploy/topgraft.toml"))?,
        Command::Check { file, json } => {
            let config = Config::open(file)?;
            let (source, store, head) = (config.source()?.to_string(), config.store, config.head);
            if *json {
                let text = |path: Option<PathBuf>| path.map(|path| path.display().to_string());
                writeln!(out, "{}", json!({ "camera": source, "store": text(store), "head": text(head) }))?;
                return Ok(Outcome::Done);
            }
            let shown = |path: Option<PathBuf>| path.as_deref().map_or("none".to_owned(), plain_path);
            writeln!(out, "sound      {}", plain_path(file))?;
            writeln!(out, "camera     {source}")?;
            writeln!(out, "store      {}", shown(store))?;
            writeln!(out, "head       {}", shown(head))?;
        }
    }
    Ok(Outcome::Done)
}
