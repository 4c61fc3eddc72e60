//! The command line. Exit codes: 0 done, 1 the work failed, 2 wrong usage or bad input.

mod backbone;
mod budget;
mod classify;
mod config;
mod demo;
mod develop;
mod eval;
mod export;
mod guard;
mod input;
mod inspect;
mod kinds;
mod layers;
mod learn;
mod live;
mod memory;
mod merge;
mod message;
mod models;
mod names;
mod photos;
mod probe;
mod report;
mod review;
mod select;
#[cfg(feature = "web")]
mod serve;
mod signals;
mod store;
mod teach;
mod text;
mod vectors;
mod views;
mod watch;
mod weights;
mod words;

use std::io::ErrorKind;
use std::process::ExitCode;

use clap::error::ErrorKind as ClapError;
use clap::{Parser, Subcommand};
use topgraft::learn::{ImportError, SaveError, TeachError};
#[cfg(feature = "pull")]
use topgraft::models::PullError;
use topgraft::models::StoreError;
use topgraft::store::{ExportError, SampleStoreError};
use topgraft::trunk::RunError;
use topgraft::words::WordsError;

use message::message;

/// Teach a camera new things on the device: a frozen pretrained trunk, and a head learned from a few photos.
#[derive(Parser)]
#[command(version, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Demo(demo::Args),
    Learn(learn::Args),
    Develop(develop::Args),
    Review(review::Args),
    Probe(probe::Args),
    Select(select::Args),
    Classify(classify::Args),
    Eval(eval::Args),
    Layers(layers::Args),
    Inspect(inspect::Args),
    Export(export::Args),
    Models(models::Args),
    Words(words::Args),
    Teach(teach::Args),
    Watch(watch::Args),
    #[cfg(feature = "web")]
    Serve(serve::Args),
    Store(store::Args),
    Merge(merge::Args),
    Config(config::Args),
}

/// How a command ended that did its work.
enum Outcome {
    /// All input was good.
    Done,
    /// Some input was bad; it was named, and the rest was done.
    SomeInputBad,
    /// The machine failed us in something that the work could do without; it was said.
    SomethingFailed,
}

/// Parses the arguments, runs the command, prints what went wrong in one line.
pub fn run() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return usage(&error),
    };
    let result = match cli.command {
        Command::Demo(args) => demo::run(&args),
        Command::Learn(args) => learn::run(&args),
        Command::Develop(args) => develop::run(&args),
        Command::Review(args) => review::run(&args),
        Command::Probe(args) => probe::run(&args),
        Command::Select(args) => select::run(&args),
        Command::Classify(args) => classify::run(&args),
        Command::Eval(args) => eval::run(&args),
        Command::Layers(args) => layers::run(&args),
        Command::Inspect(args) => inspect::run(&args),
        Command::Export(args) => export::run(&args),
        Command::Models(args) => models::run(&args),
        Command::Words(args) => words::run(&args),
        Command::Teach(args) => teach::run(&args),
        Command::Watch(args) => watch::run(&args),
        #[cfg(feature = "web")]
        Command::Serve(args) => serve::run(&args),
        Command::Store(args) => store::run(&args),
        Command::Merge(args) => merge::run(&args),
        Command::Config(args) => config::run(&args),
    };
    match result {
        Ok(Outcome::Done) => ExitCode::SUCCESS,
        Ok(Outcome::SomethingFailed) => ExitCode::from(1),
        Ok(Outcome::SomeInputBad) => ExitCode::from(2),
        Err(error) => exit_code(&error),
    }
}

/// Help and version as they are; what is wrong with the arguments in one line.
fn usage(error: &clap::Error) -> ExitCode {
    if !error.use_stderr() || error.kind() == ClapError::DisplayHelpOnMissingArgumentOrSubcommand {
        error.exit();
    }
    let text = error.render().to_string();
    let is_about_usage = |line: &&str| !line.starts_with("Usage:") && !line.starts_with("For more information");
    let lines = text.lines().take_while(is_about_usage).map(str::trim).filter(|line| !line.is_empty());
    let line = lines.collect::<Vec<_>>().join(" ");
    message(format_args!("{}; see --help", line.trim_start_matches("error: ").replace(" tip: ", "; ")));
    ExitCode::from(2)
}

/// 1 if the machine failed us, 2 if the input did; a reader that went away (`| head`) is no failure.
fn exit_code(error: &anyhow::Error) -> ExitCode {
    // The only bare system error is that of writing to standard output; all others are part of a typed one.
    if let Some(output) = error.downcast_ref::<std::io::Error>() {
        if output.kind() == ErrorKind::BrokenPipe {
            return ExitCode::SUCCESS;
        }
        message(format_args!("standard output: {output}"));
        return ExitCode::from(1);
    }
    message(one_line(error));
    let save_failed = error.chain().any(|cause| matches!(cause.downcast_ref(), Some(SaveError::Write { .. })));
    let run_failed = error.chain().any(|cause| cause.is::<RunError>());
    let store_failed = error.downcast_ref().is_some_and(StoreError::is_failure)
        || error.downcast_ref().is_some_and(WordsError::is_failure)
        || error.chain().any(samples_failed);
    #[cfg(feature = "pull")]
    let store_failed = store_failed || error.downcast_ref().is_some_and(PullError::is_failure);
    ExitCode::from(if save_failed || run_failed || store_failed || report::failed(error) { 1 } else { 2 })
}

/// Whether it is the machine that failed a store of samples.
fn samples_failed(cause: &(dyn std::error::Error + 'static)) -> bool {
    cause.downcast_ref().is_some_and(SampleStoreError::is_failure)
        || cause.downcast_ref().is_some_and(TeachError::is_failure)
        || cause.downcast_ref().is_some_and(ImportError::is_failure)
        || cause.downcast_ref().is_some_and(ExportError::is_failure)
}

/// The error and its causes, without those that the message before them has told already.
fn one_line(error: &anyhow::Error) -> String {
    let mut line = String::new();
    for cause in error.chain().map(ToString::to_string) {
        match line.as_str() {
            "" => line = cause,
            told if told.contains(&cause) => {}
            _ => line = format!("{line}: {cause}"),
        }
    }
    line
}
