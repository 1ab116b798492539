//! The thin binary: arguments in, exit code out.

use clap::Parser;
use std::io::{ErrorKind, Write};
use std::process::ExitCode;

fn main() -> ExitCode {
    // A shell that asks for completions gets them, and nothing else happens.
    lab::cli::answer();
    match lab::commands::run(lab::cli::Cli::parse()) {
        Ok(outcome) => {
            let mut out = std::io::stdout();
            match out.write_all(outcome.text.as_bytes()).and_then(|()| out.flush()) {
                // A reader that closed the pipe has seen enough. A file that got only a part is none.
                Err(e) if e.kind() != ErrorKind::BrokenPipe => {
                    let _ = writeln!(std::io::stderr(), "lab: cannot write the answer: {e}");
                    ExitCode::FAILURE
                }
                _ => ExitCode::from(outcome.code),
            }
        }
        Err(error) => {
            // A terminal that was closed has nobody to tell.
            let _ = writeln!(std::io::stderr(), "lab: {error}");
            ExitCode::from(error.exit_code())
        }
    }
}
