//! The thin binary: arguments in, exit code out.

use clap::Parser;
use std::io::Write;
use std::process::ExitCode;

fn main() -> ExitCode {
    // A shell that asks for completions gets them, and nothing else happens.
    lab::cli::answer();
    match lab::commands::run(lab::cli::Cli::parse()) {
        Ok(outcome) => {
            // A reader that closed the pipe has seen enough.
            let _ = std::io::stdout().write_all(outcome.text.as_bytes());
            ExitCode::from(outcome.code)
        }
        Err(error) => {
            // A terminal that was closed has nobody to tell.
            let _ = writeln!(std::io::stderr(), "lab: {error}");
            ExitCode::from(error.exit_code())
        }
    }
}
