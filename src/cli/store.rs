//! `topgraft store`: the samples that were taught, and the heads of them.

mod exchange;
mod list;
mod samples;
mod statistics;
mod upkeep;

use std::path::PathBuf;

use clap::Subcommand;

use super::Outcome;

/// List, move, undo, import and export the samples that `teach` keeps
#[derive(clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

/// The option that every command on a store has.
#[derive(clap::Args)]
pub struct StoreArgs {
    /// File that holds the samples
    #[arg(short, long, value_name = "FILE.store")]
    pub store: PathBuf,
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
}

#[derive(Subcommand)]
enum Command {
    /// List the classes, and with --samples every sample
    List(list::ListArgs),
    /// List the frames that wait for a label
    Pending(StoreArgs),
    /// List the versions of the head
    Heads(StoreArgs),
    /// Undo the last thing that was done; again, the one before
    Undo(StoreArgs),
    /// Make the samples those that a version of the head knew
    RollBack(samples::RollBackArgs),
    /// Move samples to another class
    Relabel(samples::RelabelArgs),
    /// Remove samples, or a class with all of its samples
    Remove(samples::RemoveArgs),
    /// Rename a class; with the name of another one, both become one
    Rename(samples::RenameArgs),
    /// Say what frames that wait for a label show
    Label(samples::RelabelArgs),
    /// Throw away frames that wait for a label
    Drop(samples::DropArgs),
    /// Add the photos of a folder with one folder per class, of a classification model of Frigate, or of a zip archive, as Teachable
    /// Machine downloads
    Import(exchange::ImportArgs),
    /// Write the photos into a new folder, one folder per class
    Export(exchange::ExportArgs),
    /// Write the photo of a sample, or of a frame that waits for a label
    Photo(exchange::PhotoArgs),
    /// Write the file of a version of the head
    Head(exchange::HeadArgs),
    /// Add the samples of another store
    Merge(exchange::MergeArgs),
    /// Write what `topgraft merge` makes a head of, without the photos
    Statistics(statistics::StatisticsArgs),
    /// Read all of it, and say what is damaged
    Check(StoreArgs),
    /// Give the room of removed samples back to the disk: what was done before can be neither undone nor rolled back to then. Takes as much
    /// room as the store while it runs
    Compact(upkeep::CompactArgs),
}

pub fn run(args: &Args) -> anyhow::Result<Outcome> {
    match &args.command {
        Command::List(args) => list::list(args),
        Command::Pending(args) => list::pending(args),
        Command::Heads(args) => list::heads(args),
        Command::Undo(args) => samples::undo(args),
        Command::RollBack(args) => samples::roll_back(args),
        Command::Relabel(args) => samples::relabel(args),
        Command::Remove(args) => samples::remove(args),
        Command::Rename(args) => samples::rename(args),
        Command::Label(args) => samples::label(args),
        Command::Drop(args) => samples::drop_pending(args),
        Command::Import(args) => exchange::import(args),
        Command::Export(args) => exchange::export(args),
        Command::Photo(args) => exchange::photo(args),
        Command::Head(args) => exchange::head(args),
        Command::Merge(args) => exchange::merge(args),
        Command::Statistics(args) => statistics::statistics(args),
        Command::Check(args) => upkeep::check(args),
        Command::Compact(args) => upkeep::compact(args),
    }
}
