//! What happens in a run, as data. The only way out of a run: rooms below `commands` never print.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Which of a script's two outputs a line came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Stream {
    Out,
    Err,
}

/// One thing that happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// A task began. `task` is its identifier in the plan, `title` is for people.
    Started { task: String, node: Option<String>, title: String },
    /// A task says where it is: "kube-apiserver (3 of 15)".
    Progress { task: String, message: String },
    /// A line of a script's output, secrets masked.
    Line { task: String, node: Option<String>, stream: Stream, line: String },
    /// A task ended well. `millis` is wall time.
    Finished { task: String, node: Option<String>, title: String, millis: u64 },
    /// A task had nothing to do, and why.
    Skipped { task: String, node: Option<String>, title: String, why: String },
    /// A task failed; the whole message.
    Failed { task: String, node: Option<String>, title: String, why: String },
    /// What tasks took in earlier runs here, in milliseconds by task, and the whole of what runs now.
    Expected { tasks: BTreeMap<String, u64>, whole: u64 },
    /// Something the user should read, not bound to a task.
    Note { message: String },
}

/// Where events go. Cheap to clone; calling it never blocks for long.
#[derive(Clone)]
pub struct Reporter(Arc<dyn Fn(Event) + Send + Sync>);

impl Reporter {
    /// A reporter that calls `f` for each event.
    pub fn new(f: impl Fn(Event) + Send + Sync + 'static) -> Self {
        Self(Arc::new(f))
    }

    /// A reporter that forgets everything, for tests and silent verbs.
    pub fn silent() -> Self {
        Self::new(|_| {})
    }

    /// Hands one event out.
    pub fn send(&self, event: Event) {
        (self.0)(event)
    }

    /// Shorthand for [`Event::Progress`].
    pub fn progress(&self, task: &str, message: impl Into<String>) {
        self.send(Event::Progress { task: task.into(), message: message.into() })
    }

    /// Shorthand for [`Event::Note`].
    pub fn note(&self, message: impl Into<String>) {
        self.send(Event::Note { message: message.into() })
    }
}
