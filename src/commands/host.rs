//! What `lab` needs of this host, looked at without changing anything. `up` looks at a part of it before it begins.

use super::drivers::{look_at_host, open, ourselves};
use crate::bundle;
use crate::driver::{BaseImage, Driver, container};
use crate::error::{Context, Error, Result};
use crate::image;
use crate::lab::model::Node;
use crate::paths::Paths;
use crate::template::quote;
use serde::Serialize;
use serde_json::Value as Json;
use std::ffi::OsString;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// How much a finding matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Weight {
    Good,
    /// Something is not as good as it could be, or nobody may ever need it.
    Note,
    /// `lab up` will not work.
    Bad,
}

/// What was found.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Finding {
    pub check: &'static str,
    pub weight: Weight,
    pub says: String,
    /// The command that mends it.
    pub mend: Option<String>,
}

impl Finding {
    fn good(check: &'static str, says: impl Into<String>) -> Self {
        Self { check, weight: Weight::Good, says: says.into(), mend: None }
    }

    /// The same of a problem.
    pub fn of(check: &'static str, weight: Weight, error: Error) -> Self {
        Self { check, weight, says: error.why, mend: error.hint }
    }
}

/// What every `up` needs, whatever its driver: folders that are ours and can be written to, a clock that is not absurd, a
/// port.
pub fn basics(paths: &Paths) -> Vec<Error> {
    let mut all = folder_problems(paths);
    all.extend(clock_problem(SystemTime::now()));
    all.extend(port_problem());
    all
}

fn folder_problems(paths: &Paths) -> Vec<Error> {
    let folders = [("cache", &paths.cache), ("state", &paths.state), ("run", &paths.run)];
    folders.into_iter().filter_map(|(what, dir)| folder_problem(what, dir)).collect()
}

fn folder_problem(what: &str, dir: &Path) -> Option<Error> {
    let there = dir.ancestors().find(|d| d.exists())?;
    let variable = format!("LAB_{}_DIR names another folder", what.to_uppercase());
    let error = |why: String| Error::host(format!("use the {what} folder"), format!("{why}; {variable}"));
    let us = rustix::process::getuid().as_raw();
    let of = there.metadata().ok()?;
    let path = word(there);
    if of.uid() != us && there == dir {
        let why = format!("{} belongs to another user, who could change what is in it", dir.display());
        return Some(error(why).hint(format!("sudo chown {us} {path}")));
    }
    if rustix::fs::access(there, rustix::fs::Access::WRITE_OK).is_err() {
        let sudo = if of.uid() == us { "" } else { "sudo " };
        let why = format!("{} cannot be written to", there.display());
        return Some(error(why).hint(format!("{sudo}chmod u+w {path}")));
    }
    (of.mode() & 0o022 != 0 && there == dir)
        .then(|| error(format!("others can write to {}", dir.display())).hint(format!("chmod go-w {path}")))
}

/// A path as a shell reads it.
fn word(path: &Path) -> String {
    let text = path.display().to_string();
    let plain = text.chars().all(|c| c.is_ascii_alphanumeric() || "/._-+".contains(c));
    if plain { text } else { quote(&text) }
}

/// Certificates that a lab makes are not valid before it was built; a clock this wrong makes all of them fail.
fn clock_problem(now: SystemTime) -> Option<Error> {
    let built = bundle::EPOCH.parse().map_or(UNIX_EPOCH, |seconds| UNIX_EPOCH + Duration::from_secs(seconds));
    (now < built).then(|| {
        let why = "this host's clock is behind the day that `lab` was made";
        Error::host("make certificates", why).hint("sudo timedatectl set-ntp true")
    })
}

fn port_problem() -> Option<Error> {
    let refused = std::net::TcpListener::bind("127.0.0.1:0").err()?;
    let why = format!("no port of 127.0.0.1 can be listened on: {refused}");
    Some(Error::host("reach nodes by SSH", why).hint("sudo ip link set lo up"))
}

/// All checks; `nodes` are those of the lab that is meant.
pub async fn look(nodes: &[Node], paths: &Paths) -> Vec<Finding> {
    let mut all = Vec::new();
    for (check, problems, says) in [
        ("folders", folder_problems(paths), format!("{}, {}", free(&paths.cache), free(&paths.state))),
        ("clock", clock_problem(SystemTime::now()).into_iter().collect(), "it is not absurd".to_owned()),
        ("ports", port_problem().into_iter().collect(), "127.0.0.1 can be listened on".to_owned()),
    ] {
        if problems.is_empty() {
            all.push(Finding::good(check, says));
        }
        all.extend(problems.into_iter().map(|e| Finding::of(check, Weight::Bad, e)));
    }
    all.push(Finding::good("memory", memory()));
    let mut drivers = vec![qemu(nodes, paths).await, containers(nodes, paths).await];
    let none = drivers.iter().all(|found| found.iter().any(|f| f.weight != Weight::Good));
    for found in drivers.iter_mut().flatten().filter(|f| f.weight != Weight::Good && none) {
        // One driver is enough; without any nothing works.
        found.weight = found.weight.max(Weight::Bad);
    }
    all.extend(drivers.into_iter().flatten());
    all.extend(builds(paths));
    all
}

/// How much room there is for a folder.
fn free(dir: &Path) -> String {
    let stat = dir.ancestors().find(|d| d.is_dir()).and_then(|there| rustix::fs::statvfs(there).ok());
    let bytes = stat.map_or(0, |s| s.f_bavail.saturating_mul(s.f_frsize));
    format!("{} GiB free for {}", bytes >> 30, dir.display())
}

fn memory() -> String {
    let info = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let kib =
        info.lines().find_map(|l| l.strip_prefix("MemAvailable:")?.split_whitespace().next()?.parse::<u64>().ok());
    kib.map_or("this host does not say".to_owned(), |kib| format!("{} MiB are free", kib >> 10))
}

async fn qemu(nodes: &[Node], paths: &Paths) -> Vec<Finding> {
    let problems = look_at_host("qemu", nodes, paths).await;
    if !problems.is_empty() {
        return problems.into_iter().map(|e| Finding::of("driver qemu", Weight::Note, e)).collect();
    }
    let mut all = vec![Finding::good("driver qemu", "QEMU is there and new enough; memory and disk are enough")];
    let images = image::list(&paths.cache.join("images"));
    let Some(image) = images.first() else {
        all.push(Finding {
            check: "accelerator",
            weight: Weight::Good,
            says: "not tried: that needs an image's kernel".into(),
            mend: Some("lab image build plain".into()),
        });
        return all;
    };
    let image = BaseImage { key: image.manifest.key.clone(), dir: image.dir.clone() };
    all.push(match open("qemu", &image, paths).await {
        Ok(driver) => Finding::good("accelerator", driver.facts().description.clone()),
        Err(error) => Finding::of("accelerator", Weight::Note, error),
    });
    all
}

async fn containers(nodes: &[Node], paths: &Paths) -> Vec<Finding> {
    let problems = look_at_host("container", nodes, paths).await;
    if !problems.is_empty() {
        return problems.into_iter().map(|e| Finding::of("driver container", Weight::Note, e)).collect();
    }
    if container::standing() == container::Standing::Outside {
        return vec![inside(paths).unwrap_or_else(|e| Finding::of("driver container", Weight::Note, e))];
    }
    let none = BaseImage { key: String::new(), dir: Default::default() };
    vec![match open("container", &none, paths).await {
        Ok(driver) => Finding::good("driver container", driver.facts().description.clone()),
        Err(error) => Finding::of("driver container", Weight::Note, error),
    }]
}

/// What the same verb finds inside, where an ordinary user's nodes are made: there the runtime is tried.
fn inside(paths: &Paths) -> Result<Finding> {
    let what = || "try the container driver in a user namespace".to_owned();
    let command = ourselves(["doctor", "--json"].map(OsString::from), paths)?;
    let output = container::inside(&[], &command).output().context(what)?;
    let report: Json = serde_json::from_slice(&output.stdout).unwrap_or_default();
    let findings = report["findings"].as_array().into_iter().flatten();
    let mut of_driver = findings.filter(|f| f["check"] == "driver container");
    let refused = || Error::host(what(), String::from_utf8_lossy(&output.stderr).trim());
    let found = of_driver.next().ok_or_else(refused)?;
    let says = found["says"].as_str().unwrap_or_default();
    if found["weight"] == "good" {
        return Ok(Finding::good("driver container", says));
    }
    let error = Error::host(what(), says);
    Err(match found["mend"].as_str() {
        Some(mend) => error.hint(mend),
        None => error,
    })
}

/// What building images needs; a lab whose image is in the cache needs none of it.
fn builds(paths: &Paths) -> Vec<Finding> {
    let mut all = Vec::new();
    let missing = bundle::missing(&["mmdebstrap", "mke2fs", "qemu-img", "tar", "go"]);
    if !missing.is_empty() {
        let error = Error::host("build images", format!("to build images it lacks {}", missing.join(", ")));
        all.push(Finding::of("builds", Weight::Note, error.hint("scripts/setup-host of the repository (Debian)")));
    }
    if container::standing() != container::Standing::Root {
        // An ordinary user builds images as the root of a user namespace of his own.
        all.extend(container::missing_ids().into_iter().map(|e| Finding::of("builds", Weight::Note, e)));
    }
    all.extend(room(&paths.cache).map(|e| Finding::of("builds", Weight::Note, e)));
    if all.is_empty() {
        all.push(Finding::good("builds", "the programs that build images are there"));
    }
    all
}

/// What bundle and images of the largest lab take.
const CACHE: u64 = 12 << 30;

fn room(cache: &Path) -> Option<Error> {
    let there = cache.ancestors().find(|d| d.is_dir())?;
    let stat = rustix::fs::statvfs(there).ok()?;
    let free = stat.f_bavail.saturating_mul(stat.f_frsize);
    // What is built already does not have to be built again.
    (free < CACHE && !cache.join("images").exists()).then(|| {
        let why = format!("{} GiB are free for the cache, the flannel lab's takes {}", free >> 30, CACHE >> 30);
        Error::host("build images", why).hint("set LAB_CACHE_DIR to a folder on a larger disk")
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn folders_that_others_can_write_to_and_an_absurd_clock_are_told() {
        let dir = tempfile::tempdir().unwrap();
        assert!(folder_problem("run", &dir.path().join("not/yet")).is_none());
        std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o777)).unwrap();
        let e = folder_problem("run", dir.path()).unwrap();
        assert!(e.hint.unwrap().starts_with("chmod go-w "), "{}", e.why);
        assert!(clock_problem(UNIX_EPOCH).is_some() && clock_problem(SystemTime::now()).is_none());
        assert!(port_problem().is_none());
    }
}
