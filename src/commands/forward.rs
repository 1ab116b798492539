//! `lab forward`: ports of this host that lead to a node, or through it to anything that it reaches.

use super::reach::{self, AnyRemote};
use crate::cli;
use crate::error::{Context, Error, Result};
use crate::event::Reporter;
use crate::paths::Paths;
use std::fmt;
use std::io::Write;
use std::sync::Arc;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// What the node is asked for where only a port is named.
const ITSELF: &str = "127.0.0.1";

/// One forward as the user writes it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Wish {
    /// None for any free one.
    local: Option<u16>,
    host: String,
    port: u16,
}

/// Listens until the user ends it.
pub async fn forward(args: cli::Forward, paths: &Paths, reporter: &Reporter) -> Result<()> {
    let wishes: Vec<Wish> = args.ports.iter().map(|text| parse(text)).collect::<Result<_>>()?;
    let node = reach::running(&args.node, args.lab.as_deref(), paths).await?;
    let session = Arc::new(node.login().await?);
    let mut serving = JoinSet::new();
    for wish in wishes {
        let local = wish.local.unwrap_or(0);
        let listener = TcpListener::bind(("127.0.0.1", local)).await.map_err(|e| {
            let hint = format!("any free port: lab forward {} :{}", args.node, wish);
            Error::failed(format!("listen on 127.0.0.1:{local}"), e).hint(hint)
        })?;
        let address = listener.local_addr().context(|| "listen")?;
        let mut out = std::io::stdout();
        // A reader that went away does not end the forward.
        let _ = writeln!(out, "{address} -> {}, {}:{}", args.node, wish.host, wish.port).and_then(|()| out.flush());
        serving.spawn(serve(listener, session.clone(), wish, reporter.clone()));
    }
    match serving.join_next().await {
        Some(ended) => ended.context(|| "forward")?,
        None => Ok(()),
    }
}

async fn serve(listener: TcpListener, session: Arc<AnyRemote>, wish: Wish, reporter: Reporter) -> Result<()> {
    loop {
        let (stream, _) = listener.accept().await.context(|| "take a connection")?;
        let (session, wish, reporter) = (session.clone(), wish.clone(), reporter.clone());
        tokio::spawn(async move {
            if let Err(error) = carry(stream, &session, &wish).await {
                reporter.note(error.to_string());
            }
        });
    }
}

async fn carry(mut here: TcpStream, session: &AnyRemote, wish: &Wish) -> Result<()> {
    match session {
        AnyRemote::Ssh(session) => {
            let mut there = session.connect(&wish.host, wish.port).await?;
            // Either side may break off; that is theirs.
            let _ = copy_bidirectional(&mut here, &mut there).await;
        }
        AnyRemote::Fake(_) => {
            let what = || format!("connect to {}:{}", wish.host, wish.port);
            let mut there = TcpStream::connect((wish.host.as_str(), wish.port)).await.context(what)?;
            let _ = copy_bidirectional(&mut here, &mut there).await;
        }
    }
    Ok(())
}

impl fmt::Display for Wish {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host == ITSELF { write!(f, "{}", self.port) } else { write!(f, "{}:{}", self.host, self.port) }
    }
}

/// Reads `[LOCAL:][HOST:]PORT`; an empty LOCAL is any free port.
fn parse(text: &str) -> Result<Wish> {
    let wrong = || {
        Error::input(format!("forward `{text}`"), "a forward is written [LOCAL:][HOST:]PORT")
            .hint("80, 8080:80, :80, 10.96.0.10:80 or 8080:10.96.0.10:80")
    };
    let number = |text: &str| text.parse::<u16>().ok().filter(|p| *p != 0);
    let (rest, port) = text.rsplit_once(':').map_or((None, text), |(rest, port)| (Some(rest), port));
    let port = number(port).ok_or_else(wrong)?;
    let digits = |text: &str| !text.is_empty() && text.chars().all(|c| c.is_ascii_digit());
    let (local, host) = match rest {
        None => (Some(port), ITSELF),
        Some("") => (None, ITSELF),
        Some(rest) if digits(rest) => (Some(number(rest).ok_or_else(wrong)?), ITSELF),
        Some(rest) => match rest.split_once(':') {
            Some(("", host)) if !host.contains(':') || host.starts_with('[') => (None, host),
            Some((local, host)) if digits(local) => (Some(number(local).ok_or_else(wrong)?), host),
            Some(_) if !rest.starts_with('[') => return Err(wrong()),
            _ => (Some(port), rest),
        },
    };
    let host = host.strip_prefix('[').and_then(|h| h.strip_suffix(']')).unwrap_or(host);
    if host.is_empty() || host.contains(char::is_whitespace) {
        return Err(wrong());
    }
    Ok(Wish { local, host: host.to_owned(), port })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wishes_are_read() {
        let wish = |local: Option<u16>, host: &str, port| Wish { local, host: host.into(), port };
        for (text, expected) in [
            ("80", wish(Some(80), ITSELF, 80)),
            (":80", wish(None, ITSELF, 80)),
            ("8080:80", wish(Some(8080), ITSELF, 80)),
            ("10.96.0.10:53", wish(Some(53), "10.96.0.10", 53)),
            ("8080:10.96.0.10:80", wish(Some(8080), "10.96.0.10", 80)),
            (":10.96.0.10:80", wish(None, "10.96.0.10", 80)),
            ("8080:[::1]:80", wish(Some(8080), "::1", 80)),
            ("[::1]:80", wish(Some(80), "::1", 80)),
        ] {
            assert_eq!(parse(text).unwrap(), expected, "{text}");
        }
        for bad in ["", "x", "0", "70000", "a:b:80", "8080:", "8080::80", "70000:80"] {
            assert_eq!(parse(bad).unwrap_err().exit_code(), 2, "{bad}");
        }
    }
}
