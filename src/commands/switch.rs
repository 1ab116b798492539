//! The network switch of a lab while an `up` runs.

use crate::event::Reporter;
use crate::network;
use std::path::Path;
use std::time::Duration;

/// How long one wait for the switch's end takes; the next follows at once.
const WATCH: Duration = Duration::from_secs(60);
/// How long a switch that cannot be started is left alone.
const AGAIN: Duration = Duration::from_secs(1);

/// Starts the switch again when it ends: nodes connect to it again by themselves. Never ends.
pub async fn tend(run: &Path, networks: &[String], reporter: &Reporter) {
    if networks.is_empty() {
        return std::future::pending().await;
    }
    loop {
        if let Some(switch) = network::process::find(run) {
            while !switch.gone(WATCH).await {}
        }
        match network::process::spawn(run, networks).await {
            Ok(_) => reporter.note("the network switch had ended; it is started again"),
            Err(error) => {
                reporter.note(format!("the network switch has ended, and {error}"));
                // What keeps it from starting, as a full disk, tells nobody when it is over.
                tokio::time::sleep(AGAIN).await;
            }
        }
    }
}
