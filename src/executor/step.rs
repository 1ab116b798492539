//! One step on one node: `unless`, `undo`, the unit, `check`, outputs.

use super::log::{self, StepLog};
use super::probe;
use super::scope::StepScope;
use super::unit::{self, Earlier, File, Unit};
use crate::error::{Error, Result};
use crate::event::{Reporter, Stream};
use crate::lab::model::{Action, Step};
use crate::plan::Task;
use crate::ssh::{Exit, Remote};
use crate::state::outputs::Outputs;
use crate::template;
use std::path::Path;
use std::time::Duration;

/// How a step ended well.
#[derive(Debug, PartialEq)]
pub enum Ended {
    Done(Outputs),
    /// It was true already.
    Already,
}

/// Removes from the node what a step that is done and recorded left there: some of it is secret.
pub async fn forget<R: Remote>(remote: &R, node: &str, task: &Task) -> Result<()> {
    Unit { remote, node, name: unit::name(&task.id), key: &task.key }.forget().await
}

/// What a step runs with.
pub struct Run<'a, R: Remote> {
    pub remote: &'a R,
    pub lab: &'a str,
    pub node: &'a str,
    pub step: &'a Step,
    pub task: &'a Task,
    pub scope: &'a StepScope,
    pub slowness: u64,
    pub logs: &'a Path,
    pub reporter: &'a Reporter,
}

impl<R: Remote> Run<'_, R> {
    /// Does the step and proves it.
    ///
    /// # Errors
    /// Step, node, exit code, last lines, hint, log and the next commands.
    pub async fn run(&self) -> Result<Ended> {
        let told = |text: &str| log::masked(text, &self.scope.secrets);
        let next =
            format!("look: lab ssh {} --lab {lab}\n  go on at this step: lab up {lab}", self.node, lab = self.lab);
        self.attempt().await.map_err(|e| {
            let hint = e.hint.as_deref().map_or(next.clone(), |hint| format!("{}\n  {next}", told(hint)));
            Error { why: told(&e.why), hint: Some(hint), ..e }
        })
    }

    async fn attempt(&self) -> Result<Ended> {
        let limit = Duration::from_secs(self.step.timeout * self.slowness);
        let ended = match &self.step.action {
            Action::Run { script } => self.script(script, limit).await?,
            Action::File { path, content, template, mode, owner } => {
                let content = if *template { self.render(content)? } else { content.clone() };
                let file = File { path, content: &content, mode: *mode, owner };
                // By its path: the step that put it may have had another name.
                self.unit(&format!("file {path}")).put(&file).await?;
                Ended::Done(Outputs::default())
            }
            Action::Wait { probe } | Action::Check { probe } => {
                let answer = probe::wait(self.remote, self.node, probe, &self.scope.scope, self.slowness).await?;
                let mut log = self.log(self.scope.secrets.clone())?;
                log.push(Stream::Out, answer.as_bytes());
                log.finish();
                Ended::Done(Outputs::default())
            }
            // Observations are taken of all nodes at once, by the executor itself.
            Action::Observe { .. } => Ended::Done(Outputs::default()),
        };
        if let Some(check) = &self.step.check {
            probe::wait(self.remote, self.node, check, &self.scope.scope, self.slowness).await?;
        }
        Ok(ended)
    }

    async fn script(&self, script: &str, limit: Duration) -> Result<Ended> {
        let script = self.render(script)?;
        let unit = self.unit(&self.task.id);
        let earlier = unit.earlier().await?;
        let resumed = self.task.resumable && matches!(earlier, Earlier::Running | Earlier::Done(0));
        if !resumed {
            if let Some(unless) = &self.step.unless
                && self.holds(unless).await?
            {
                return Ok(Ended::Already);
            }
            // The node knows better than a journal that has lost its end.
            let begun = earlier != Earlier::Nothing;
            if begun {
                unit.stop().await?;
            }
            if let Some(undo) = self.step.undo.as_ref().filter(|_| self.task.retried || begun) {
                self.undo(undo).await?;
            }
            unit.start(&script).await?;
        } else {
            self.reporter.note(format!("{}: an earlier run is still there; attached to it", self.task.id));
        }
        let (exit, log) = self.follow(&unit, limit).await?;
        match exit {
            Some(exit) if exit.ok() => self.outputs(&unit).await,
            Some(exit) => Err(self.failure(exit, &log)),
            None => {
                unit.stop().await?;
                let why = format!("it took longer than {} s and was stopped\n{}", limit.as_secs(), log.tail());
                Err(self.explained(why.trim_end(), log.path()))
            }
        }
    }

    /// What runs on the node under this name.
    fn unit(&self, of: &str) -> Unit<'_, R> {
        Unit { remote: self.remote, node: self.node, name: unit::name(of), key: &self.task.key }
    }

    fn log(&self, secrets: Vec<String>) -> Result<StepLog> {
        StepLog::create(self.logs, &self.task.id, self.node, secrets, self.reporter)
    }

    /// Follows the unit into the step's log until it ends; no exit when the time is over. What a step prints that makes
    /// a secret is held back until the secret is known and can be masked.
    async fn follow(&self, unit: &Unit<'_, R>, limit: Duration) -> Result<(Option<Exit>, StepLog)> {
        let makes_secret = self.step.outputs.iter().any(|o| o.secret);
        let mut secrets = self.scope.secrets.clone();
        let mut log = self.log(secrets.clone())?;
        let mut held: Vec<(Stream, Vec<u8>)> = Vec::new();
        let exit = {
            let mut sink = |stream, bytes: &[u8]| {
                if makes_secret { held.push((stream, bytes.to_vec())) } else { log.push(stream, bytes) }
            };
            tokio::time::timeout(limit, unit.attach(&mut sink)).await
        };
        if makes_secret {
            let left = unit.outputs().await?;
            let secret = self.step.outputs.iter().filter(|o| o.secret);
            secrets.extend(secret.filter_map(|o| left.get(&o.name).cloned()));
            log = self.log(secrets)?;
            held.iter().for_each(|(stream, bytes)| log.push(*stream, bytes));
        }
        log.finish();
        Ok((exit.ok().transpose()?, log))
    }

    async fn outputs(&self, unit: &Unit<'_, R>) -> Result<Ended> {
        let mut kept = Outputs::default();
        if self.step.outputs.is_empty() {
            return Ok(Ended::Done(kept));
        }
        let mut left = unit.outputs().await?;
        for output in &self.step.outputs {
            let value = left.remove(&output.name).ok_or_else(|| {
                let why = format!("it declares the output `{0}`, but left nothing in $LAB_OUTPUTS/{0}", output.name);
                Error::failed(format!("finish the step {}", self.step.name), why).on(self.node)
            })?;
            if output.secret {
                kept.secret.push(output.name.clone());
            }
            kept.values.insert(output.name.clone(), value);
        }
        Ok(Ended::Done(kept))
    }

    async fn holds(&self, script: &str) -> Result<bool> {
        Ok(probe::run(self.remote, &self.render(script)?).await?.0.ok())
    }

    async fn undo(&self, script: &str) -> Result<()> {
        self.reporter.note(format!("{}: it was begun before; undoing that first", self.task.id));
        // The undoing of a `lab` that was killed may still be under way.
        let undoing = format!("undo {}", self.task.id);
        let (exit, said) = self.unit(&undoing).again(&self.render(script)?).await?;
        if exit.ok() {
            return Ok(());
        }
        let why = format!("{}\n{}", exit.in_words(), said.trim());
        Err(Error::failed(format!("undo the step {}", self.step.name), why).on(self.node))
    }

    fn render(&self, text: &str) -> Result<String> {
        template::render(text, &self.scope.scope)
            .map_err(|e| Error::failed(format!("render the step {}", self.step.name), e).on(self.node))
    }

    fn failure(&self, exit: Exit, log: &StepLog) -> Error {
        let code = match exit {
            Exit::Code(code) => format!("it ended with exit code {code}"),
            Exit::Unknown => "it ended without an exit code: killed, or the node was restarted".to_owned(),
        };
        let tail = log.tail();
        let why = if tail.is_empty() { code } else { format!("{code}; its last lines:\n{tail}") };
        self.explained(&why, log.path())
    }

    fn explained(&self, why: &str, log: &Path) -> Error {
        let mut hint = self.step.hint.as_ref().map(|h| format!("{h}\n  ")).unwrap_or_default();
        hint += &format!("the whole log: {}", log.display());
        Error::failed(format!("run the step {}", self.step.name), why).on(self.node).hint(hint)
    }
}
