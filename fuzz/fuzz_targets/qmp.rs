//! Any bytes as what QEMU says: never a panic, and the conversation ends.
#![no_main]

use lab::driver::qemu::qmp::Qmp;
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::net::UnixStream;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        // What does not fit into the socket's buffer is no answer that we ask for.
        let _ = theirs.try_write(&bytes[..bytes.len().min(32 << 10)]);
        let _ = theirs.shutdown().await;
        if let Ok(mut qmp) = Qmp::over(ours, Duration::from_secs(1)).await {
            let _ = qmp.ssh_address().await;
            let _ = qmp.power_down().await;
        }
    });
});
