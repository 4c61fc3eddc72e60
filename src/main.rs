//! `topgraft`: parses the command line and dispatches; the work is in `cli/`, one file a subcommand.
#![forbid(unsafe_code)]

mod cli;

fn main() -> std::process::ExitCode {
    cli::run()
}
