//! Making an image without root: mmdebstrap into a tar, `mke2fs -d` of that tar, qcow2. No loop mount.

use super::store::{self, Image, Manifest, seal};
use super::{Options, Recipe};
use crate::bundle::bootstrap::{self, Bootstrap};
use crate::bundle::{Bundle, EPOCH, command, lock};
use crate::error::{Context, Error, Result};
use crate::event::Reporter;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// The task name under which progress is reported.
const TASK: &str = "image";
/// The root file system's size: what a node has to write on. Sparse, so it costs nothing until written.
const ROOT_SIZE: &str = "12G";
/// Fixed, so that the same tree makes the same file system.
const FS_UUID: &str = "6c616200-0000-4000-8000-000000000001";

/// Builds the image, or returns what another process built meanwhile. Blocks for minutes.
///
/// # Errors
/// The phase that failed, with its log.
pub fn build(recipe: &Recipe, bundle: Option<&Bundle>, key: &str, options: &Options) -> Result<Image> {
    let images = options.cache;
    let _lock = lock::take(images, TASK, options.reporter)?;
    if let Some(found) = store::find(images, key) {
        return Ok(found);
    }
    if let Some(bundle) = bundle {
        bundle.verify()?;
    }
    let fresh = tempfile::Builder::new().prefix(lock::UNFINISHED).tempdir_in(images).context(what)?;
    let work = fresh.path();
    let log = images.join(format!("{}.log", recipe.name));
    command::begin_log(&log)?;
    let say = |message: &str| options.reporter.progress(TASK, format!("{}: {message}", recipe.name));

    say("putting files and parts together");
    stage(recipe, bundle, &work.join("staging"))?;
    // Owned by root whoever builds.
    run(
        work,
        &log,
        "tar",
        &["-C", "staging", "--owner=0", "--group=0", "--sort=name", "-cf", "staging.tar", "."],
        &[],
    )?;
    say("unpacking packages");
    bootstrap(recipe, work, &log, options.reporter)?;
    say("making the file system");
    kernel(work, &log)?;
    let env = [("SOURCE_DATE_EPOCH", EPOCH), ("E2FSPROGS_FAKE_TIME", EPOCH)];
    let hash_seed = format!("hash_seed={FS_UUID},lazy_itable_init=1,lazy_journal_init=1,discard");
    let args =
        ["-q", "-t", "ext4", "-L", "root", "-U", FS_UUID, "-E", &hash_seed, "-d", "root.tar", "root.raw", ROOT_SIZE];
    run(work, &log, "mke2fs", &args, &env)?;
    say("writing the disk");
    run(work, &log, "qemu-img", &["convert", "-f", "raw", "-O", "qcow2", "root.raw", "disk.qcow2"], &[])?;
    let packages = std::fs::read_to_string(work.join("packages.txt")).context(what)?;
    for scratch in ["root.raw", "packages.txt", "staging.tar"] {
        std::fs::remove_file(work.join(scratch)).context(what)?;
    }
    std::fs::remove_dir_all(work.join("staging")).context(what)?;
    let manifest = Manifest {
        name: recipe.name.clone(),
        key: key.to_owned(),
        bundle: bundle.map(|b| b.manifest.key.clone()),
        packages: bootstrap::packages(&packages),
        files: Vec::new(),
    };
    say("sealing");
    seal(fresh, images, manifest)
}

fn what() -> String {
    "build the image".to_owned()
}

/// The tree as `root.tar`: packages, then files and parts, then the recipe's script in the tree.
fn bootstrap(recipe: &Recipe, work: &Path, log: &Path, reporter: &Reporter) -> Result<()> {
    let command = Bootstrap::new("minbase", &recipe.packages, work)
        .unpack(&work.join("staging.tar"))?
        .hook(RUN)
        .list_packages(&work.join("packages.txt"))?
        .into_command(&recipe.suite, &work.join("root.tar"));
    command::run(&what(), command, log, |line| {
        if let Some(phase) =
            line.strip_prefix("I: ").filter(|p| !p.starts_with("running --") && !p.starts_with("running special"))
        {
            reporter.progress(TASK, format!("{}: {}", recipe.name, phase.trim_end_matches("...")));
        } else if let Some(said) = line.strip_prefix("lab: ") {
            reporter.progress(TASK, format!("{}: {said}", recipe.name));
        }
    })
}

/// Where files for the script stand in the tree while it runs.
const BUNDLE_IN_TREE: &str = ".bundle";

/// Runs the recipe's script in the tree, which is `$1`. In a process namespace of its own: what it starts ends with it,
/// also when it fails half-way; with the /proc of that namespace, where its programs look for themselves. And without a network: what it could fetch would be in no key and no manifest.
const RUN: &str = r#"set -eu
mount -t tmpfs tmpfs "$1/run"
unshare --net --pid --mount-proc="$1/proc" --fork --kill-child chroot "$1" bash /.run.sh
umount "$1/run"
rm -rf "$1/.run.sh" "$1/.bundle"
"#;

/// Lays out what goes over the packages: files, parts, and for the script itself and the parts that it reads.
fn stage(recipe: &Recipe, bundle: Option<&Bundle>, staging: &Path) -> Result<()> {
    let place = |path: &str, content: &dyn Fn(&Path) -> std::io::Result<()>, mode: u32| {
        let to = staging.join(path.trim_start_matches('/'));
        std::fs::create_dir_all(to.parent().unwrap_or(staging)).context(what)?;
        content(&to).context(|| format!("put {path} into the image"))?;
        std::fs::set_permissions(&to, std::fs::Permissions::from_mode(mode)).context(what)
    };
    std::fs::create_dir_all(staging).context(what)?;
    // The archive's first entry is the tree's root, whose mode it sets.
    std::fs::set_permissions(staging, std::fs::Permissions::from_mode(0o755)).context(what)?;
    for file in &recipe.files {
        place(&file.path, &|to| std::fs::write(to, &file.content), file.mode)?;
    }
    let script = recipe.run.as_deref().unwrap_or_default();
    let script = format!("set -euo pipefail\nexport LAB_BUNDLE=/{BUNDLE_IN_TREE}\n{script}\n");
    place("/.run.sh", &|to| std::fs::write(to, &script), 0o644)?;
    let Some(bundle) = bundle else { return Ok(()) };
    for (path, from) in &recipe.parts {
        place(path, &|to| std::fs::copy(bundle.dir.join(from), to).map(drop), 0o755)?;
    }
    for name in &recipe.script_parts {
        let found = bundle.manifest.parts.iter().find(|p| p.name == *name);
        let part = found.ok_or_else(|| Error::failed(what(), format!("the bundle has no part `{name}`")))?;
        for file in &part.files {
            let from = bundle.dir.join(name).join(&file.name);
            place(&format!("/{BUNDLE_IN_TREE}/{name}/{}", file.name), &|to| std::fs::copy(&from, to).map(drop), 0o644)?;
        }
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
    std::fs::remove_dir(work.join("boot")).context(what)
}

fn run(work: &Path, log: &Path, program: &str, args: &[&str], env: &[(&str, &str)]) -> Result<()> {
    let mut command = command::program(program);
    command.current_dir(work).args(args).envs(env.iter().copied());
    command::run(&what(), command, log, |_| {})
}
