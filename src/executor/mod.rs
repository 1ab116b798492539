//! Runs what is ready, as much at once as the graph allows; events are the only way out.

mod boot;
mod log;
mod observe;
mod probe;
mod scope;
mod silence;
mod step;
mod unit;

pub use log::log_path;
pub use observe::{
    folder as observation, keep as keep_observation, take as take_observation, wanted as wanted_observation,
};
pub use probe::run as run_script;
pub use scope::of_node as scope_of_node;
pub use scope::{StepScope, of_step as scope_of};
pub use unit::collect;

use self::silence::Patience;
use crate::driver::{Driver, Endpoint, Forward, NodeSpec};
use crate::error::{Error, Kind, Result};
use crate::event::{Event, Reporter};
use crate::lab::model::{Action, Lab};
use crate::plan::{self, Task, TaskKind, Verdict, boot_id};
use crate::ssh::Remote;
use crate::state::journal::{Journal, What};
use crate::state::outputs;
use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::path::Path;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::RwLock;

/// How a started node becomes one that commands can be run on.
pub trait Reach: Send + Sync {
    type Remote: Remote;

    /// Logs in, trying until `limit` has passed or `died` ends with why the node never will answer.
    fn reach(
        &self,
        node: &str,
        endpoint: Endpoint,
        limit: Duration,
        died: impl Future<Output = Error> + Send,
    ) -> impl Future<Output = Result<Self::Remote>> + Send;
}

/// What a run works with.
pub struct Context<'a, D: Driver, C: Reach> {
    pub lab: &'a Lab,
    pub tasks: &'a [Task],
    pub specs: &'a BTreeMap<String, NodeSpec>,
    pub driver: &'a D,
    pub reach: &'a C,
    /// The ports that a node is reached by from the moment it runs, by node.
    pub forwards: &'a BTreeMap<String, Vec<Forward>>,
    /// The lab's state folder.
    pub dir: &'a Path,
    pub journal: &'a Mutex<Journal>,
    pub reporter: &'a Reporter,
}

/// How long after a failed step it may turn out that its node has died.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// One of several futures that are waited for together.
type Pending<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

type Sessions<C> = RwLock<BTreeMap<String, Arc<<C as Reach>::Remote>>>;

impl<D: Driver, C: Reach> Context<'_, D, C> {
    /// Whether the journal speaks of the node's disk with this word.
    fn knows(&self, boot: &str, birth: &str) -> bool {
        let journal = self.journal.lock().unwrap_or_else(PoisonError::into_inner);
        plan::origin(journal.records(), boot).is_some_and(|origin| origin.task == boot && origin.key == birth)
    }

    fn record(&self, task: &str, key: &str, what: What) -> Result<()> {
        self.journal.lock().unwrap_or_else(PoisonError::into_inner).append(task, key, what)
    }
}

/// What is under way when the user wants to stop may take so long to end by itself.
pub const GRACE: Duration = Duration::from_secs(10);

/// Runs the plan. Nodes that already run are logged into first, so that every step finds its session.
///
/// # Errors
/// The first failure; tasks that were under way beside it are let finish. After `stop` nothing new is begun, and what is
/// under way has [`GRACE`] to end, unless `cut` comes first: steps on nodes go on by themselves and are found again by
/// the next run.
pub async fn execute<D: Driver, C: Reach>(
    ctx: &Context<'_, D, C>,
    stop: impl Future<Output = ()>,
    cut: impl Future<Output = ()>,
) -> Result<()> {
    let stopping = AtomicBool::new(false);
    let cut = async {
        stop.await;
        stopping.store(true, Ordering::Relaxed);
        ctx.reporter
            .note(format!("stopping: what is under way has {} s to end; again to stop at once", GRACE.as_secs()));
        tokio::select! {
            () = cut => {}
            () = tokio::time::sleep(GRACE) => {}
        }
    };
    let result = tokio::select! {
        result = run(ctx, &stopping) => result,
        () = cut => Ok(()),
    };
    if !stopping.load(Ordering::Relaxed) {
        return result;
    }
    let failed = result.err().map(|e| format!("\n{e}")).unwrap_or_default();
    let why = format!("interrupted; nodes stay, and steps under way go on there{failed}");
    let hint = format!("`lab up {0}` goes on, `lab destroy {0}` removes everything", ctx.lab.name);
    Err(Error::new(Kind::Interrupted, format!("finish `up` of {}", ctx.lab.name), why).hint(hint))
}

async fn run<D: Driver, C: Reach>(ctx: &Context<'_, D, C>, stopping: &AtomicBool) -> Result<()> {
    let sessions: Sessions<C> = RwLock::default();
    // A running node is reached when one of its steps runs, and only then.
    let runs: Vec<&Task> = ctx.tasks.iter().filter(|t| must_run(t, ctx.tasks)).collect();
    let mut done: BTreeSet<&str> =
        ctx.tasks.iter().filter(|t| !must_run(t, ctx.tasks)).map(|t| t.id.as_str()).collect();
    let mut started: BTreeSet<&str> = BTreeSet::new();
    let mut under_way: Vec<Pending<(&Task, Result<()>)>> = Vec::new();
    let mut failure: Option<Error> = None;
    loop {
        if failure.is_none() && !stopping.load(Ordering::Relaxed) {
            for task in &runs {
                let ready = task.needs.iter().all(|n| done.contains(n.as_str())) && booted(task, &done);
                if ready && started.insert(&task.id) {
                    let sessions = &sessions;
                    under_way.push(Box::pin(async move { (*task, one(ctx, task, sessions).await) }));
                }
            }
        }
        if under_way.is_empty() {
            return failure.map_or(Ok(()), Err);
        }
        let (task, result) = first(&mut under_way).await;
        match result {
            Ok(()) => {
                done.insert(&task.id);
            }
            Err(error) => {
                failure.get_or_insert(error);
            }
        }
    }
}

/// Whether the step's nodes are logged into. The steps before it may have been done by an earlier run, so that its needs
/// alone do not tell.
fn booted(task: &Task, done: &BTreeSet<&str>) -> bool {
    match &task.kind {
        TaskKind::Boot { .. } => true,
        TaskKind::Step { nodes, .. } => nodes.iter().all(|n| done.contains(boot_id(n).as_str())),
    }
}

/// A boot that is done is still gone through when a step of its node runs: it makes the session.
fn must_run(task: &Task, tasks: &[Task]) -> bool {
    let used = |node: &String| {
        tasks.iter().any(|t| {
            t.verdict != Verdict::Done && matches!(&t.kind, TaskKind::Step { nodes, .. } if nodes.contains(node))
        })
    };
    task.verdict != Verdict::Done || matches!(&task.kind, TaskKind::Boot { node } if used(node))
}

/// Waits for the first of several futures and takes it out.
async fn first<T>(futures: &mut Vec<Pending<'_, T>>) -> T {
    std::future::poll_fn(|cx| {
        for index in 0..futures.len() {
            if let std::task::Poll::Ready(value) = futures[index].as_mut().poll(cx) {
                drop(futures.swap_remove(index));
                return std::task::Poll::Ready(value);
            }
        }
        std::task::Poll::Pending
    })
    .await
}

async fn one<D: Driver, C: Reach>(ctx: &Context<'_, D, C>, task: &Task, sessions: &Sessions<C>) -> Result<()> {
    let (node, title) = label(ctx.lab, task);
    let id = task.id.clone();
    ctx.reporter.send(Event::Started { task: id.clone(), node: node.clone(), title: title.clone() });
    let begun = Instant::now();
    let result = match &task.kind {
        TaskKind::Boot { node } => node_up(ctx, task, node, sessions).await,
        TaskKind::Step { index, nodes } => steps(ctx, task, *index, nodes, sessions).await,
    };
    let millis = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
    ctx.reporter.send(match &result {
        Ok(None) => Event::Finished { task: id, node, title, millis },
        Ok(Some(why)) => Event::Skipped { task: id, node, title, why: why.clone() },
        Err(error) => {
            let why = error.why.lines().next().unwrap_or_default().to_owned();
            Event::Failed { task: id, node, title, why }
        }
    });
    result.map(drop)
}

fn label(lab: &Lab, task: &Task) -> (Option<String>, String) {
    match &task.kind {
        TaskKind::Boot { node } => (Some(node.clone()), "boot".to_owned()),
        TaskKind::Step { index, nodes } => {
            let title = lab.steps.get(*index).map_or(task.id.clone(), |s| match &s.action {
                Action::Wait { probe } | Action::Check { probe } => probe.description.clone(),
                Action::Observe { name } => format!("observe {name}"),
                _ => s.name.clone(),
            });
            ((nodes.len() == 1).then(|| nodes[0].clone()), title)
        }
    }
}

async fn node_up<D: Driver, C: Reach>(
    ctx: &Context<'_, D, C>,
    task: &Task,
    node: &str,
    sessions: &Sessions<C>,
) -> Result<Option<String>> {
    let unknown = || Error::failed("boot", "the plan names a node that the lab does not have").on(node);
    let spec = ctx.specs.get(node).ok_or_else(unknown)?;
    let remote = boot::boot(ctx, spec, &task.id).await?;
    sessions.write().await.insert(node.to_owned(), Arc::new(remote));
    Ok((task.verdict == Verdict::Done).then(|| "runs already".to_owned()))
}

/// What the host knows to be wrong with these nodes.
async fn troubles<D: Driver, C: Reach>(ctx: &Context<'_, D, C>, nodes: &[String]) -> Vec<String> {
    let mut all = Vec::new();
    for spec in nodes.iter().filter_map(|n| ctx.specs.get(n)) {
        all.extend(ctx.driver.trouble(&spec.place).await.map(|trouble| format!("{}: {trouble}", spec.node.name)));
    }
    all
}

/// Does this work while its nodes are well; and whether it is known how it ended, which nobody does when a node hangs.
async fn beside_nodes<D: Driver, C: Reach, T>(
    ctx: &Context<'_, D, C>,
    nodes: &[String],
    remotes: &[(&str, Arc<C::Remote>)],
    work: impl Future<Output = Result<T>>,
) -> (Result<T>, bool) {
    let died = || async {
        let mut watches: Vec<Pending<Error>> = Vec::new();
        for spec in nodes.iter().filter_map(|n| ctx.specs.get(n)) {
            watches.push(Box::pin(ctx.driver.watch(&spec.place)));
        }
        first(&mut watches).await
    };
    let patience = Patience::with(ctx.driver.facts().slowness);
    let mut watches: Vec<Pending<Error>> = Vec::new();
    for (node, remote) in remotes {
        watches.push(Box::pin(silence::watch(&**remote, node, &ctx.lab.name, patience, ctx.reporter)));
    }
    let (result, is_known) = tokio::select! {
        result = work => (result, true),
        error = died() => (Err(error), true),
        error = first(&mut watches) => (Err(error), false),
    };
    match result {
        // A connection breaks a moment before its node is gone, and is not the cause.
        Err(error) => match tokio::time::timeout(LAST_WORDS, died()).await {
            Ok(death) => (Err(death), true),
            Err(_) => (Err(error), is_known),
        },
        done => (done, is_known),
    }
}

async fn steps<D: Driver, C: Reach>(
    ctx: &Context<'_, D, C>,
    task: &Task,
    index: usize,
    nodes: &[String],
    sessions: &Sessions<C>,
) -> Result<Option<String>> {
    let step = &ctx.lab.steps[index];
    ctx.record(&task.id, &task.key, What::Started)?;
    let mut remotes = Vec::new();
    for node in nodes {
        let found = sessions.read().await.get(node).cloned();
        let missing = || Error::failed(format!("run the step {}", step.name), "there is no session").on(node);
        remotes.push((node.as_str(), found.ok_or_else(missing)?));
    }
    let work = async {
        if let Action::Observe { name } = &step.action {
            observe::capture(ctx.lab, name, &remotes, ctx.dir).await?;
            return Ok(None);
        }
        let mut skipped = None;
        for (node, remote) in &remotes {
            let scope = scope::of_step(ctx.lab, step, node, ctx.driver.facts(), ctx.tasks, ctx.dir);
            let run = step::Run {
                remote: &**remote,
                lab: &ctx.lab.name,
                node,
                step,
                task,
                scope: &scope,
                slowness: ctx.driver.facts().slowness,
                logs: &ctx.dir.join("logs"),
                reporter: ctx.reporter,
            };
            match run.run().await? {
                step::Ended::Done(outputs) if !outputs.values.is_empty() => outputs::save(ctx.dir, &task.id, &outputs)?,
                step::Ended::Done(_) => {}
                step::Ended::Already => skipped = Some("already so".to_owned()),
            }
        }
        Ok(skipped)
    };
    let before = troubles(ctx, nodes).await;
    let (result, is_known) = beside_nodes(ctx, nodes, &remotes, work).await;
    for trouble in troubles(ctx, nodes).await.into_iter().filter(|t| !before.contains(t)) {
        ctx.reporter.note(trouble);
    }
    // What became of a step whose node hangs nobody knows: the next run looks whether it goes on there.
    if is_known {
        ctx.record(&task.id, &task.key, if result.is_ok() { What::Done } else { What::Failed })?;
    }
    if result.is_ok() && !step.outputs.is_empty() {
        for (node, remote) in &remotes {
            // Only now: a `lab` that is killed before finds them again. A node that dies here takes them along.
            let _ = step::forget(&**remote, node, task).await;
        }
    }
    result
}
