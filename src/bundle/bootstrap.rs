//! mmdebstrap, as root or as an ordinary user. An ordinary user's tree belongs to subordinate ids, which may neither
//! enter that user's folders nor write to them: so everything that goes into the tree or comes out of it passes through
//! mmdebstrap's own hooks (`tar-in`, `download`), which run as the user.

use super::produce::EPOCH;
use crate::error::{Error, Result};
use std::path::Path;
use std::process::Command;

/// An mmdebstrap to be run.
pub struct Bootstrap {
    command: Command,
}

impl Bootstrap {
    /// With the packages of this variant and those named; `work` is a folder with room for the tree.
    pub fn new(variant: &str, packages: &[String], work: &Path) -> Self {
        let mut command = super::command::program("mmdebstrap");
        let root = rustix::process::getuid().is_root();
        command.arg(if root { "--mode=root" } else { "--mode=unshare" });
        command.arg(format!("--variant={variant}")).arg("--format=tar");
        command.arg(format!("--include={}", packages.join(",")));
        command.arg("--aptopt=APT::Install-Recommends false");
        for kind in ["man", "doc", "locale", "info"] {
            command.arg(format!("--dpkgopt=path-exclude=/usr/share/{kind}/*"));
        }
        // Subordinate ids must be able to enter the folders above the tree: a home folder often forbids it.
        command.env("TMPDIR", if root { work } else { Path::new("/var/tmp") });
        command.env("SOURCE_DATE_EPOCH", EPOCH);
        Self { command }
    }

    /// Runs a shell line outside the tree, which is `$1`.
    pub fn hook(mut self, line: &str) -> Self {
        self.command.arg(format!("--customize-hook={line}"));
        self
    }

    /// Unpacks a tar at the tree's root.
    pub fn unpack(self, tar: &Path) -> Result<Self> {
        let tar = quoted(tar)?;
        Ok(self.hook(&format!("tar-in {tar} /")))
    }

    /// Writes the list of packages and their versions to this file.
    pub fn list_packages(self, to: &Path) -> Result<Self> {
        let to = quoted(to)?;
        Ok(self
            .hook("chroot \"$1\" dpkg-query -W >\"$1/packages.txt\"")
            .hook(&format!("download /packages.txt {to}"))
            .hook("rm \"$1/packages.txt\""))
    }

    /// The command that makes `tar` out of this Debian suite, from the tool's own default mirror.
    pub fn into_command(mut self, suite: &str, tar: &Path) -> Command {
        self.command.arg(suite).arg(tar);
        self.command
    }
}

/// A path as the hooks' own word splitting reads it.
fn quoted(path: &Path) -> Result<String> {
    match path.to_str() {
        Some(text) if !text.contains(['\'', '\\']) => Ok(format!("'{text}'")),
        _ => Err(Error::input("use the cache folder", format!("{} has a quote in its name", path.display()))),
    }
}

/// Package versions as `name version` lines, from what `list_packages` wrote.
pub fn packages(text: &str) -> Vec<String> {
    text.lines().map(|l| l.replace('\t', " ")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_with_blanks_stay_one_word() {
        let made = Bootstrap::new("minbase", &["a".into(), "b".into()], Path::new("/w"));
        let command = made.unpack(Path::new("/a b/x.tar")).unwrap().into_command("trixie", Path::new("/o.tar"));
        let args: Vec<String> = command.get_args().map(|a| a.to_string_lossy().into_owned()).collect();
        assert!(args.contains(&"--customize-hook=tar-in '/a b/x.tar' /".to_owned()), "{args:?}");
        assert_eq!(args[args.len() - 2..], ["trixie", "/o.tar"]);
        assert!(quoted(Path::new("/it's")).is_err());
    }
}
