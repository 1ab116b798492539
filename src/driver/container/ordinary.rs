//! What an ordinary user's host must have so that he can make nodes: a user namespace with subordinate ids, and cgroups
//! that his systemd delegates to him. Each with the command that mends it.

use super::{cgroup, host, rootless};
use crate::error::Error;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

const WHAT: &str = "use the container driver";

/// How many ids a node needs: one for each user that a Debian system may have.
const IDS: u64 = 65_536;

/// Programs that go in, with the Debian packages that bring them.
const PROGRAMS: [(&str, &str); 3] =
    [("newuidmap", "uidmap"), ("newgidmap", "uidmap"), ("systemd-run", "systemd dbus-user-session")];

/// Kernel settings that forbid user namespaces to ordinary users when they have this value.
const FORBIDDEN: [(&str, &str, &str); 3] = [
    ("kernel.unprivileged_userns_clone", "0", "1"),
    ("kernel.apparmor_restrict_unprivileged_userns", "1", "0"),
    ("user.max_user_namespaces", "0", "15000"),
];

/// What is seen of a host.
pub struct Host<'a> {
    pub root: &'a Path,
    pub user: u32,
    /// Reads a file; None where there is none.
    pub read: &'a dyn Fn(&str) -> Option<String>,
    /// Whether a program is there.
    pub has: &'a dyn Fn(&str) -> bool,
    /// `$XDG_RUNTIME_DIR`.
    pub runtime: Option<&'a Path>,
}

/// Every problem of this host for an ordinary user.
pub fn problems(path: &OsStr) -> Vec<Error> {
    with_this(path, |host| host.problems())
}

/// What is missing of the subordinate ids that an ordinary user's nodes and images need.
pub fn missing_ids() -> Vec<Error> {
    with_this(OsStr::new(""), |host| host.all_ids().collect())
}

fn with_this(path: &OsStr, look: impl Fn(&Host<'_>) -> Vec<Error>) -> Vec<Error> {
    let runtime = std::env::var_os("XDG_RUNTIME_DIR");
    look(&Host {
        root: Path::new(cgroup::ROOT),
        user: rootless::user(),
        read: &|file| std::fs::read_to_string(file).ok(),
        has: &host::there(path),
        runtime: runtime.as_deref().map(Path::new),
    })
}

impl Host<'_> {
    /// Every problem; where the cgroups are of the old layout nothing else helps.
    pub fn problems(&self) -> Vec<Error> {
        if !self.root.join("cgroup.controllers").exists() {
            let why = "an ordinary user needs cgroup v2, this host has the old layout";
            let hint =
                "run lab as root (sudo -E lab up), or --driver qemu; or boot with systemd.unified_cgroup_hierarchy=1";
            return vec![Error::host(WHAT, why).hint(hint)];
        }
        let mut all: Vec<Error> = Vec::new();
        all.extend(self.programs());
        all.extend(FORBIDDEN.iter().filter_map(|(key, bad, good)| self.forbidden(key, bad, good)));
        all.extend(self.all_ids());
        all.extend(self.manager().or_else(|| self.delegation()));
        all
    }

    fn programs(&self) -> Option<Error> {
        let (names, hint) = host::not_installed(&PROGRAMS, self.has)?;
        Some(Error::host(WHAT, format!("not installed: {names}; an ordinary user needs them")).hint(hint))
    }

    fn forbidden(&self, key: &str, bad: &str, good: &str) -> Option<Error> {
        let value = (self.read)(&format!("/proc/sys/{}", key.replace('.', "/")))?;
        let why = format!("{key} is {bad}: ordinary users may not make user namespaces");
        (value.trim() == bad).then(|| Error::host(WHAT, why).hint(format!("sudo sysctl {key}={good}")))
    }

    fn all_ids(&self) -> impl Iterator<Item = Error> {
        [self.ids("/etc/subuid", "subuids"), self.ids("/etc/subgid", "subgids")].into_iter().flatten()
    }

    /// Subordinate ids, by the user's name or number (subuid(5)).
    fn ids(&self, file: &str, what: &str) -> Option<Error> {
        let name = self.name();
        let text = (self.read)(file).unwrap_or_default();
        let count = text.lines().find_map(|line| {
            let mut parts = line.split(':');
            let who = parts.next()?;
            let count = parts.nth(1)?.trim().parse::<u64>().ok()?;
            (who == name || who == self.user.to_string()).then_some(count)
        });
        (count.unwrap_or(0) < IDS).then(|| {
            let why = format!("{file} gives {name} {} ids, nodes and images need {IDS}", count.unwrap_or(0));
            Error::host(WHAT, why).hint(format!("sudo usermod --add-{what} 100000-165535 {name}"))
        })
    }

    fn name(&self) -> String {
        let users = (self.read)("/etc/passwd").unwrap_or_default();
        let id = self.user.to_string();
        let line = users.lines().find(|line| line.split(':').nth(2) == Some(&id));
        line.and_then(|line| line.split(':').next()).map_or(id.clone(), str::to_owned)
    }

    fn territory(&self) -> PathBuf {
        rootless::territory(self.root, self.user)
    }

    /// The user's own systemd, and the way to it.
    fn manager(&self) -> Option<Error> {
        let user = self.user;
        if !self.territory().is_dir() {
            let why = format!("{} has no systemd of its own (user@{user}.service)", self.name());
            let hint = format!(
                "sudo apt install -y libpam-systemd dbus-user-session; sudo loginctl enable-linger {}",
                self.name()
            );
            return Some(Error::host(WHAT, why).hint(hint));
        }
        let reached = self.runtime.is_some_and(|dir| dir.join("systemd/private").exists());
        (!reached).then(|| {
            let why =
                "this shell does not know the user's systemd (XDG_RUNTIME_DIR is not set, as after su or sudo -u)";
            Error::host(WHAT, why).hint(format!("export XDG_RUNTIME_DIR=/run/user/{user}"))
        })
    }

    fn delegation(&self) -> Option<Error> {
        let user = self.user;
        let text = std::fs::read_to_string(self.territory().join("cgroup.controllers")).unwrap_or_default();
        let missing: Vec<&str> =
            cgroup::CONTROLLERS.into_iter().filter(|c| !text.split_whitespace().any(|there| there == *c)).collect();
        (!missing.is_empty()).then(|| {
            let why = format!("systemd does not delegate {} to ordinary users", missing.join(", "));
            let hint = format!(
                "sudo mkdir -p /etc/systemd/system/user@.service.d && printf '[Service]\\nDelegate=cpu memory pids\\n' | sudo tee \
                 /etc/systemd/system/user@.service.d/lab.conf && sudo systemctl daemon-reload && sudo systemctl restart user@{user}"
            );
            Error::host(WHAT, why).hint(hint)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;
    use std::path::PathBuf;

    struct Made {
        dir: tempfile::TempDir,
        files: BTreeMap<&'static str, &'static str>,
        programs: Vec<&'static str>,
    }

    impl Made {
        /// A host that has it all.
        fn good() -> Self {
            let dir = tempfile::tempdir().unwrap();
            let own = dir.path().join("user.slice/user-1000.slice/user@1000.service");
            std::fs::create_dir_all(&own).unwrap();
            std::fs::create_dir_all(dir.path().join("run/systemd/private")).unwrap();
            for to in [dir.path(), &own] {
                std::fs::write(to.join("cgroup.controllers"), "cpuset cpu memory pids\n").unwrap();
            }
            let files = [
                ("/etc/passwd", "root:x:0:0::/root:/bin/sh\nkim:x:1000:1000::/home/kim:/bin/sh\n"),
                ("/etc/subuid", "lee:100000:65536\nkim:165536:65536\n"),
                ("/etc/subgid", "1000:165536:65536\n"),
                ("/proc/sys/kernel/unprivileged_userns_clone", "1\n"),
            ];
            Self { dir, files: files.into(), programs: vec!["newuidmap", "newgidmap", "systemd-run"] }
        }

        fn own(&self) -> PathBuf {
            self.dir.path().join("user.slice/user-1000.slice/user@1000.service")
        }

        fn problems(&self) -> Vec<Error> {
            let runtime = self.dir.path().join("run");
            let read = |file: &str| self.files.get(file).map(|text| (*text).to_owned());
            let has = |name: &str| self.programs.contains(&name);
            let (root, runtime) = (self.dir.path(), Some(runtime.as_path()));
            Host { root, user: 1000, read: &read, has: &has, runtime }.problems()
        }

        /// The one problem's reason and remedy.
        fn only(&self) -> (String, String) {
            let all = self.problems();
            assert_eq!(all.len(), 1, "{all:?}");
            (all[0].why.clone(), all[0].hint.clone().unwrap())
        }
    }

    #[test]
    fn a_host_that_has_it_all_has_no_problem() {
        assert!(Made::good().problems().is_empty());
    }

    #[test]
    fn each_thing_that_is_missing_comes_with_its_command() {
        let mut host = Made::good();
        host.programs.clear();
        assert_eq!(host.only().1, "sudo apt install -y uidmap systemd dbus-user-session");
        let mut host = Made::good();
        host.files.insert("/etc/subuid", "kim:100000:10\n");
        let (why, hint) = host.only();
        assert!(why.contains("gives kim 10 ids") && hint.contains("--add-subuids 100000-165535 kim"), "{why} {hint}");
        let mut host = Made::good();
        host.files.remove("/etc/subgid");
        assert!(host.only().1.contains("--add-subgids"));
        let mut host = Made::good();
        host.files.insert("/proc/sys/kernel/apparmor_restrict_unprivileged_userns", "1\n");
        assert_eq!(host.only().1, "sudo sysctl kernel.apparmor_restrict_unprivileged_userns=0");
        let host = Made::good();
        std::fs::write(host.own().join("cgroup.controllers"), "memory pids\n").unwrap();
        let (why, hint) = host.only();
        assert!(why.contains("does not delegate cpu") && hint.contains("Delegate=cpu memory pids"));
        let host = Made::good();
        std::fs::remove_dir_all(host.dir.path().join("run")).unwrap();
        assert_eq!(host.only().1, "export XDG_RUNTIME_DIR=/run/user/1000");
        let host = Made::good();
        std::fs::remove_dir_all(host.own()).unwrap();
        assert!(host.only().1.contains("loginctl enable-linger kim"));
        let host = Made::good();
        std::fs::remove_file(host.dir.path().join("cgroup.controllers")).unwrap();
        assert!(host.only().0.contains("needs cgroup v2"));
    }
}
