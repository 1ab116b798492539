//! A shell or a command with the user's own terminal or pipes.

use super::{Exit, Session};
use crate::error::{Context, Error, Result};
use russh::{ChannelMsg, ChannelWriteHalf, client};
use rustix::termios::{OptionalActions, Termios, tcgetattr, tcgetwinsize, tcsetattr};
use std::io::IsTerminal;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::signal::unix::{SignalKind, signal};

/// Restores the terminal when it goes, on every way out.
struct Raw(Termios);

impl Raw {
    fn enter() -> Result<Self> {
        let what = || "set the terminal to raw mode".to_owned();
        let before = tcgetattr(std::io::stdin()).context(what)?;
        let mut raw = before.clone();
        raw.make_raw();
        tcsetattr(std::io::stdin(), OptionalActions::Now, &raw).context(what)?;
        Ok(Self(before))
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        // Nothing more can be done when the terminal is gone.
        let _ = tcsetattr(std::io::stdin(), OptionalActions::Now, &self.0);
    }
}

impl Session {
    /// Runs a shell (`None`) or a command with our stdin, stdout and stderr; a terminal gets a PTY that follows its
    /// size. Returns how it ended.
    ///
    /// # Errors
    /// The node cannot be reached or the terminal not be set.
    pub async fn interactive(&self, command: Option<&str>) -> Result<Exit> {
        let lost = |e: russh::Error| Error::failed("open a shell", e);
        let (mut reader, writer) = self.channel().await?.split();
        let terminal = command.is_none() && std::io::stdin().is_terminal();
        let _raw = if terminal {
            let (columns, rows) = size();
            let name = std::env::var("TERM").unwrap_or_else(|_| "xterm".into());
            writer.request_pty(true, &name, columns, rows, 0, 0, &[]).await.map_err(lost)?;
            Some(Raw::enter()?)
        } else {
            None
        };
        match command {
            Some(command) => writer.exec(true, command).await.map_err(lost)?,
            None => writer.request_shell(true).await.map_err(lost)?,
        }
        let pump = tokio::spawn(pump(writer, terminal));
        let (mut out, mut err) = (tokio::io::stdout(), tokio::io::stderr());
        let mut exit = Exit::Unknown;
        while let Some(message) = reader.wait().await {
            let written = match message {
                ChannelMsg::Data { data } => write(&mut out, &data).await,
                ChannelMsg::ExtendedData { data, .. } => write(&mut err, &data).await,
                ChannelMsg::ExitStatus { exit_status } => {
                    exit = Exit::Code(exit_status);
                    Ok(())
                }
                _ => Ok(()),
            };
            if written.is_err() {
                break;
            }
        }
        pump.abort();
        Ok(exit)
    }
}

async fn write(to: &mut (impl AsyncWriteExt + Unpin), data: &[u8]) -> std::io::Result<()> {
    to.write_all(data).await?;
    to.flush().await
}

fn size() -> (u32, u32) {
    tcgetwinsize(std::io::stdin()).map_or((80, 24), |s| (u32::from(s.ws_col), u32::from(s.ws_row)))
}

/// Hands on what is typed and how large the window is.
async fn pump(writer: ChannelWriteHalf<client::Msg>, terminal: bool) {
    let Ok(mut resized) = signal(SignalKind::window_change()) else { return };
    let mut stdin = tokio::io::stdin();
    let mut buffer = vec![0; 16 << 10];
    loop {
        tokio::select! {
            read = stdin.read(&mut buffer) => match read {
                Ok(n) if n > 0 => {
                    if writer.data(&buffer[..n]).await.is_err() {
                        return;
                    }
                }
                _ => {
                    // The remote may be gone already; then there is nobody to tell.
                    let _ = writer.eof().await;
                    return;
                }
            },
            _ = resized.recv(), if terminal => {
                let (columns, rows) = size();
                if writer.window_change(columns, rows, 0, 0).await.is_err() {
                    return;
                }
            }
        }
    }
}
