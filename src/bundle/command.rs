//! Running the tools behind bundles and images: their output goes to a log, and a failure shows the log's end.

use crate::error::{Context, Error, Result};
use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

/// How often the log is read for progress while the command runs.
const POLL: Duration = Duration::from_millis(50);
/// Lines of the log in an error.
const TAIL: usize = 15;

/// Where programs are looked for: `$PATH`, and after it where they are though an ordinary user's path does not say so:
/// Debian's mke2fs, and Go as its own installer puts it.
fn search_path() -> OsString {
    let given = std::env::var_os("PATH").unwrap_or_default();
    let more = ["/usr/local/go/bin", "/usr/sbin", "/sbin"].map(PathBuf::from);
    let all: Vec<PathBuf> = std::env::split_paths(&given).chain(more).collect();
    // Every part comes from a path, so none has a colon that could not be joined.
    std::env::join_paths(all).unwrap_or(given)
}

/// Which of these programs the host lacks.
pub fn missing<'a>(programs: &[&'a str]) -> Vec<&'a str> {
    let path = search_path();
    let there = |name: &&&str| std::env::split_paths(&path).any(|dir| dir.join(name).is_file());
    programs.iter().filter(|name| !there(name)).copied().collect()
}

/// A command by the name of its program, looked for where [`missing`] looks. In a locale of its own: messages and sorting
/// are the same everywhere, and mke2fs refuses a tar with names beyond ASCII (certificates have some) in a plain C one.
pub fn program(name: &str) -> Command {
    let mut command = Command::new(name);
    command.env("PATH", search_path()).env("LC_ALL", "C.UTF-8").env_remove("LANGUAGE");
    command
}

/// Begins a log: what an earlier build left goes.
pub fn begin_log(log: &Path) -> Result<()> {
    if let Some(above) = log.parent() {
        std::fs::create_dir_all(above).context(|| format!("make {}", above.display()))?;
    }
    File::create(log).map(drop).context(|| format!("write {}", log.display()))
}

/// The same command, told to end when we die: a build that nobody waits for would go on for minutes. Where the host has no
/// setpriv(1), it does.
pub fn tied(command: &Command) -> Command {
    if !missing(&["setpriv"]).is_empty() {
        return copied(command, Command::new(command.get_program()));
    }
    let mut tied = Command::new("setpriv");
    tied.args(["--pdeathsig", "TERM", "--"]).arg(command.get_program());
    copied(command, tied)
}

/// Arguments, environment and folder of one command for another.
fn copied(from: &Command, mut to: Command) -> Command {
    to.args(from.get_args());
    for (name, value) in from.get_envs() {
        match value {
            Some(value) => to.env(name, value),
            None => to.env_remove(name),
        };
    }
    if let Some(dir) = from.get_current_dir() {
        to.current_dir(dir);
    }
    to
}

/// Runs a command to its end, both outputs appended to `log`; every line is handed to `line` as it comes. The output is
/// a file and no pipe on purpose: a background process that the command leaves behind cannot keep us waiting.
///
/// # Errors
/// The command cannot be started (a lack of the host), or fails: with the last lines and the log's path.
pub fn run(what: &str, command: Command, log: &Path, mut line: impl FnMut(&str)) -> Result<()> {
    let program = command.get_program().to_string_lossy().into_owned();
    if !program.contains('/') && !missing(&[&program]).is_empty() {
        let lacks = Error::host(what, format!("{program} cannot be run: it is not installed"));
        return Err(lacks.hint("scripts/setup-host installs what lab needs"));
    }
    let mut command = tied(&command);
    let sink = OpenOptions::new().create(true).append(true).open(log).context(|| format!("write {}", log.display()))?;
    let mut reader = File::open(log).context(|| format!("read {}", log.display()))?;
    reader.seek(SeekFrom::End(0)).context(|| what.to_owned())?;
    command.stdin(Stdio::null()).stdout(sink.try_clone().context(|| what.to_owned())?).stderr(sink);
    let mut child = command.spawn().map_err(|e| {
        Error::host(what, format!("{program} cannot be run: {e}")).hint("scripts/setup-host installs what lab needs")
    })?;
    let mut output = Lines::default();
    let status = loop {
        let ended = child.try_wait().context(|| what.to_owned())?;
        // Read once more after the end: the last lines are the ones that matter.
        output.read(&mut reader, &mut line);
        match ended {
            Some(status) => break status,
            None => std::thread::sleep(POLL),
        }
    };
    if status.success() {
        return Ok(());
    }
    let why = format!("{program} ended with {status}; its last lines:\n    {}", output.tail().join("\n    "));
    Err(Error::failed(what, why).hint(format!("the whole log: {}", log.display())))
}

/// Whole lines out of a growing file.
#[derive(Default)]
struct Lines {
    partial: Vec<u8>,
    last: std::collections::VecDeque<String>,
}

impl Lines {
    fn read(&mut self, reader: &mut File, line: &mut impl FnMut(&str)) {
        // A log that cannot be read costs progress, not the build.
        if reader.read_to_end(&mut self.partial).is_err() {
            return;
        }
        while let Some(end) = self.partial.iter().position(|b| *b == b'\n') {
            let rest = self.partial.split_off(end + 1);
            let whole = std::mem::replace(&mut self.partial, rest);
            let text = String::from_utf8_lossy(&whole).trim_end().to_owned();
            line(&text);
            self.last.push_back(text);
            if self.last.len() > TAIL {
                self.last.pop_front();
            }
        }
    }

    fn tail(mut self) -> Vec<String> {
        if !self.partial.is_empty() {
            self.last.push_back(String::from_utf8_lossy(&self.partial).into_owned());
        }
        self.last.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Instant;

    fn bash(script: &str) -> Command {
        let mut command = Command::new("bash");
        command.args(["-c", script]);
        command
    }

    #[test]
    fn lines_come_and_the_log_keeps_what_was_there() {
        let dir = tempfile::tempdir().unwrap();
        let log = dir.path().join("logs/x.log");
        begin_log(&log).unwrap();
        let mut seen = Vec::new();
        run("try", bash("echo one; echo two >&2"), &log, |l| seen.push(l.to_owned())).unwrap();
        run("try", bash("echo three"), &log, |l| seen.push(l.to_owned())).unwrap();
        assert_eq!(seen, ["one", "two", "three"]);
        assert_eq!(std::fs::read_to_string(&log).unwrap(), "one\ntwo\nthree\n");
    }

    #[test]
    fn a_failure_shows_its_last_lines_also_without_a_newline() {
        let dir = tempfile::tempdir().unwrap();
        let log = dir.path().join("x.log");
        let error = run("try", bash("seq 100; printf oops; exit 3"), &log, |_| {}).unwrap_err();
        assert!(error.why.contains("exit status: 3") && error.why.ends_with("oops"), "{error}");
        assert!(!error.why.contains("\n    50\n") && error.why.contains("\n    90\n"), "{error}");
    }

    #[test]
    fn what_a_command_leaves_behind_does_not_keep_us() {
        let dir = tempfile::tempdir().unwrap();
        let begun = Instant::now();
        let _ = run("try", bash("sleep 5 & exit 1"), &dir.path().join("x.log"), |_| {}).unwrap_err();
        assert!(begun.elapsed() < Duration::from_secs(3));
    }

    #[test]
    fn tools_of_the_system_are_found_without_a_path_to_them() {
        assert_eq!(missing(&["sh", "no-such-tool"]), ["no-such-tool"]);
        let path = search_path();
        assert!(std::env::split_paths(&path).any(|p| p == Path::new("/usr/sbin")), "{path:?}");
    }

    #[test]
    fn a_missing_tool_is_the_hosts_lack() {
        let dir = tempfile::tempdir().unwrap();
        let error = run("try", Command::new("no-such-tool"), &dir.path().join("x.log"), |_| {}).unwrap_err();
        assert_eq!(error.kind, crate::error::Kind::Host);
    }
}
