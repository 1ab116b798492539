//! A shell or a command with the user's own terminal or pipes.

use super::terminal::{Raw, size};
use super::{Exit, Session, channel};
use crate::error::{Context, Error, Kind, Result};
use russh::ChannelMsg;
use std::future::Future;
use std::io::{ErrorKind, IsTerminal};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc::{Receiver, channel as queue};

/// What a command ends with whose reader went away: 128 and the number of SIGPIPE.
const READER_GONE: u32 = 141;

/// Our side of a shell or a command.
struct Local<I, O, E> {
    input: I,
    output: O,
    errors: E,
    /// The terminal's sizes, the first one first; None without a terminal.
    sizes: Option<Receiver<(u32, u32)>>,
}

impl Session {
    /// Runs a shell (`None`) or a command with our stdin, stdout and stderr; a shell on a terminal, and a command where
    /// `tty` says so, gets a PTY that follows its size. Returns how it ended.
    ///
    /// # Errors
    /// The node cannot be reached, the terminal not be set, or a signal ended the wait.
    pub async fn interactive(&self, command: Option<&str>, tty: bool) -> Result<Exit> {
        let terminal = (command.is_none() || tty) && std::io::stdin().is_terminal();
        let sizes = if terminal { Some(sizes()?) } else { None };
        let interrupted = interrupted()?;
        // Its Drop ends the raw mode, whichever way this function ends.
        let _raw = if terminal { Some(Raw::enter(std::io::stdin())?) } else { None };
        let (input, output, errors) = (tokio::io::stdin(), tokio::io::stdout(), tokio::io::stderr());
        self.attach(command, Local { input, output, errors, sizes }, interrupted).await
    }

    /// Runs a command with these streams, which may be longer than memory. A reader of the output that went away ends it
    /// as SIGPIPE would.
    ///
    /// # Errors
    /// The node cannot be reached. A command that fails is an [`Exit`].
    pub async fn pipe(
        &self,
        command: &str,
        input: impl AsyncRead + Unpin,
        output: impl AsyncWrite + Unpin,
        errors: impl AsyncWrite + Unpin,
    ) -> Result<Exit> {
        self.attach(Some(command), Local { input, output, errors, sizes: None }, std::future::pending()).await
    }

    async fn attach<I: AsyncRead + Unpin, O: AsyncWrite + Unpin, E: AsyncWrite + Unpin>(
        &self,
        command: Option<&str>,
        mut local: Local<I, O, E>,
        interrupted: impl Future<Output = ()>,
    ) -> Result<Exit> {
        let what = if command.is_some() { "run the command" } else { "open a shell" };
        let lost = |e: russh::Error| Error::failed(what, e).on(self.node());
        let (mut reader, writer) = self.channel().await?;
        if let Some(sizes) = &mut local.sizes {
            let name = std::env::var("TERM").unwrap_or_else(|_| "xterm".into());
            let (columns, rows) = sizes.recv().await.unwrap_or((80, 24));
            writer.request_pty(true, &name, columns, rows, 0, 0, &[]).await.map_err(lost)?;
        }
        match command {
            Some(command) => writer.exec(true, command).await.map_err(lost)?,
            None => writer.request_shell(true).await.map_err(lost)?,
        }
        let show = async {
            let mut exit = Exit::Unknown;
            while let Some(message) = reader.wait().await {
                let written = match message {
                    ChannelMsg::Data { data } => write(&mut local.output, &data).await,
                    ChannelMsg::ExtendedData { data, .. } => write(&mut local.errors, &data).await,
                    ChannelMsg::Failure => return Err(Error::failed(what, "the SSH server refused it").on(self.node())),
                    ChannelMsg::ExitStatus { exit_status } => {
                        exit = Exit::Code(exit_status);
                        Ok(())
                    }
                    _ => Ok(()),
                };
                match written {
                    Err(e) if e.kind() == ErrorKind::BrokenPipe => return Ok(Exit::Code(READER_GONE)),
                    written => written.context(|| "show what the node says".to_owned())?,
                }
            }
            Ok(exit)
        };
        tokio::select! {
            exit = show => exit,
            never = feed(&writer, &mut local.input) => never,
            never = follow(&writer, local.sizes) => never,
            () = interrupted => Err(Error::new(Kind::Interrupted, what, "interrupted").on(self.node())),
        }
    }
}

async fn write(to: &mut (impl AsyncWrite + Unpin), data: &[u8]) -> std::io::Result<()> {
    to.write_all(data).await?;
    to.flush().await
}

/// Hands on what is typed or piped in, then its end; the node's answer to that ends the whole.
async fn feed<T>(writer: &channel::Writer, input: &mut (impl AsyncRead + Unpin)) -> T {
    let mut buffer = vec![0; 16 << 10];
    // The remote may have stopped reading; then there is nobody to tell.
    while let Ok(n @ 1..) = input.read(&mut buffer).await
        && writer.data(&buffer[..n]).await.is_ok()
    {}
    let _ = writer.eof().await;
    std::future::pending().await
}

/// Tells the node each new size.
async fn follow<T>(writer: &channel::Writer, sizes: Option<Receiver<(u32, u32)>>) -> T {
    if let Some(mut sizes) = sizes {
        while let Some((columns, rows)) = sizes.recv().await {
            let _ = writer.window_change(columns, rows, 0, 0).await;
        }
    }
    std::future::pending().await
}

/// Our terminal's size now and at each change.
fn sizes() -> Result<Receiver<(u32, u32)>> {
    let mut resized = signal(SignalKind::window_change()).context(|| "follow the window's size".to_owned())?;
    let (sender, receiver) = queue(1);
    tokio::spawn(async move {
        while sender.send(size(std::io::stdin())).await.is_ok() && resized.recv().await.is_some() {}
    });
    Ok(receiver)
}

/// Ends at a signal that would end the process, so that the terminal is put right first.
fn interrupted() -> Result<impl Future<Output = ()>> {
    let what = || "listen for signals".to_owned();
    let mut interrupt = signal(SignalKind::interrupt()).context(what)?;
    let mut terminate = signal(SignalKind::terminate()).context(what)?;
    let mut hangup = signal(SignalKind::hangup()).context(what)?;
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = hangup.recv() => {}
        }
    })
}

#[cfg(test)]
#[path = "shell_tests.rs"]
mod tests;
