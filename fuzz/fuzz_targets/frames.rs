//! Any stream of bytes as frames, in any pieces: never a panic, and memory is bounded.
#![no_main]

use lab::network::frame::{Decoder, MAX_FRAME};

libfuzzer_sys::fuzz_target!(|pieces: Vec<Vec<u8>>| {
    let mut decoder = Decoder::default();
    for piece in &pieces {
        decoder.push(piece);
        loop {
            match decoder.next_frame() {
                Ok(Some(frame)) => assert!(frame.len() <= MAX_FRAME),
                Ok(None) => break,
                Err(_) => return,
            }
        }
    }
});
