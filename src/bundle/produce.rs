//! Running a producer: the commands behind `go`, `debian` and `run`, with their output in the part's log.

use super::cache::CachedPart;
use super::oci;
use super::recipe::{Go, PartRecipe, Producer};
use crate::error::{Context, Error, Result};
use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;
use std::process::{Command, Stdio};

/// The time that built files carry, so that the same inputs make the same bytes: 2025-01-01.
pub const EPOCH: &str = "1735689600";

/// What a producer works with.
pub struct Work<'a> {
    /// The recipe's folder, unpacked on disk.
    pub dir: &'a Path,
    /// Where the part's files go.
    pub out: &'a Path,
    pub log: &'a Path,
    /// Finished parts by name.
    pub parts: &'a BTreeMap<String, CachedPart>,
    /// The path of a file that says of a part's origin what only the build knows.
    pub part: &'a PartRecipe,
}

/// Makes one part; the lines returned tell more about what is in it.
pub fn produce(work: &Work) -> Result<Vec<String>> {
    match &work.part.producer {
        Producer::Go(go) => build_go(work, go).map(|()| Vec::new()),
        Producer::Debian { suite, packages } => debian(work, suite, packages),
        Producer::Run { script } => run_script(work, script).map(|()| Vec::new()),
        Producer::Images(images) => oci::assemble(images, work.parts, work.out),
    }
}

fn build_go(work: &Work, go: &Go) -> Result<()> {
    let mut command = Command::new("go");
    command.current_dir(work.dir.join(&go.dir)).arg("build");
    command.args(["-mod=readonly", "-trimpath", "-buildvcs=false"]);
    command.env("CGO_ENABLED", if go.cgo { "1" } else { "0" }).env("GOFLAGS", "").env("GOWORK", "off");
    if let Some(tags) = &go.tags {
        command.arg("-tags").arg(tags);
    }
    command.arg("-ldflags").arg(format!("-s -w {}", go.ldflags.join(" ")));
    match &go.output {
        Some(name) => command.arg("-o").arg(work.out.join(name)),
        // The trailing slash makes it a folder for any number of programs.
        None => command.arg("-o").arg(format!("{}/", work.out.display())),
    };
    command.args(&go.packages);
    logged(work, command, "go is part of the host's packages: scripts/setup-host installs it")
}

fn debian(work: &Work, suite: &str, packages: &[String]) -> Result<Vec<String>> {
    let list = work.out.join("packages.txt");
    let mut command = Command::new("mmdebstrap");
    command.args(["--variant=essential", "--format=tar"]);
    command.arg(format!("--include={}", packages.join(",")));
    command.arg(format!("--customize-hook=chroot \"$1\" dpkg-query -W > '{}'", list.display()));
    command.arg("--customize-hook=rm -rf \"$1\"/usr/share/doc/* \"$1\"/usr/share/man/* \"$1\"/usr/share/locale/*");
    command.arg(suite).arg(work.out.join("base.tar")).env("SOURCE_DATE_EPOCH", EPOCH);
    logged(work, command, "mmdebstrap is part of the host's packages: scripts/setup-host installs it")?;
    let text = std::fs::read_to_string(&list).context(|| "read the list of packages".to_owned())?;
    Ok(text.lines().map(|l| l.replace('\t', " ")).collect())
}

fn run_script(work: &Work, script: &str) -> Result<()> {
    let mut command = Command::new("bash");
    command.args(["-euo", "pipefail", "-c", script]);
    command.current_dir(work.out).env("OUT", work.out).env("DIR", work.dir).env("SOURCE_DATE_EPOCH", EPOCH);
    for (name, part) in work.parts {
        command.env(format!("PART_{}", name.replace('-', "_")), &part.dir);
    }
    logged(work, command, "bash is needed")
}

/// Runs a command with its output in the part's log; a failure shows the log's last lines.
fn logged(work: &Work, mut command: Command, missing: &str) -> Result<()> {
    let what = format!("build the part {}", work.part.name);
    let log = File::create(work.log).context(|| format!("write {}", work.log.display()))?;
    let second = log.try_clone().context(|| what.clone())?;
    command.stdin(Stdio::null()).stdout(Stdio::from(log)).stderr(Stdio::from(second));
    let program = command.get_program().to_string_lossy().into_owned();
    let status = command
        .status()
        .map_err(|e| Error::host(what.clone(), format!("{program} cannot be run: {e}")).hint(missing.to_owned()))?;
    if status.success() {
        return Ok(());
    }
    let text = std::fs::read(work.log).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<&str> = text.lines().collect();
    let tail = lines[lines.len().saturating_sub(15)..].join("\n    ");
    let why = format!("{program} ended with {status}; its last lines:\n    {tail}");
    Err(Error::failed(what, why).hint(format!("the whole log: {}", work.log.display())))
}
