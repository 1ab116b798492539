//! Which accelerator works, found by trying: KVM counts when the lab's own kernel reached userspace under it.

use super::host::Program;
use crate::driver::{BaseImage, EMULATION_COST, Facts};
use crate::error::{Context, Result};
use crate::paths::Paths;
use crate::state::write::atomically;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, SystemTime};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::Command;

/// What executes the nodes' code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Accelerator {
    /// Linux's, by hardware.
    Kvm,
    /// macOS's, by hardware.
    Hvf,
    /// None: software emulation.
    Tcg,
}

/// The accelerator of this host for this image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choice {
    pub accelerator: Accelerator,
    /// Why hardware is not used; None when it is.
    pub why_not: Option<String>,
}

/// The shell of the image's initrd ends with this status, which no crash can give.
const PROBE: &str = "console=ttyS0 panic=-1 rdinit=/bin/sh -- -c \"exit $((6*7))\"";
/// What the kernel then says of it: the status is in the second byte.
const REACHED: &str = "Attempted to kill init! exitcode=0x00002a00";
/// About ten times what the probe takes with hardware.
const PROBE_LIMIT: Duration = Duration::from_secs(20);
/// Of a probe's output only this much is kept.
const PROBE_OUTPUT: u64 = 1 << 20;
/// A refusal may have a cause that goes away (a busy host, a firmware setting): tried again after a day.
const REFUSAL_HOLDS: Duration = Duration::from_secs(24 * 3600);

impl Accelerator {
    /// The values of `-accel` and `-cpu`.
    pub fn options(self) -> (&'static str, &'static str) {
        match self {
            Self::Kvm => ("kvm", "host"),
            Self::Hvf => ("hvf", "host"),
            // A thread per processor of a node: twice as fast with two.
            Self::Tcg => ("tcg,thread=multi", "max"),
        }
    }

    /// What this host's system offers.
    fn of_host() -> Self {
        if cfg!(target_os = "macos") { Self::Hvf } else { Self::Kvm }
    }
}

impl Choice {
    /// What is true of nodes made so.
    pub fn facts(&self, program: &Program) -> Facts {
        let version = program.version;
        let emulated = self.accelerator == Accelerator::Tcg;
        let description = match self.accelerator {
            Accelerator::Kvm => format!("virtual machines by QEMU {version} with KVM, full speed"),
            Accelerator::Hvf => format!("virtual machines by QEMU {version} with HVF, full speed"),
            Accelerator::Tcg => format!(
                "virtual machines emulated by QEMU {version}, about {EMULATION_COST} times slower ({})",
                self.why_not.as_deref().unwrap_or("no hardware virtualisation")
            ),
        };
        Facts {
            name: "qemu".into(),
            description,
            slowness: if emulated { EMULATION_COST } else { 1 },
            emulated,
            nested_kernel: false,
            oom_adjust: true,
            cgroup_v1: false,
        }
    }
}

/// Whether the host's accelerator can be tried at all.
pub fn is_there() -> bool {
    unavailable(Accelerator::of_host()).is_none()
}

/// Finds out which accelerator works, or remembers it. The answer is kept in `cache` by host kernel, QEMU version and
/// image.
pub async fn choose(program: &Program, image: &BaseImage, cache: &Path) -> Result<Choice> {
    let accelerator = Accelerator::of_host();
    if let Some(why) = unavailable(accelerator) {
        return Ok(Choice { accelerator: Accelerator::Tcg, why_not: Some(why) });
    }
    let dir = cache.join("accelerator");
    let file = dir.join(format!("{}.json", cache_key(program, image, accelerator)));
    let refusal = match remembered(&file) {
        Some(answer) => answer.refusal,
        None => {
            let refusal = probe(program, accelerator, image, PROBE_LIMIT).await.err();
            Paths::make_private(&dir)?;
            let answer = Answer { accelerator, refusal: refusal.clone() };
            let text = serde_json::to_vec_pretty(&answer).context(|| "write the accelerator's test result")?;
            atomically(&file, &text, 0o600)?;
            refusal
        }
    };
    Ok(match refusal {
        None => Choice { accelerator, why_not: None },
        Some(why) => Choice { accelerator: Accelerator::Tcg, why_not: Some(why) },
    })
}

/// A remembered probe.
#[derive(Debug, Serialize, Deserialize)]
struct Answer {
    accelerator: Accelerator,
    refusal: Option<String>,
}

fn remembered(file: &Path) -> Option<Answer> {
    let answer: Answer = serde_json::from_slice(&std::fs::read(file).ok()?).ok()?;
    let written = std::fs::metadata(file).and_then(|m| m.modified()).ok()?;
    let age = SystemTime::now().duration_since(written).unwrap_or_default();
    (answer.refusal.is_none() || age < REFUSAL_HOLDS).then_some(answer)
}

fn cache_key(program: &Program, image: &BaseImage, accelerator: Accelerator) -> String {
    let kernel = rustix::system::uname();
    let release = kernel.release().to_string_lossy();
    let inputs = format!("{release}\n{}\n{}\n{accelerator:?}\n", program.version, image.key);
    blake3::hash(inputs.as_bytes()).to_hex()[..16].to_owned()
}

/// Why the accelerator cannot even be tried.
fn unavailable(accelerator: Accelerator) -> Option<String> {
    if accelerator != Accelerator::Kvm {
        return None;
    }
    let device = Path::new("/dev/kvm");
    match std::fs::OpenOptions::new().read(true).write(true).open(device) {
        Ok(_) => None,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
            Some("no /dev/kvm: hardware virtualisation is off or not passed on to this host".into())
        }
        Err(e) if e.kind() == std::io::ErrorKind::PermissionDenied => {
            Some("/dev/kvm may not be opened; sudo usermod -aG kvm $USER, then log in again".into())
        }
        Err(e) => Some(format!("/dev/kvm: {e}")),
    }
}

/// Boots the image's kernel and initrd with a shell as first program, which ends at once. The reason of a refusal is
/// one line for people.
async fn probe(
    program: &Program,
    accelerator: Accelerator,
    image: &BaseImage,
    limit: Duration,
) -> std::result::Result<(), String> {
    let (accel, cpu) = accelerator.options();
    let name = format!("{accelerator:?}").to_uppercase();
    let file = |name: &str| -> PathBuf { image.dir.join(name) };
    let mut child = Command::new(&program.system)
        .args(["-machine", "q35", "-accel", accel, "-cpu", cpu, "-m", "512", "-smp", "1"])
        .args(["-nodefaults", "-no-user-config", "-display", "none", "-no-reboot", "-serial", "stdio"])
        .arg("-kernel")
        .arg(file("vmlinuz"))
        .arg("-initrd")
        .arg(file("initrd.img"))
        .args(["-append", PROBE])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
        .map_err(|e| format!("{name} could not be tried: {e}"))?;
    let (out, err) = (child.stdout.take(), child.stderr.take());
    let ended = tokio::time::timeout(limit, async {
        let (out, err) = tokio::join!(text_of(out), text_of(err));
        (out, err, child.wait().await)
    });
    let Ok((out, err, _)) = ended.await else {
        // Dropping the child kills it.
        return Err(format!("{name} opens, but a kernel did not reach userspace in {} s", limit.as_secs()));
    };
    if out.contains(REACHED) {
        return Ok(());
    }
    // QEMU's first complaint is the cause; what follows comes of it.
    let cause = err.lines().find(|l| !l.trim().is_empty()).or_else(|| out.lines().rfind(|l| l.contains("panic")));
    let cause = cause.unwrap_or("no userspace was reached").trim();
    let cause = cause.strip_prefix("qemu-system-x86_64: ").unwrap_or(cause);
    Err(format!("{name} opens, but nodes die in it: {cause}"))
}

async fn text_of(stream: Option<impl AsyncRead + Unpin>) -> String {
    let mut bytes = Vec::new();
    if let Some(mut stream) = stream {
        // What was read until an error is still worth reading.
        let _ = (&mut stream).take(PROBE_OUTPUT).read_to_end(&mut bytes).await;
        let _ = tokio::io::copy(&mut stream, &mut tokio::io::sink()).await;
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::super::host::Version;
    use super::super::host::tests::executable;
    use super::*;

    /// A QEMU that prints something and ends.
    fn fake(dir: &Path, script: &str) -> Program {
        let system = dir.join("qemu");
        executable(&system, script);
        Program { system, img: PathBuf::new(), version: Version(10, 0, 2) }
    }

    async fn probed(script: &str) -> std::result::Result<(), String> {
        let dir = tempfile::tempdir().unwrap();
        let image = BaseImage { key: "k".into(), dir: dir.path().into() };
        probe(&fake(dir.path(), script), Accelerator::Kvm, &image, Duration::from_secs(2)).await
    }

    #[tokio::test]
    async fn only_a_shell_that_ran_counts() {
        assert_eq!(probed(&format!("echo '[ 1.0] Kernel panic - not syncing: {REACHED}'")).await, Ok(()));
        let segfault = "echo 'Kernel panic - not syncing: Attempted to kill init! exitcode=0x0000000b'";
        assert!(probed(segfault).await.unwrap_err().contains("0x0000000b"));
        let msr = "echo 'error: failed to set MSR 0x10a' >&2; exit 134";
        assert_eq!(probed(msr).await.unwrap_err(), "KVM opens, but nodes die in it: error: failed to set MSR 0x10a");
        assert!(probed("exec sleep 30").await.unwrap_err().contains("did not reach userspace in 2 s"));
    }

    #[test]
    fn refusals_are_forgotten_after_a_day_and_successes_are_not() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("a.json");
        let old = SystemTime::now() - 2 * REFUSAL_HOLDS;
        for (refusal, age, known) in [(Some("x"), false, true), (Some("x"), true, false), (None, true, true)] {
            let answer = Answer { accelerator: Accelerator::Kvm, refusal: refusal.map(Into::into) };
            std::fs::write(&file, serde_json::to_vec(&answer).unwrap()).unwrap();
            if age {
                std::fs::File::options().append(true).open(&file).unwrap().set_modified(old).unwrap();
            }
            assert_eq!(remembered(&file).is_some(), known, "{refusal:?} {age}");
        }
        std::fs::write(&file, "half").unwrap();
        assert!(remembered(&file).is_none());
    }

    #[test]
    fn the_cost_is_said() {
        let program = Program { system: PathBuf::new(), img: PathBuf::new(), version: Version(10, 0, 2) };
        let choice = Choice { accelerator: Accelerator::Tcg, why_not: Some("no /dev/kvm".into()) };
        let facts = choice.facts(&program);
        assert_eq!((facts.slowness, facts.emulated), (12, true));
        assert!(facts.description.contains("12 times slower (no /dev/kvm)"));
        assert!(!Choice { accelerator: Accelerator::Kvm, why_not: None }.facts(&program).emulated);
    }
}
