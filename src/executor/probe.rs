//! Waiting until something holds on a node.

use super::unit::collect;
use crate::error::{Error, Result};
use crate::lab::model::Probe;
use crate::ssh::{Exit, Remote};
use crate::template::{self, Scope};
use std::time::{Duration, Instant};

/// The first pause between two tries; each next one is twice as long, up to what the probe says. What holds soon is seen
/// soon, and what takes long is not asked for all the time.
const FIRST_PAUSE: Duration = Duration::from_millis(250);

/// The last line of a script on its way: what ends without it was cut, and half of a script must not run.
const END: &str = "# whole";

/// Runs a script that comes on its standard input, and leaves none of that to the script's own commands. As an argument
/// everybody on the node could read it, with the secrets that it names.
const SHELL: &str = "bash -euo pipefail -c 'lab_script=$(cat); case \"$lab_script\" in \
    *\"# whole\") exec </dev/null; eval \"$lab_script\" ;; *) echo it did not come whole >&2; exit 254 ;; esac'";

/// Runs a script by bash, to its end.
pub async fn run<R: Remote>(remote: &R, script: &str) -> Result<(Exit, String, String)> {
    collect(remote, SHELL, format!("{script}\n{END}\n").as_bytes()).await
}

/// Tries until the probe holds or its time, scaled by the node's slowness, is over. Returns what it printed last.
///
/// # Errors
/// It never held: what it waits for, what it printed last, and its hint.
pub async fn wait<R: Remote>(remote: &R, node: &str, probe: &Probe, scope: &Scope, slowness: u64) -> Result<String> {
    let mut scope = scope.clone();
    scope.extend(probe.inputs.clone());
    let limit = Duration::from_secs(probe.timeout * slowness);
    let what = format!("see that {}", probe.description);
    let script = template::render(&probe.script, &scope).map_err(|e| Error::failed(&what, e).on(node))?;
    let script = format!("export LAB_DEADLINE={}\n{script}", limit.as_secs());
    let begun = Instant::now();
    let mut last = String::from("it gave no answer");
    let mut pause = FIRST_PAUSE;
    while let Ok(answer) = tokio::time::timeout(limit.saturating_sub(begun.elapsed()), run(remote, &script)).await {
        let (exit, out, err) = answer?;
        if exit.ok() {
            return Ok(out);
        }
        last = exit.in_words();
        let said = format!("{out}{err}");
        if !said.trim().is_empty() {
            last += &format!(": {}", said.trim());
        }
        // The state of a program inside the node gives no event that could be waited for.
        tokio::time::sleep(pause.min(Duration::from_secs(probe.every))).await;
        pause *= 2;
        if begun.elapsed() >= limit {
            break;
        }
    }
    let why = format!("not within {} s; the last answer was {last}", limit.as_secs());
    let error = Error::failed(what, why).on(node);
    Err(match &probe.hint {
        Some(hint) => error.hint(hint.clone()),
        None => error,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ssh::Sink;
    use std::collections::BTreeMap;
    use std::sync::atomic::{AtomicU64, Ordering};

    /// A node on which it holds after this many tries.
    struct Soon(AtomicU64);

    impl Remote for Soon {
        async fn exec(&self, _: &str, _: &[u8], _: Sink<'_>) -> Result<Exit> {
            let left = self.0.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |n| Some(n.saturating_sub(1)));
            Ok(Exit::Code(u32::from(left != Ok(0))))
        }

        async fn alive(&self) {}
    }

    #[tokio::test]
    async fn what_holds_soon_is_seen_soon_however_long_the_pauses_may_be() {
        let probe = Probe {
            name: "soon".into(),
            description: "it holds".into(),
            script: "true".into(),
            timeout: 10,
            every: 60,
            hint: None,
            inputs: BTreeMap::default(),
        };
        let node = Soon(AtomicU64::new(2));
        assert!(wait(&node, "n1", &probe, &Scope::default(), 1).await.is_ok());
    }
}
