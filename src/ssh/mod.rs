//! Running commands on nodes. [`Remote`] is what the executor knows; russh stays inside this room.

mod channel;
mod dial;
mod keys;
mod session;
mod shell;
mod terminal;

pub use keys::KeyPair;
pub use session::{Session, Target};

use crate::error::Result;
use crate::event::Stream;
use std::future::Future;

/// How a remote command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// With this exit code.
    Code(u32),
    /// The channel ended and nobody said how the command did: the connection broke, or a signal killed it. Never a
    /// success.
    Unknown,
}

impl Exit {
    /// Whether the command is known to have succeeded.
    pub fn ok(self) -> bool {
        self == Self::Code(0)
    }

    /// For people: "exit code 3".
    pub fn in_words(self) -> String {
        match self {
            Self::Code(code) => format!("exit code {code}"),
            Self::Unknown => "it ended without an exit code".to_owned(),
        }
    }
}

/// Takes output as it comes.
pub type Sink<'a> = &'a mut (dyn FnMut(Stream, &[u8]) + Send);

/// A node that commands can be run on.
pub trait Remote: Send + Sync {
    /// Runs `command` by the login shell with `stdin` as its input, handing output to `sink` as it comes.
    ///
    /// # Errors
    /// The node cannot be reached. A command that fails is an [`Exit`], not an error.
    fn exec(&self, command: &str, stdin: &[u8], sink: Sink<'_>) -> impl Future<Output = Result<Exit>> + Send;

    /// Asks the node for a sign of life and ends when there is one: an answer, or the output of a command. Ends too when
    /// the session broke, which its commands notice by themselves. A node that hangs lets it wait for ever.
    fn alive(&self) -> impl Future<Output = ()> + Send;
}

#[cfg(test)]
#[path = "server_tests.rs"]
mod server;
