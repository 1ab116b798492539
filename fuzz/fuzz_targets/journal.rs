//! Any bytes as a journal: what is believed is in it, never a panic.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let records = lab::state::journal::parse(bytes);
    assert!(records.len() <= bytes.split(|b| *b == b'\n').count() + 1);
});
