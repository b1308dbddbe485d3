//! The `faq` command. What it does stands in [`cli`]; this file only starts it.

mod cli;
mod sandbox;
mod server;
mod settings;
mod storage;
mod webhook;

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::main()
}
