//! `lab ssh`: a shell on a node, or a command with our own pipes.

use super::reach;
use crate::cli;
use crate::error::{Error, Result};
use crate::paths::Paths;
use crate::ssh::Exit;
use crate::template::quote;

/// Returns the exit code of what ran there.
pub async fn ssh(args: cli::Ssh, paths: &Paths) -> Result<u8> {
    let node = reach::running(&args.node, args.lab.as_deref(), paths).await?;
    let session = node.login().await?;
    let command = args.command.or_else(|| command(&args.words));
    let exit = session.interactive(command.as_deref(), args.tty).await?;
    session.close().await;
    code(exit).ok_or_else(|| {
        let why = "the connection ended without an exit code: the command was killed, or the node went down";
        Error::failed("end the session", why).on(&args.node)
    })
}

/// The exit code for our own process.
pub fn code(exit: Exit) -> Option<u8> {
    match exit {
        Exit::Code(code) => Some(u8::try_from(code).unwrap_or(255)),
        Exit::Unknown => None,
    }
}

/// One word is a line for the node's shell, as with ssh; several are a command and its arguments, each kept whole.
fn command(words: &[String]) -> Option<String> {
    match words {
        [] => None,
        [line] => Some(line.clone()),
        words => Some(words.iter().map(|w| plain(w)).collect::<Vec<_>>().join(" ")),
    }
}

fn plain(word: &str) -> String {
    let safe = |c: char| c.is_ascii_alphanumeric() || "-_./:=,@%+".contains(c);
    if !word.is_empty() && word.chars().all(safe) { word.to_owned() } else { quote(word) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_word_is_a_line_and_several_stay_what_they_are() {
        let command = |words: &[&str]| command(&words.iter().map(|w| (*w).to_owned()).collect::<Vec<_>>());
        assert_eq!(command(&[]), None);
        assert_eq!(command(&["ip route | head -1"]).unwrap(), "ip route | head -1");
        assert_eq!(command(&["grep", "a b", "$x", ""]).unwrap(), "grep 'a b' '$x' ''");
        assert_eq!(command(&["ip", "-d", "link"]).unwrap(), "ip -d link");
    }
}
