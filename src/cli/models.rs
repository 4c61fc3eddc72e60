//! `topgraft models`: source models by name.

mod add;
mod list;
mod pull;

use clap::Subcommand;

use super::Outcome;

/// List, download and add source models, to use them by name
#[derive(clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    List(list::ListArgs),
    Show(list::ShowArgs),
    Pull(pull::Args),
    Add(add::Args),
}

pub fn run(args: &Args) -> anyhow::Result<Outcome> {
    match &args.command {
        Command::List(args) => list::list(args),
        Command::Show(args) => list::show(args),
        Command::Pull(args) => pull::run(args),
        Command::Add(args) => add::run(args),
    }
}
