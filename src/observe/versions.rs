//! Which versions a node runs, by what its programs say of themselves.

/// Programs by the commands that tell their versions, as they are captured.
pub const PROGRAMS: [(&str, &str); 4] = [
    ("kernel", "uname -r"),
    ("iptables", "iptables --version"),
    ("kubelet", "kubelet --version"),
    ("containerd", "containerd --version"),
];

/// The version in what a program says of itself, with what stands in brackets behind it.
pub fn version(text: &str) -> String {
    let is_version = |w: &&str| w.trim_start_matches('v').starts_with(|c: char| c.is_ascii_digit());
    let bracket = |w: &&str| w.starts_with('(') && w.ends_with(')');
    let words = text.split_whitespace().find(is_version).into_iter();
    words.chain(text.split_whitespace().find(bracket)).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_found() {
        let containerd = "containerd github.com/containerd/containerd 1.7.24~ds1 1.7.24~ds1-6+deb13u1\n";
        assert_eq!(version(containerd), "1.7.24~ds1");
        assert_eq!(version("iptables v1.8.11 (nf_tables)"), "v1.8.11 (nf_tables)");
        assert_eq!(version("Kubernetes v1.34.4"), "v1.34.4");
    }
}
