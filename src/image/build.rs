//! Making an image without root: mmdebstrap into a tar, `mke2fs -d` of that tar, qcow2. No loop mount.

use super::store::{Image, Manifest, seal};
use super::{Options, Recipe};
use crate::bundle::{Bundle, EPOCH};
use crate::error::{Context, Error, Result};
use crate::event::Reporter;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};

/// The task name under which progress is reported.
const TASK: &str = "image";
/// The root file system's size in the image; a node's disk is at least as large and is grown at boot... by the driver's
/// overlay only, so this is what a node has to write on.
const ROOT_SIZE: &str = "12G";
/// Fixed, so that the same tree makes the same file system.
const FS_UUID: &str = "6c616200-0000-4000-8000-000000000001";

/// Builds the image. Blocks for minutes.
///
/// # Errors
/// The phase that failed, with its log.
pub fn build(recipe: &Recipe, bundle: Option<&Bundle>, key: &str, options: &Options) -> Result<Image> {
    let images = options.cache;
    std::fs::create_dir_all(images).context(|| format!("make {}", images.display()))?;
    let fresh = tempfile::Builder::new().prefix(".building-").tempdir_in(images).context(what)?;
    let work = fresh.path();
    let log = images.join(format!("{}.log", recipe.name));
    let say = |message: &str| options.reporter.progress(TASK, format!("{}: {message}", recipe.name));

    say("unpacking packages");
    bootstrap(recipe, bundle, work, &log, options.reporter)?;
    say("making the file system");
    kernel(work, &log)?;
    let env = [("SOURCE_DATE_EPOCH", EPOCH), ("E2FSPROGS_FAKE_TIME", EPOCH)];
    let hash_seed = format!("hash_seed={FS_UUID},lazy_itable_init=1,lazy_journal_init=1,discard");
    let args =
        ["-q", "-t", "ext4", "-L", "root", "-U", FS_UUID, "-E", &hash_seed, "-d", "root.tar", "root.raw", ROOT_SIZE];
    run(work, &log, "mke2fs", &args, &env)?;
    say("writing the disk");
    run(work, &log, "qemu-img", &["convert", "-f", "raw", "-O", "qcow2", "root.raw", "disk.qcow2"], &[])?;
    std::fs::remove_file(work.join("root.raw")).context(what)?;
    let packages = std::fs::read_to_string(work.join("packages.txt")).context(what)?;
    let manifest = Manifest {
        name: recipe.name.clone(),
        key: key.to_owned(),
        bundle: bundle.map(|b| b.manifest.key.clone()),
        packages: packages.lines().map(|l| l.replace('\t', " ")).collect(),
        files: Vec::new(),
    };
    seal(fresh, images, manifest)
}

fn what() -> String {
    "build the image".to_owned()
}

/// The tree as `root.tar`: packages, then files and parts, then the recipe's script in the tree.
fn bootstrap(recipe: &Recipe, bundle: Option<&Bundle>, work: &Path, log: &Path, reporter: &Reporter) -> Result<()> {
    let staging = work.join("staging");
    stage(recipe, bundle, &staging)?;
    let script = recipe.run.clone().unwrap_or_default();
    std::fs::write(work.join("run.sh"), format!("set -euo pipefail\nexport LAB_BUNDLE=/.bundle\n{script}\n"))
        .context(what)?;
    std::fs::write(work.join("hook.sh"), HOOK).context(what)?;
    // The hooks run in a user namespace whose root is this user: they must be able to enter the folder.
    std::fs::set_permissions(work, std::fs::Permissions::from_mode(0o755)).context(what)?;
    let mode = if rustix::process::getuid().is_root() { "root" } else { "unshare" };
    let mut command = Command::new("mmdebstrap");
    command.arg(format!("--mode={mode}")).args(["--variant=minbase", "--format=tar"]);
    command.arg(format!("--include={}", recipe.packages.join(",")));
    command.arg("--dpkgopt=path-exclude=/usr/share/man/*").arg("--dpkgopt=path-exclude=/usr/share/doc/*");
    command.arg("--dpkgopt=path-exclude=/usr/share/locale/*").arg("--aptopt=APT::Install-Recommends false");
    command.arg(format!("--customize-hook=sh '{}' \"$1\"", work.join("hook.sh").display()));
    command.arg(&recipe.suite).arg(work.join("root.tar"));
    command.env("SOURCE_DATE_EPOCH", EPOCH).env("LAB_WORK", work).env("TMPDIR", work);
    command.env("LAB_FROM", bundle.map(|b| b.dir.as_os_str().to_owned()).unwrap_or_default());
    logged(command, log, Some(reporter))
}

/// Run by mmdebstrap with the tree as its argument: as root in a namespace, or as root itself.
const HOOK: &str = r#"set -eu
tree=$1
tar -C "$LAB_WORK/staging" --owner=0 --group=0 -cf - . | tar -C "$tree" --keep-directory-symlink -xpf -
if [ -n "$LAB_FROM" ]; then mkdir "$tree/.bundle"; cp -R "$LAB_FROM/." "$tree/.bundle/"; fi
cp "$LAB_WORK/run.sh" "$tree/.run.sh"
mkdir -p "$tree/run"
mount -t tmpfs tmpfs "$tree/run" 2>/dev/null || :
chroot "$tree" bash /.run.sh
umount "$tree/run" 2>/dev/null || :
rm -rf "$tree/.run.sh" "$tree/.bundle"
chroot "$tree" dpkg-query -W > "$LAB_WORK/packages.txt"
"#;

fn stage(recipe: &Recipe, bundle: Option<&Bundle>, staging: &Path) -> Result<()> {
    let place = |path: &str, content: &dyn Fn(&Path) -> std::io::Result<()>, mode: u32| {
        let to = staging.join(path.trim_start_matches('/'));
        std::fs::create_dir_all(to.parent().unwrap_or(staging)).context(what)?;
        content(&to).context(|| format!("put {path} into the image"))?;
        std::fs::set_permissions(&to, std::fs::Permissions::from_mode(mode)).context(what)
    };
    std::fs::create_dir_all(staging).context(what)?;
    for file in &recipe.files {
        place(&file.path, &|to| std::fs::write(to, &file.content), file.mode)?;
    }
    for (path, from) in &recipe.parts {
        let bundle =
            bundle.ok_or_else(|| Error::failed(what(), format!("{path} comes from a bundle that is not there")))?;
        place(path, &|to| std::fs::copy(bundle.dir.join(from), to).map(drop), 0o755)?;
    }
    Ok(())
}

/// Takes kernel and initrd out of the tar, for direct boot.
fn kernel(work: &Path, log: &Path) -> Result<()> {
    let args = ["--wildcards", "-xf", "root.tar", "./boot/vmlinuz-*", "./boot/initrd.img-*"];
    run(work, log, "tar", &args, &[])?;
    for entry in std::fs::read_dir(work.join("boot")).context(what)? {
        let entry = entry.context(what)?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let to = if name.starts_with("vmlinuz") { "vmlinuz" } else { "initrd.img" };
        std::fs::rename(entry.path(), work.join(to)).context(what)?;
    }
    std::fs::remove_dir(work.join("boot")).context(what)?;
    for scratch in ["run.sh", "hook.sh"] {
        std::fs::remove_file(work.join(scratch)).context(what)?;
    }
    std::fs::remove_dir_all(work.join("staging")).context(what)
}

fn run(work: &Path, log: &Path, program: &str, args: &[&str], env: &[(&str, &str)]) -> Result<()> {
    let mut command = Command::new(program);
    command.current_dir(work).args(args).envs(env.iter().copied());
    logged(command, log, None)
}

/// Runs a command, its output in the log; with a reporter, mmdebstrap's "I:" lines are progress.
fn logged(mut command: Command, log: &Path, reporter: Option<&Reporter>) -> Result<()> {
    let program = command.get_program().to_string_lossy().into_owned();
    let mut sink = File::create(log).context(|| format!("write {}", log.display()))?;
    let (reader, writer) = std::io::pipe().context(what)?;
    command.stdin(Stdio::null()).stdout(writer.try_clone().context(what)?).stderr(writer);
    let mut child = command.spawn().map_err(|e| {
        Error::host(what(), format!("{program} cannot be run: {e}")).hint("scripts/setup-host installs it")
    })?;
    // The command holds the pipe's writing ends; dropped here, the reader sees the end when the child is done.
    drop(command);
    let mut tail = std::collections::VecDeque::new();
    for line in BufReader::new(reader).split(b'\n') {
        let line = line.context(what)?;
        let text = String::from_utf8_lossy(&line).into_owned();
        if let (Some(reporter), Some(phase)) = (reporter, text.strip_prefix("I: ")) {
            reporter.progress(TASK, phase);
        }
        std::io::Write::write_all(&mut sink, format!("{text}\n").as_bytes()).context(what)?;
        tail.push_back(text);
        if tail.len() > 15 {
            tail.pop_front();
        }
    }
    let status = child.wait().context(what)?;
    if status.success() {
        return Ok(());
    }
    let tail: Vec<String> = tail.into();
    let why = format!("{program} ended with {status}; its last lines:\n    {}", tail.join("\n    "));
    Err(Error::failed(what(), why).hint(format!("the whole log: {}", log.display())))
}
