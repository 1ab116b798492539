//! The one shape of everything that goes wrong: what was tried, on which node, why it failed, what to do now.

use std::fmt;

/// What kind of failure it is; decides the process's exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The user's input is wrong: lab file, arguments, names. Exit code 2.
    Input,
    /// The host lacks something; nothing was changed. Exit code 3.
    Host,
    /// Something that was tried failed: a step, a node, a build. Exit code 1.
    Failed,
    /// The user interrupted. Exit code 130.
    Interrupted,
}

/// A failure that reaches the user.
#[derive(Debug, Clone)]
pub struct Error {
    /// What kind of failure it is.
    pub kind: Kind,
    /// What was tried, as "start node n1".
    pub what: String,
    /// The node it was tried on, if one.
    pub node: Option<String>,
    /// Why it failed. May have several lines.
    pub why: String,
    /// What to do now: a sentence or a command that can be pasted.
    pub hint: Option<String>,
}

impl Error {
    /// A failure of something that was tried.
    pub fn failed(what: impl Into<String>, why: impl fmt::Display) -> Self {
        Self::new(Kind::Failed, what, why)
    }

    /// A mistake in what the user gave.
    pub fn input(what: impl Into<String>, why: impl fmt::Display) -> Self {
        Self::new(Kind::Input, what, why)
    }

    /// Something the host lacks.
    pub fn host(what: impl Into<String>, why: impl fmt::Display) -> Self {
        Self::new(Kind::Host, what, why)
    }

    /// A failure of the given kind.
    pub fn new(kind: Kind, what: impl Into<String>, why: impl fmt::Display) -> Self {
        Self { kind, what: what.into(), node: None, why: why.to_string(), hint: None }
    }

    /// The same failure, on this node.
    pub fn on(mut self, node: impl Into<String>) -> Self {
        self.node = Some(node.into());
        self
    }

    /// The same failure, with what to do now.
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The exit code of a process that ends with this failure.
    pub fn exit_code(&self) -> u8 {
        match self.kind {
            Kind::Failed => 1,
            Kind::Input => 2,
            Kind::Host => 3,
            Kind::Interrupted => 130,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot {}", self.what)?;
        if let Some(node) = &self.node {
            write!(f, " on {node}")?;
        }
        write!(f, ": {}", self.why)?;
        if let Some(hint) = &self.hint {
            write!(f, "\n  hint: {hint}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Error {}

/// The result of anything that can fail towards the user.
pub type Result<T> = std::result::Result<T, Error>;

/// Adds "what was tried" to any error that can be shown.
pub trait Context<T> {
    /// Turns the error into [`Error`] of kind `Failed`; `what` is only made when needed.
    fn context<S: Into<String>>(self, what: impl FnOnce() -> S) -> Result<T>;
}

impl<T, E: fmt::Display> Context<T> for std::result::Result<T, E> {
    fn context<S: Into<String>>(self, what: impl FnOnce() -> S) -> Result<T> {
        self.map_err(|e| Error::failed(what(), e))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_what_where_why_and_what_to_do() {
        let e = Error::failed("start the node", "qemu exited with 1").on("n1").hint("see serial.log");
        assert_eq!(e.to_string(), "cannot start the node on n1: qemu exited with 1\n  hint: see serial.log");
        assert_eq!(e.exit_code(), 1);
    }

    #[test]
    fn kinds_have_their_exit_codes() {
        let code = |kind| Error::new(kind, "x", "y").exit_code();
        assert_eq!([Kind::Failed, Kind::Input, Kind::Host, Kind::Interrupted].map(code), [1, 2, 3, 130]);
    }
}
