//! Forwards as the user writes them.

use crate::error::{Error, Result};
use crate::observe::Target;

/// What the node is asked for where only a port is named.
pub const ITSELF: &str = "127.0.0.1";

/// One forward as the user writes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wish {
    pub local: Local,
    pub to: To,
}

/// The port of this host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Local {
    /// The same number as there.
    Same,
    /// Any free one.
    Any,
    Port(u16),
}

/// Where connections go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum To {
    Address {
        host: String,
        port: u16,
    },
    /// What the cluster knows by a name.
    Named(Target),
}

/// Reads `[LOCAL:][HOST:]PORT` and `[LOCAL:]KIND/NAME[:PORT]`; an empty LOCAL is any free port.
///
/// # Errors
/// It is neither.
pub fn parse(text: &str) -> Result<Wish> {
    let wrong = || {
        Error::input(format!("forward `{text}`"), "a forward is written [LOCAL:][HOST:]PORT or [LOCAL:]service/NAME")
            .hint("80, 8080:80, :80, 10.96.0.10:80, 8080:10.96.0.10:80, 8080:service/webpod or :pod/curl-pod:80")
    };
    if let Some((local, name)) = split_name(text) {
        let local = match local {
            None => Local::Same,
            Some("") => Local::Any,
            Some(local) => Local::Port(number(local).ok_or_else(wrong)?),
        };
        return Ok(Wish { local, to: To::Named(Target::parse(name)?) });
    }
    let (rest, port) = text.rsplit_once(':').map_or((None, text), |(rest, port)| (Some(rest), port));
    let port = number(port).ok_or_else(wrong)?;
    let digits = |text: &str| !text.is_empty() && text.chars().all(|c| c.is_ascii_digit());
    let (local, host) = match rest {
        None => (Local::Same, ITSELF),
        Some("") => (Local::Any, ITSELF),
        Some(rest) if digits(rest) => (Local::Port(number(rest).ok_or_else(wrong)?), ITSELF),
        Some(rest) => match rest.split_once(':') {
            Some(("", host)) if !host.contains(':') || host.starts_with('[') => (Local::Any, host),
            Some((local, host)) if digits(local) => (Local::Port(number(local).ok_or_else(wrong)?), host),
            Some(_) if !rest.starts_with('[') => return Err(wrong()),
            _ => (Local::Same, rest),
        },
    };
    let host = host.strip_prefix('[').and_then(|h| h.strip_suffix(']')).unwrap_or(host);
    if host.is_empty() || host.contains(char::is_whitespace) {
        return Err(wrong());
    }
    Ok(Wish { local, to: To::Address { host: host.to_owned(), port } })
}

/// The same forward, from any free port.
pub fn anywhere(text: &str) -> String {
    let rest = match split_name(text) {
        Some((_, name)) => name,
        // The local port is what stands before the first colon, where it is a number and something follows.
        None => match text.split_once(':') {
            Some((local, rest)) if local.is_empty() || number(local).is_some() => rest,
            _ => text,
        },
    };
    format!(":{rest}")
}

/// LOCAL and the name, where there is one: only names have a `/`.
fn split_name(text: &str) -> Option<(Option<&str>, &str)> {
    match text.split_once(':') {
        Some((local, name)) if !local.contains('/') && name.contains('/') => Some((Some(local), name)),
        _ => text.contains('/').then_some((None, text)),
    }
}

fn number(text: &str) -> Option<u16> {
    text.parse::<u16>().ok().filter(|p| *p != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wishes_are_read() {
        let wish = |local, host: &str, port| Wish { local, to: To::Address { host: host.into(), port } };
        for (text, expected) in [
            ("80", wish(Local::Same, ITSELF, 80)),
            (":80", wish(Local::Any, ITSELF, 80)),
            ("8080:80", wish(Local::Port(8080), ITSELF, 80)),
            ("10.96.0.10:53", wish(Local::Same, "10.96.0.10", 53)),
            ("8080:10.96.0.10:80", wish(Local::Port(8080), "10.96.0.10", 80)),
            (":10.96.0.10:80", wish(Local::Any, "10.96.0.10", 80)),
            ("8080:[::1]:80", wish(Local::Port(8080), "::1", 80)),
            ("[::1]:80", wish(Local::Same, "::1", 80)),
        ] {
            assert_eq!(parse(text).unwrap(), expected, "{text}");
        }
        for bad in ["", "x", "0", "70000", "a:b:80", "8080:", "8080::80", "70000:80", "x:service/webpod:80"] {
            assert_eq!(parse(bad).unwrap_err().exit_code(), 2, "{bad}");
        }
    }

    #[test]
    fn names_are_read_with_and_without_a_local_port() {
        let wish = |local, name: &str| Wish { local, to: To::Named(Target::parse(name).unwrap()) };
        for (text, expected) in [
            ("8080:service/default/webpod:80", wish(Local::Port(8080), "service/default/webpod:80")),
            (":svc/webpod", wish(Local::Any, "service/webpod")),
            ("service/webpod:80", wish(Local::Same, "service/webpod:80")),
            ("8080:pod/curl-pod:80", wish(Local::Port(8080), "pod/curl-pod:80")),
        ] {
            assert_eq!(parse(text).unwrap(), expected, "{text}");
        }
    }

    #[test]
    fn the_same_from_any_free_port() {
        for (text, expected) in [
            ("80", ":80"),
            ("8080:80", ":80"),
            ("10.96.0.10:80", ":10.96.0.10:80"),
            ("80:10.96.0.10:80", ":10.96.0.10:80"),
            ("80:service/webpod:80", ":service/webpod:80"),
            ("service/webpod", ":service/webpod"),
        ] {
            assert_eq!(anywhere(text), expected);
            assert_eq!(parse(expected).unwrap().local, Local::Any);
        }
    }
}
