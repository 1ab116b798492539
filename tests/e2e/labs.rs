//! What `lab init` writes runs as it is, on container nodes. Needs root.

use crate::host::{self, ok};
use crate::support::Home;

#[test]
fn labs_begun_with_init_run_as_they_are() {
    let home = Home::new();
    let lab = |args: &[&str]| ok(host::lab(&home, args)).0;
    lab(&["init", "lesson"]);
    lab(&["up", "--driver", "container", "--offline"]);
    let said = lab(&["ssh", "n2", "-c", "cat /etc/motd; ip -brief address show lab0"]);
    assert!(said.contains("hello from n2 of lesson") && said.contains("10.99.0.1/24"), "{said}");
    assert!(lab(&["plan"]).contains("\n0 of "), "a finished lab has nothing to do");
    lab(&["destroy", "-f"]);
    assert_eq!(std::fs::read_dir(home.state()).unwrap().count(), 0);
}
