//! From nothing to a node that is logged into and has finished booting.

use super::unit::collect;
use super::{Context, Reach};
use crate::driver::{Driver, NodeSpec, NodeState, Stop};
use crate::error::{Error, Result};
use crate::state::birth;
use crate::state::journal::What;
use std::time::{Duration, Instant};

/// Seconds that an accelerated node may take to its first login, and again to the end of its boot.
const LIMIT: u64 = 90;
/// Waits until systemd has started what it starts. A node without systemd is ready when it can be logged into.
const READY: &str = "if command -v systemctl >/dev/null && [ -d /run/systemd/system ]; then systemctl is-system-running --wait; else echo running; fi";

/// Makes what is missing of the node, starts it and waits until it is ready.
pub async fn boot<D: Driver, C: Reach>(ctx: &Context<'_, D, C>, spec: &NodeSpec, task: &str) -> Result<C::Remote> {
    let node = &spec.node.name;
    let limit = Duration::from_secs(LIMIT * ctx.driver.facts().slowness);
    let state = ctx.driver.inspect(&spec.place).await?;
    if state == NodeState::Absent {
        ctx.reporter.progress(task, "making the disk");
        // Before it is made: a `lab` that is killed in between must not take what was done on an earlier disk for done.
        ctx.record(task, &birth::give(&spec.place.dir)?, What::Created)?;
        ctx.driver.create(spec).await?;
    } else if !ctx.knows(task, &birth::read(&spec.place.dir)) {
        ctx.record(task, &birth::give(&spec.place.dir)?, What::Lost)?;
    }
    let begun = Instant::now();
    let remote = match start(ctx, spec, task, limit).await {
        // One that a killed `lab` left while it booted has had the time of a whole boot by now.
        Err(error) if matches!(state, NodeState::Running(_)) && begun.elapsed() >= limit => {
            ctx.reporter.note(format!("{node}: it ran and did not answer, and is started again ({})", error.why));
            ctx.driver.stop(&spec.place, Stop::Kill).await?;
            start(ctx, spec, task, limit).await?
        }
        started => started?,
    };
    ctx.reporter.progress(task, "waiting for the end of its boot");
    let ready = tokio::time::timeout(limit, collect(&remote, READY, b""));
    let answer = tokio::select! {
        answer = ready => answer,
        error = ctx.driver.watch(&spec.place) => return Err(error),
    };
    match answer {
        Ok(answer) => match answer?.1.trim() {
            "running" => Ok(remote),
            // Some unit failed; what the lab needs is tested by its own probes.
            "degraded" => {
                let look = format!("lab ssh {node} --lab {} -c 'systemctl --failed'", ctx.lab.name);
                ctx.reporter.note(format!("{node}: booted with failed units; see `{look}`"));
                Ok(remote)
            }
            other => Err(Error::failed("boot", format!("systemd says `{other}`")).on(node)),
        },
        Err(_) => Err(Error::failed("boot", format!("not finished within {} s", limit.as_secs())).on(node)),
    }
}

/// Starts the node, unless it runs, and logs in.
async fn start<D: Driver, C: Reach>(
    ctx: &Context<'_, D, C>,
    spec: &NodeSpec,
    task: &str,
    limit: Duration,
) -> Result<C::Remote> {
    let node = &spec.node.name;
    ctx.reporter.progress(task, "starting");
    let endpoint = ctx.driver.start(spec).await?;
    for forward in ctx.forwards.get(node).into_iter().flatten() {
        // The lab is whole without it, and the verb that needs it says what to do.
        if let Err(error) = ctx.driver.forward(&spec.place, *forward).await {
            ctx.reporter.note(error.to_string());
        }
    }
    ctx.reporter.progress(task, "waiting for SSH");
    ctx.reach.reach(node, endpoint, limit, ctx.driver.watch(&spec.place)).await
}
