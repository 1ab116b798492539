//! Any text as a capture of a node's links, routes and rules: never a panic.
#![no_main]

libfuzzer_sys::fuzz_target!(|text: &str| {
    let _ = lab::observe::capture::parse("n1", text);
});
