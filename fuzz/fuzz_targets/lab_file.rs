//! Any text as a lab file: problems or a lab, never a panic.
#![no_main]

use lab::lab::resolve::{Sources, resolve};
use std::collections::BTreeMap;

libfuzzer_sys::fuzz_target!(|text: &str| {
    let library = |path: &str| lab::embedded::template(path);
    let _ = resolve(&Sources { name: "lab.yaml", text, library: &library, set: &BTreeMap::new() });
});
