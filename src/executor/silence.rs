//! Nodes that hang: their process runs, their connections stay, and nothing comes from them any more. No event tells of
//! that, so that a node is asked again and again while its step runs.

use crate::error::Error;
use crate::event::Reporter;
use crate::ssh::Remote;
use std::pin::pin;
use std::time::{Duration, Instant};
use tokio::time::{sleep, timeout};

/// From an answer to the next question.
const EVERY: Duration = Duration::from_secs(2);
/// Seconds of silence of an accelerated node after which it is told. An emulated one stalls for twenty when it is busy.
const TOLD: u64 = 10;
/// Seconds of silence of an accelerated node after which it is given up: as long as the session itself would wait.
const GIVEN_UP: u64 = 60;

/// How long silence is borne.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    every: Duration,
    told: Duration,
    given_up: Duration,
}

impl Patience {
    /// With nodes that are so much slower than accelerated ones. To tell too early costs a line, to give up too early a
    /// step: only the latter has the whole factor.
    pub fn with(slowness: u64) -> Self {
        let told = Duration::from_secs(TOLD * slowness.clamp(1, 3));
        Self { every: EVERY, told, given_up: Duration::from_secs(GIVEN_UP * slowness) }
    }
}

/// Ends with an error when a node has been silent for too long; tells before, and when it answers again.
pub async fn watch<R: Remote>(remote: &R, node: &str, lab: &str, patience: Patience, reporter: &Reporter) -> Error {
    let Patience { every, told, given_up } = patience;
    loop {
        sleep(every).await;
        let begun = Instant::now();
        let mut sign = pin!(remote.alive());
        if timeout(told, &mut sign).await.is_ok() {
            continue;
        }
        let (silent, limit) = (told.as_secs(), given_up.as_secs());
        reporter.note(format!("{node}: it runs, but has not answered for {silent} s; given up after {limit} s"));
        if timeout(given_up.saturating_sub(told), &mut sign).await.is_err() {
            let why = format!("it runs, but has not answered by SSH for {limit} s: it hangs, or is far too busy");
            let hint = format!(
                "look: lab logs --console --node {node}; lab status {lab}\n  go on: lab up {lab} waits for it once more, \
                 and starts it again if it stays silent; what its step did till then is kept\n  or at once: lab reload {lab}"
            );
            return Error::failed("reach the node", why).on(node).hint(hint);
        }
        reporter.note(format!("{node}: it answers again, after {} s", begun.elapsed().as_secs()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Result;
    use crate::event::Event;
    use crate::ssh::{Exit, Sink};
    use std::sync::{Arc, Mutex};
    use tokio::sync::watch::Sender;

    /// A node that answers while this says so.
    struct Node(Sender<bool>);

    impl Remote for Node {
        async fn exec(&self, _: &str, _: &[u8], _: Sink<'_>) -> Result<Exit> {
            Ok(Exit::Code(0))
        }

        async fn alive(&self) {
            let _ = self.0.subscribe().wait_for(|answers| *answers).await;
        }
    }

    const SHORT: Patience =
        Patience { every: Duration::ZERO, told: Duration::from_millis(20), given_up: Duration::from_millis(200) };

    #[tokio::test]
    async fn silence_is_told_then_given_up_and_a_node_that_comes_back_is_not() {
        let node = Node(Sender::new(false));
        let (notes, mut told) = tokio::sync::mpsc::unbounded_channel();
        let reporter = Reporter::new(move |event| {
            if let Event::Note { message } = event {
                let _ = notes.send(message);
            }
        });
        let again = async {
            assert!(told.recv().await.unwrap().contains("n1: it runs, but has not answered"));
            node.0.send_replace(true);
            assert!(told.recv().await.unwrap().contains("n1: it answers again"));
            node.0.send_replace(false);
            assert!(told.recv().await.unwrap().contains("has not answered"));
        };
        let (error, ()) = tokio::join!(watch(&node, "n1", "x", SHORT, &reporter), again);
        assert!(error.why.contains("has not answered by SSH") && error.node.as_deref() == Some("n1"), "{error}");
        assert!(error.hint.unwrap().contains("lab up x"));
    }

    #[tokio::test]
    async fn a_node_that_answers_is_left_alone() {
        let node = Node(Sender::new(true));
        let notes = Arc::new(Mutex::new(0));
        let count = notes.clone();
        let reporter = Reporter::new(move |_| *count.lock().unwrap() += 1);
        let watched = watch(&node, "n1", "x", SHORT, &reporter);
        assert!(timeout(Duration::from_millis(300), watched).await.is_err());
        assert_eq!(*notes.lock().unwrap(), 0);
    }

    #[test]
    fn what_is_slow_is_given_its_time() {
        let seconds = |p: Patience| (p.told.as_secs(), p.given_up.as_secs());
        assert_eq!((seconds(Patience::with(1)), seconds(Patience::with(12))), ((10, 60), (30, 720)));
    }
}
