//! Whether the host's processors are emulated: container nodes are as fast as their host, and no faster.

use std::process::{Command, Stdio};

/// What systemd-detect-virt(1) says of a machine that QEMU runs without hardware virtualisation; with it, it says `kvm`.
const EMULATED: &str = "qemu";

/// Whether this host is an emulated machine. One that cannot tell is none.
pub fn is_host() -> bool {
    let asked = Command::new("systemd-detect-virt").arg("--vm").stdin(Stdio::null()).stderr(Stdio::null()).output();
    asked.is_ok_and(|answer| tells(&answer.stdout))
}

fn tells(answer: &[u8]) -> bool {
    answer.trim_ascii() == EMULATED.as_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_qemu_without_help_of_the_processor_is_slow() {
        assert!(tells(b"qemu\n"));
        assert!(!tells(b"kvm\n") && !tells(b"none\n") && !tells(b""));
    }
}
