//! What `auto` means: virtual machines where hardware makes them fast, else system containers, else emulation.

use super::Facts;
use crate::error::Error;

/// What a driver would be on this host, or what it lacks there.
pub type Offer<'a> = std::result::Result<&'a Facts, &'a [Error]>;

/// What was chosen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choice {
    /// The driver's name.
    pub name: &'static str,
    /// For people, in one line: what, why, what differs, and what the other would need.
    pub line: String,
}

/// Chooses between the two; None where neither works.
pub fn choose(qemu: Offer, container: Offer) -> Option<Choice> {
    let differs = "its nodes share the host's kernel and clock";
    Some(match (qemu, container) {
        (Ok(machines), other) if !machines.emulated => {
            let other = other.map_or_else(needs, |_| format!("works too ({differs})"));
            Choice { name: "qemu", line: format!("{}; `--driver container` {other}", machines.description) }
        }
        (Ok(machines), Ok(containers)) => {
            let line = format!(
                "{}, at full speed, since without it there are {}; {differs}, `--driver qemu` gives each its own",
                containers.description, machines.description
            );
            Choice { name: "container", line }
        }
        (Ok(machines), Err(lacks)) => {
            let line = format!("{}; `--driver container` would be faster and {}", machines.description, needs(lacks));
            Choice { name: "qemu", line }
        }
        (Err(lacks), Ok(containers)) => {
            let line = format!("{}; {differs}; `--driver qemu` {}", containers.description, needs(lacks));
            Choice { name: "container", line }
        }
        (Err(_), Err(_)) => return None,
    })
}

fn needs(lacks: &[Error]) -> String {
    let each = |e: &Error| e.hint.as_ref().map_or_else(|| e.why.clone(), |hint| format!("{}: {hint}", e.why));
    format!("cannot be used here: {}", lacks.iter().map(each).collect::<Vec<_>>().join("; "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(name: &str, description: &str, emulated: bool) -> Facts {
        Facts {
            name: name.into(),
            description: description.into(),
            slowness: 1,
            emulated,
            nested_kernel: name == "container",
            oom_adjust: true,
            cgroup_v1: false,
        }
    }

    #[test]
    fn the_table_of_the_design() {
        let fast = facts("qemu", "virtual machines with KVM", false);
        let slow = facts("qemu", "emulated machines, 12 times slower (no /dev/kvm)", true);
        let shared = facts("container", "system containers by runc", false);
        let root = [Error::host("use the container driver", "it needs root").hint("sudo -E lab up")];
        let none = [Error::host("use the qemu driver", "QEMU is not installed").hint("apt install it")];
        let name = |qemu, container| choose(qemu, container).map(|c| c.name);
        assert_eq!(name(Ok(&fast), Ok(&shared)), Some("qemu"));
        assert_eq!(name(Ok(&fast), Err(&root)), Some("qemu"));
        assert_eq!(name(Ok(&slow), Ok(&shared)), Some("container"));
        assert_eq!(name(Ok(&slow), Err(&root)), Some("qemu"));
        assert_eq!(name(Err(&none), Ok(&shared)), Some("container"));
        assert_eq!(name(Err(&none), Err(&root)), None);
    }

    #[test]
    fn the_line_says_what_why_what_differs_and_what_the_other_needs() {
        let slow = facts("qemu", "emulated machines, 12 times slower (no /dev/kvm)", true);
        let shared = facts("container", "system containers by runc", false);
        let root = [Error::host("use the container driver", "it needs root").hint("sudo -E lab up")];
        let line = choose(Ok(&slow), Ok(&shared)).unwrap().line;
        for part in ["by runc", "12 times slower (no /dev/kvm)", "the host's kernel and clock", "--driver qemu"] {
            assert!(line.contains(part), "{part} in {line}");
        }
        let line = choose(Ok(&slow), Err(&root)).unwrap().line;
        assert!(line.contains("12 times slower") && line.contains("it needs root: sudo -E lab up"), "{line}");
        assert!(!line.contains('\n'));
    }
}
