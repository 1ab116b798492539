//! Files of a cluster that the lab file exports, as programs on the host can use them: an address of the node inside
//! becomes the port that the host forwards to it.

use super::reach;
use crate::driver::{Driver, Forward};
use crate::error::{Context, Error, Result};
use crate::executor::collect;
use crate::lab::model::{Export, Node};
use crate::network::port;
use crate::paths::Paths;
use crate::state::record::LabRecord;
use crate::state::write::atomically;
use crate::template::quote;
use std::net::TcpStream;
use std::path::PathBuf;
use std::time::Duration;

/// How long a port of 127.0.0.1 may take to answer.
const ANSWER: Duration = Duration::from_secs(2);

/// Gives every exported port one of the host for the lab's life.
pub fn reserve(record: &mut LabRecord, paths: &Paths) -> Result<()> {
    for export in record.lab.exports.values() {
        let Some(guest) = export.port else { continue };
        let taken: Vec<u16> = record.forwards.values().flatten().map(|f| f.host).collect();
        let of_node = record.forwards.entry(export.node.clone()).or_default();
        if !of_node.iter().any(|f| f.guest == guest) {
            let dir = paths.lab(&record.lab.name);
            let words = [&*dir.to_string_lossy(), &export.node, &guest.to_string()];
            of_node.push(Forward { host: port::reserve(&words, &taken)?, guest });
        }
    }
    Ok(())
}

/// The export of this name.
pub fn find<'a>(record: &'a LabRecord, name: &str) -> Result<&'a Export> {
    record.lab.exports.get(name).ok_or_else(|| {
        let all: Vec<&str> = record.lab.exports.keys().map(String::as_str).collect();
        let why = match all.as_slice() {
            [] => "the lab file exports nothing".to_owned(),
            all => format!("the lab file exports {}", all.join(", ")),
        };
        Error::input(format!("find the export {name} of {}", record.lab.name), why)
    })
}

/// Reads an exported file from its node, made to fit the host.
pub async fn fetch(record: &LabRecord, name: &str, paths: &Paths) -> Result<String> {
    let export = find(record, name)?;
    let what = || format!("read {} ({name})", export.path);
    let running = reach::running_in(record.clone(), &export.node, paths).await?;
    let forwards = record.forwards.get(&export.node).into_iter().flatten();
    let forward = forwards.copied().find(|f| Some(f.guest) == export.port);
    if let Some(forward) = forward {
        let hint = format!("what has the port: ss -ltnp sport = :{}; end it and try again", forward.host);
        running.driver().forward(&running.place, forward).await.map_err(|e| e.hint(hint))?;
    }
    let session = running.login().await?;
    let read = format!("cat -- \"${{LAB_NODE_ROOT:-}}\"{}", quote(&export.path));
    let (exit, text, said) = collect(&session, &read, b"").await?;
    session.close().await;
    if !exit.ok() {
        let hint = format!("lab up {}", record.lab.name);
        return Err(Error::failed(what(), said.trim()).on(&export.node).hint(hint));
    }
    Ok(match (forward, record.lab.node(&export.node)) {
        (Some(forward), Some(node)) => point(&text, node, forward),
        _ => text,
    })
}

/// The text with every address of the node at the forwarded port replaced.
fn point(text: &str, node: &Node, forward: Forward) -> String {
    let addresses = node.links.iter().filter_map(|l| l.address).map(|a| a.to_string());
    addresses.fold(text.to_owned(), |text, address| {
        text.replace(&format!("{address}:{}", forward.guest), &format!("127.0.0.1:{}", forward.host))
    })
}

/// The file on the host with the export's content, 0600. One that is younger than everything that was done since, and
/// whose port answers, is used as it is: a program that runs for half a second should not wait for a login.
pub async fn file(record: &LabRecord, name: &str, paths: &Paths) -> Result<PathBuf> {
    let export = find(record, name)?;
    let lab = paths.lab(&record.lab.name);
    let path = lab.join("exports").join(name);
    let time = |path: &PathBuf| std::fs::metadata(path).and_then(|m| m.modified());
    let young = matches!((time(&path), time(&lab.join("journal"))), (Ok(file), Ok(journal)) if file > journal);
    let answers = |f: &Forward| TcpStream::connect_timeout(&([127, 0, 0, 1], f.host).into(), ANSWER).is_ok();
    let mut forwards = record.forwards.get(&export.node).into_iter().flatten();
    if young && forwards.find(|f| Some(f.guest) == export.port).is_some_and(answers) {
        return Ok(path);
    }
    let text = fetch(record, name, paths).await?;
    Paths::make_private(&lab.join("exports"))?;
    atomically(&path, text.as_bytes(), 0o600).context(|| format!("keep {name}"))?;
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lab::model::Link;

    #[test]
    fn only_the_nodes_own_address_at_that_port_is_replaced() {
        let link = |address: Option<&str>| Link {
            device: "eth1".into(),
            network: "lan".into(),
            address: address.map(|a| a.parse().unwrap()),
            prefix: 24,
            mac: String::new(),
        };
        let links = vec![link(None), link(Some("192.168.20.100"))];
        let node = Node { name: "n".into(), cpus: 1, memory: 1, disk: 1, links };
        let text = "a: https://192.168.20.100:6443\nb: 192.168.20.101:6443\nc: 192.168.20.100:80\n";
        let expected = "a: https://127.0.0.1:20001\nb: 192.168.20.101:6443\nc: 192.168.20.100:80\n";
        assert_eq!(point(text, &node, Forward { host: 20001, guest: 6443 }), expected);
    }
}
