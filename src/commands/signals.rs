//! What the user's signals mean: the first asks to stop, the second to stop at once. Ctrl-C, SIGTERM and a closed
//! terminal are the same wish.

use crate::error::{Context, Error, Kind, Result};
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

/// How often the user asked to stop.
pub struct Stop {
    asked: watch::Receiver<u32>,
    running: AtomicBool,
}

impl Stop {
    /// Listens from now on.
    pub fn listen() -> Result<Self> {
        let what = || "listen for signals".to_owned();
        let mut interrupt = signal(SignalKind::interrupt()).context(what)?;
        let mut terminate = signal(SignalKind::terminate()).context(what)?;
        let mut hangup = signal(SignalKind::hangup()).context(what)?;
        let (count, asked) = watch::channel(0);
        tokio::spawn(async move {
            loop {
                tokio::select! {
                    _ = interrupt.recv() => {}
                    _ = terminate.recv() => {}
                    _ = hangup.recv() => {}
                }
                count.send_modify(|n| *n += 1);
            }
        });
        Ok(Self { asked, running: AtomicBool::new(false) })
    }

    /// Ends when the user has asked so often.
    pub async fn asked(&self, times: u32) {
        let mut asked = self.asked.clone();
        if asked.wait_for(|n| *n >= times).await.is_err() {
            // The runtime ends, and with it whoever waits here.
            std::future::pending().await
        }
    }

    /// From now on tasks are under way, and a run decides what a signal means.
    pub fn running(&self) {
        self.running.store(true, Ordering::Relaxed);
    }

    /// Tasks are over: a signal means the end again.
    pub fn done(&self) {
        self.running.store(false, Ordering::Relaxed);
    }

    /// Ends with the error when the user asks to stop before tasks are under way: then nothing has to be let end.
    pub async fn before_running(&self, what: &str) -> Error {
        self.asked(1).await;
        if self.running.load(Ordering::Relaxed) {
            return std::future::pending().await;
        }
        Error::new(Kind::Interrupted, what, "interrupted; what was begun is taken up again by the next `lab up`")
    }
}
