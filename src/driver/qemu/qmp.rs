//! QEMU's machine protocol: one JSON object per line over a unix socket. What we need of it, by hand.

use crate::driver::Forward;
use serde_json::{Value, json};
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::time::timeout;

/// The longest line that is read; QEMU's longest answers to our questions have some kilobytes.
const MAX_LINE: u64 = 1 << 20;

/// A negotiated conversation. QEMU talks to one at a time, so it is kept short.
pub struct Qmp {
    read: BufReader<OwnedReadHalf>,
    write: OwnedWriteHalf,
    limit: Duration,
}

impl Qmp {
    /// Connects and negotiates. `limit` holds for this and for each answer: QEMU answers late when the host is busy or
    /// somebody else talks to it.
    pub async fn connect(socket: &Path, limit: Duration) -> io::Result<Self> {
        Self::over(within(limit, UnixStream::connect(socket)).await?, limit).await
    }

    /// The same over a connection that is there.
    pub async fn over(stream: UnixStream, limit: Duration) -> io::Result<Self> {
        let (read, write) = stream.into_split();
        let mut qmp = Self { read: BufReader::new(read), write, limit };
        let greeting = within(limit, qmp.line()).await?;
        if greeting.get("QMP").is_none() {
            return Err(protocol("QEMU did not greet"));
        }
        qmp.execute("qmp_capabilities", json!({})).await?;
        Ok(qmp)
    }

    /// Runs a command and returns its answer; events in between are passed over.
    pub async fn execute(&mut self, command: &str, arguments: Value) -> io::Result<Value> {
        let limit = self.limit;
        within(limit, async {
            let mut line = json!({"execute": command, "arguments": arguments}).to_string();
            line.push('\n');
            self.write.write_all(line.as_bytes()).await?;
            loop {
                let mut answer = self.line().await?;
                if let Some(error) = answer.get("error") {
                    let why = error.get("desc").and_then(Value::as_str).unwrap_or("no reason given");
                    return Err(io::Error::other(format!("QEMU refused {command}: {why}")));
                }
                if let Some(value) = answer.get_mut("return") {
                    return Ok(value.take());
                }
            }
        })
        .await
    }

    /// Asks the guest to power off, as by its button.
    pub async fn power_down(&mut self) -> io::Result<()> {
        self.execute("system_powerdown", json!({})).await.map(drop)
    }

    /// The address on the host whose connections go to the guest's SSH port.
    pub async fn ssh_address(&mut self) -> io::Result<SocketAddr> {
        let table = self.execute("human-monitor-command", json!({"command-line": "info usernet"})).await?;
        let table = table.as_str().unwrap_or_default();
        forwarded(table, 22).ok_or_else(|| protocol(&format!("QEMU names no forward to port 22: {table}")))
    }

    /// Lets QEMU listen on 127.0.0.1 for a port of the guest; one that does already is left.
    pub async fn forward(&mut self, forward: Forward) -> io::Result<()> {
        let Forward { host, guest } = forward;
        let table = self.execute("human-monitor-command", json!({"command-line": "info usernet"})).await?;
        let there = |table: &str| forwards(table).any(|(address, to)| address.port() == host && to == guest);
        if there(table.as_str().unwrap_or_default()) {
            return Ok(());
        }
        let command = format!("hostfwd_add tcp:127.0.0.1:{host}-:{guest}");
        let said = self.execute("human-monitor-command", json!({"command-line": command})).await?;
        match said.as_str().map(str::trim).unwrap_or_default() {
            "" => Ok(()),
            why => Err(io::Error::new(io::ErrorKind::AddrInUse, why.to_owned())),
        }
    }

    async fn line(&mut self) -> io::Result<Value> {
        let mut line = Vec::new();
        let n = (&mut self.read).take(MAX_LINE).read_until(b'\n', &mut line).await?;
        if n == 0 {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "QEMU ended the conversation"));
        }
        if !line.ends_with(b"\n") {
            return Err(protocol("QEMU's answer has no end"));
        }
        serde_json::from_slice(&line).map_err(|e| protocol(&format!("QEMU's answer is no JSON: {e}")))
    }
}

async fn within<T>(limit: Duration, work: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    timeout(limit, work).await.unwrap_or_else(|_| {
        Err(io::Error::new(io::ErrorKind::TimedOut, format!("QEMU did not answer in {} s", limit.as_secs())))
    })
}

fn protocol(why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why.to_owned())
}

/// Reads `info usernet`: a line is "TCP[HOST_FORWARD]  FD  HOST-ADDRESS HOST-PORT  GUEST-ADDRESS GUEST-PORT ...".
fn forwarded(table: &str, guest_port: u16) -> Option<SocketAddr> {
    forwards(table).find(|(_, to)| *to == guest_port).map(|(address, _)| address)
}

/// All forwards of the table: where the host listens, and the guest's port.
fn forwards(table: &str) -> impl Iterator<Item = (SocketAddr, u16)> {
    table.lines().filter_map(|line| {
        let mut fields = line.split_whitespace();
        if fields.next()? != "TCP[HOST_FORWARD]" {
            return None;
        }
        let address: Ipv4Addr = fields.nth(1)?.parse().ok()?;
        let port: u16 = fields.next()?.parse().ok()?;
        let to: u16 = fields.nth(1)?.parse().ok()?;
        (port != 0).then(|| (SocketAddr::from((address, port)), to))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::net::UnixListener;

    const GREETING: &str = "{\"QMP\": {\"version\": {}, \"capabilities\": []}}\n";

    /// A QEMU that sends these lines, one per line that it reads after the first.
    async fn talk(answers: Vec<String>) -> io::Result<Qmp> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("qmp");
        let listener = UnixListener::bind(&path).unwrap();
        tokio::spawn(async move {
            let (stream, _) = listener.accept().await.unwrap();
            let (read, mut write) = stream.into_split();
            let mut read = BufReader::new(read);
            for answer in answers {
                if write.write_all(answer.as_bytes()).await.is_err() {
                    return;
                }
                let _ = read.read_line(&mut String::new()).await;
            }
        });
        Qmp::connect(&path, Duration::from_secs(5)).await
    }

    fn ok(value: &str) -> String {
        format!("{{\"return\": {value}}}\n")
    }

    #[tokio::test]
    async fn events_are_passed_over_and_refusals_are_said() {
        let event = "{\"event\": \"POWERDOWN\", \"timestamp\": {}}\n";
        let refusal = "{\"error\": {\"class\": \"GenericError\", \"desc\": \"not now\"}}\n";
        let usernet = "\"Hub -1 (eth0):\\r\\n  TCP[HOST_FORWARD]  14       127.0.0.1 41017       10.0.2.15    22     0     0\\r\\n\"";
        let answers = vec![GREETING.into(), ok("{}"), format!("{event}{}", ok("{}")), refusal.into(), ok(usernet)];
        let mut qmp = talk(answers).await.unwrap();
        qmp.power_down().await.unwrap();
        assert!(qmp.power_down().await.unwrap_err().to_string().contains("not now"));
        assert_eq!(qmp.ssh_address().await.unwrap(), "127.0.0.1:41017".parse().unwrap());
        assert_eq!(qmp.power_down().await.unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
    }

    #[tokio::test]
    async fn hostile_answers_end_the_conversation() {
        assert!(talk(vec!["hello\n".into()]).await.is_err());
        assert!(talk(vec!["{}\n".into()]).await.is_err());
        let endless = format!("{}{}", GREETING, "x".repeat(3 << 20));
        assert!(talk(vec![endless]).await.is_err());
    }

    #[test]
    fn the_forward_is_found_among_other_lines() {
        let table = "Hub -1 (eth0):\n  Protocol[State]    FD  Source Address  Port   Dest. Address  Port RecvQ SendQ\n  \
                     TCP[ESTABLISHED]   20       127.0.0.1 40000       10.0.2.15    22     0     0\n  \
                     TCP[HOST_FORWARD]  12       127.0.0.1 40001       10.0.2.15    80     0     0\n  \
                     TCP[HOST_FORWARD]  13       127.0.0.1 40002       10.0.2.15    22     0     0\n";
        assert_eq!(forwarded(table, 22), Some("127.0.0.1:40002".parse().unwrap()));
        assert_eq!(forwarded("TCP[HOST_FORWARD] 1 2", 22), None);
    }
}
