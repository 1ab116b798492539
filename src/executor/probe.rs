//! Waiting until something holds on a node.

use super::unit::collect;
use crate::error::{Error, Result};
use crate::lab::model::Probe;
use crate::ssh::Remote;
use crate::template::{self, Scope, quote};
use std::time::{Duration, Instant};

/// The command that runs a script by bash without leaving its input to the script's own commands.
pub fn bash(script: &str) -> String {
    format!("bash -euo pipefail -c {}", quote(script))
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
    let command = format!("LAB_DEADLINE={} {}", limit.as_secs(), bash(&script));
    let begun = Instant::now();
    let mut last = String::from("it gave no answer");
    while let Ok(answer) =
        tokio::time::timeout(limit.saturating_sub(begun.elapsed()), collect(remote, &command, b"")).await
    {
        let (exit, out, err) = answer?;
        if exit.ok() {
            return Ok(out);
        }
        last = format!("{exit:?}: {}", format!("{out}{err}").trim());
        // The state of a program inside the node gives no event that could be waited for.
        tokio::time::sleep(Duration::from_secs(probe.every)).await;
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
