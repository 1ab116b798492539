//! The labs, templates and pins that the binary carries: a file that is new there is a reason to build again.

fn main() {
    for folder in ["labs", "templates", "bundle"] {
        println!("cargo:rerun-if-changed={folder}");
    }
}
