//! The `faq-bench` command.

mod cli;

use std::io::Write;
use std::process::ExitCode;

use clap::Parser;

/// Measures retrieval on data sets with human judgements.
#[derive(Parser)]
#[command(version, about)]
struct Cli {
    #[command(subcommand)]
    command: cli::Command,
}

fn main() -> ExitCode {
    let command = Cli::parse().command;
    match command.execute() {
        Ok(code) => code,
        Err(e) => {
            let _ = writeln!(std::io::stderr(), "faq-bench: {e:#}");
            command.failure()
        }
    }
}
