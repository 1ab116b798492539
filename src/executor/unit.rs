//! A script on a node as a named transient unit: when `lab` dies, the next `up` finds it and attaches.

use crate::error::{Error, Result};
use crate::event::Stream;
use crate::ssh::{Exit, Remote, Sink};
use crate::template::quote;
use std::collections::BTreeMap;
use std::sync::OnceLock;

/// The node's side of it.
const UNIT: &str = include_str!("unit.sh");
/// What `attach` exits with when the step left no exit code.
const NO_RESULT: u32 = 253;
/// Connections that may break under one step before it is given up.
const ATTACHES: usize = 5;

/// What is there of an earlier start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Earlier {
    Nothing,
    /// The same step still runs.
    Running,
    /// The same step ended with this code.
    Done(u32),
    /// It is over and left no result: a reboot, a kill, or another version of the step.
    Cut,
    /// Another version of the step still runs.
    Other,
}

/// One task's unit on one node.
pub struct Unit<'a, R: Remote> {
    pub remote: &'a R,
    pub node: &'a str,
    /// Safe for file and unit names.
    pub name: String,
    pub key: &'a str,
}

/// A file to put on a node.
pub struct File<'a> {
    pub path: &'a str,
    pub content: &'a str,
    pub mode: u32,
    pub owner: &'a str,
}

/// The unit name of a task: a readable part and a digest.
pub fn name(task: &str) -> String {
    let readable: String = task.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).take(32).collect();
    format!("{readable}-{}", &blake3::hash(task.as_bytes()).to_hex()[..8])
}

/// When this `lab` first spoke to a node: hundredths of a second since the host's boot, as texts that sort (proc(5),
/// uptime). A `lab` holds the lab's lock meanwhile, so that a later one has a later time.
fn word() -> &'static str {
    static WORD: OnceLock<String> = OnceLock::new();
    WORD.get_or_init(|| {
        let uptime = std::fs::read_to_string("/proc/uptime").unwrap_or_default();
        let digits: String =
            uptime.split(' ').next().unwrap_or_default().chars().filter(char::is_ascii_digit).collect();
        format!("{digits:0>16}")
    })
}

impl<R: Remote> Unit<'_, R> {
    /// What is there of an earlier start.
    pub async fn earlier(&self) -> Result<Earlier> {
        let (exit, out, err) = self.call("state", &[self.key, word()], b"").await?;
        let mut words = out.split_whitespace();
        Ok(match (exit.ok(), words.next(), words.next()) {
            (true, Some("nothing"), _) => Earlier::Nothing,
            (true, Some("running"), _) => Earlier::Running,
            (true, Some("cut"), _) => Earlier::Cut,
            (true, Some("other"), _) => Earlier::Other,
            (true, Some("done"), Some(code)) => Earlier::Done(code.parse().unwrap_or(1)),
            _ => return Err(self.odd("look at an earlier run", &out, &err)),
        })
    }

    /// Ends what runs under this name and removes what it left, but for the trace that it was begun.
    pub async fn stop(&self) -> Result<()> {
        self.call("stop", &[word()], b"").await.map(drop)
    }

    /// Removes what it left, but for the trace that it was begun.
    pub async fn forget(&self) -> Result<()> {
        self.call("forget", &[word()], b"").await.map(drop)
    }

    /// Runs a script to its end in place of whatever still runs under this name.
    ///
    /// # Errors
    /// The node cannot run it, or the connection broke for good.
    pub async fn again(&self, script: &str) -> Result<(Exit, String)> {
        if self.earlier().await? != Earlier::Nothing {
            self.stop().await?;
        }
        self.start(script).await?;
        let mut said = Vec::new();
        let exit = self.attach(&mut |_, bytes: &[u8]| said.extend_from_slice(bytes)).await?;
        self.stop().await?;
        Ok((exit, String::from_utf8_lossy(&said).into_owned()))
    }

    /// Starts the script.
    pub async fn start(&self, script: &str) -> Result<()> {
        let script = format!("set -euo pipefail\n{script}\n");
        let bytes = script.len().to_string();
        let (exit, out, err) = self.call("start", &[self.key, &bytes, word()], script.as_bytes()).await?;
        if exit.ok() { Ok(()) } else { Err(self.odd("start the step", &out, &err)) }
    }

    /// Follows the output until the step ends. A connection that breaks is made again, where the output stopped.
    pub async fn attach(&self, sink: Sink<'_>) -> Result<Exit> {
        let mut seen = [1usize, 1];
        for _ in 0..ATTACHES {
            let (out, err) = (seen[0].to_string(), seen[1].to_string());
            let command = self.command("attach", &[&out, &err]);
            let mut count = |stream: Stream, bytes: &[u8]| {
                seen[usize::from(stream == Stream::Err)] += bytes.len();
                sink(stream, bytes);
            };
            match self.remote.exec(&command, b"", &mut count).await? {
                Exit::Code(NO_RESULT) => return Ok(Exit::Unknown),
                Exit::Code(code) => return Ok(Exit::Code(code)),
                Exit::Unknown => {}
            }
        }
        Err(Error::failed("follow the step", "the connection to the node broke again and again").on(self.node))
    }

    /// What the step left in `$LAB_OUTPUTS`, without the last newline of each.
    ///
    /// # Errors
    /// The answer did not come whole: a secret that is not known cannot be masked.
    pub async fn outputs(&self) -> Result<BTreeMap<String, String>> {
        let (exit, out, err) = self.call("outputs", &[], b"").await?;
        if !exit.ok() {
            return Err(
                Error::failed("read the step's outputs", format!("{}: {}", exit.in_words(), err.trim())).on(self.node)
            );
        }
        let read = |line: &str| {
            let (name, value) = line.split_once(' ')?;
            let value = String::from_utf8(data_encoding::BASE64.decode(value.as_bytes()).ok()?).ok()?;
            Some((name.to_owned(), value.trim_end_matches('\n').to_owned()))
        };
        Ok(out.lines().filter_map(read).collect())
    }

    /// Puts a file there, unless a later `lab` has.
    ///
    /// # Errors
    /// What the node said.
    pub async fn put(&self, file: &File<'_>) -> Result<()> {
        let (mode, bytes) = (format!("{:o}", file.mode), file.content.len().to_string());
        let args = [word(), file.path, &bytes, &mode, file.owner];
        let (exit, out, err) = self.call("put", &args, file.content.as_bytes()).await?;
        if exit.ok() {
            return Ok(());
        }
        let why = format!("{}: {}", exit.in_words(), format!("{out}{err}").trim());
        Err(Error::failed(format!("put the file {}", file.path), why).on(self.node))
    }

    async fn call(&self, verb: &str, args: &[&str], stdin: &[u8]) -> Result<(Exit, String, String)> {
        collect(self.remote, &self.command(verb, args), stdin).await
    }

    fn command(&self, verb: &str, args: &[&str]) -> String {
        let args: Vec<String> = args.iter().map(|a| quote(a)).collect();
        format!("bash -c {} unit {verb} {} {}", quote(UNIT), quote(&self.name), args.join(" "))
    }

    fn odd(&self, what: &str, out: &str, err: &str) -> Error {
        Error::failed(what, format!("the node answered: {}", format!("{out}{err}").trim())).on(self.node)
    }
}

/// Runs a short command and keeps what it prints.
pub async fn collect<R: Remote>(remote: &R, command: &str, stdin: &[u8]) -> Result<(Exit, String, String)> {
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let mut sink = |stream: Stream, bytes: &[u8]| match stream {
        Stream::Out => out.extend_from_slice(bytes),
        Stream::Err => err.extend_from_slice(bytes),
    };
    let exit = remote.exec(command, stdin, &mut sink).await?;
    Ok((exit, String::from_utf8_lossy(&out).into_owned(), String::from_utf8_lossy(&err).into_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A node whose connection breaks after it has said this.
    struct Cut(&'static [u8]);

    impl Remote for Cut {
        async fn exec(&self, _: &str, _: &[u8], sink: Sink<'_>) -> Result<Exit> {
            sink(Stream::Out, self.0);
            Ok(Exit::Unknown)
        }

        async fn alive(&self) {}
    }

    #[tokio::test]
    async fn outputs_that_come_in_part_are_none() {
        let remote = Cut(b"first eA==\nsec");
        let unit = Unit { remote: &remote, node: "n1", name: name("a@n1"), key: "k" };
        let error = unit.outputs().await.unwrap_err();
        assert!(error.what.contains("outputs") && error.node.as_deref() == Some("n1"), "{error}");
    }

    /// Calls the node's side here, where `run` is its folder.
    fn call(run: &std::path::Path, args: &[&str], stdin: &str) -> std::process::Output {
        use std::io::Write;
        let mut bash = std::process::Command::new("bash");
        bash.args(["-c", UNIT, "unit"]).args(args).env("LAB_NODE_RUN", run).env("LAB_NODE_ROOT", run.join("root"));
        bash.stdin(std::process::Stdio::piped()).stdout(std::process::Stdio::piped());
        let mut child = bash.stderr(std::process::Stdio::piped()).spawn().unwrap();
        // Who is refused reads nothing.
        let _ = child.stdin.take().unwrap().write_all(stdin.as_bytes());
        child.wait_with_output().unwrap()
    }

    #[test]
    fn what_a_killed_lab_sent_comes_late_and_touches_no_newer_run() {
        let run = tempfile::tempdir().unwrap();
        let run = run.path();
        let said = |output: &std::process::Output| String::from_utf8_lossy(&output.stdout).trim().to_owned();
        let script = "until [ -e go ]; do sleep 0.02; done; echo newer\n";
        let script = script.replace(" go ", &format!(" {}/go ", run.display()));
        let size = script.len().to_string();
        assert_eq!(said(&call(run, &["state", "a", "key", "1"], "")), "nothing");
        assert_eq!(said(&call(run, &["state", "a", "key", "2"], "")), "nothing");
        assert!(call(run, &["start", "a", "key", &size, "2"], &script).status.success());
        assert!(word().len() == 16 && word().parse::<u64>().is_ok_and(|time| time > 0));
        // Whole, in part, a look, and what would end it.
        for (args, stdin) in [
            (vec!["start", "a", "key", "9", "1"], "echo old\n"),
            (vec!["start", "a", "key", "9", "1"], "echo"),
            (vec!["state", "a", "key", "1"], ""),
            (vec!["stop", "a", "1"], ""),
            (vec!["forget", "a", "1"], ""),
        ] {
            let late = call(run, &args, stdin);
            assert!(!late.status.success(), "{args:?}");
            assert!(String::from_utf8_lossy(&late.stderr).contains("taken the step over"));
        }
        std::fs::write(run.join("go"), "").unwrap();
        let attached = call(run, &["attach", "a", "1", "1"], "");
        assert_eq!((attached.status.code(), said(&attached).as_str()), (Some(0), "newer"));
        assert_eq!(said(&call(run, &["state", "a", "key", "3"], "")), "done 0");
        assert!(call(run, &["stop", "a", "3"], "").status.success());
    }

    #[test]
    fn a_file_that_a_killed_lab_sent_comes_late_and_replaces_no_newer_one() {
        let run = tempfile::tempdir().unwrap();
        let put = |word: &str, bytes: &str, content: &str| {
            let args = ["put", "f", word, "/etc/new/folder/a b", bytes, "640", "root"];
            call(run.path(), &args, content).status.success()
        };
        let folder = run.path().join("root/etc/new/folder");
        let mode = |path: &std::path::Path| {
            std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(path).unwrap().permissions()) & 0o777
        };
        assert!(put("1", "5", "first") && put("2", "5", "newer"));
        assert!(!put("1", "5", "older"), "it came late");
        assert!(!put("3", "5", "hal"), "it came in part");
        assert_eq!(std::fs::read_to_string(folder.join("a b")).unwrap(), "newer");
        assert!(put("3", "5", "third"));
        assert_eq!(std::fs::read_to_string(folder.join("a b")).unwrap(), "third");
        let left: Vec<_> = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(left, ["a b"], "nothing else is left");
        assert_eq!((mode(&folder.join("a b")), mode(&run.path().join("root/etc/new"))), (0o640, 0o755));
    }
}
