//! `lab forward`: ports of this host that lead to a node, or through it to anything that it reaches.

use super::reach::{self, AnyRemote, Running};
use super::{observed, which};
use crate::cli;
use crate::error::{Context, Error, Result};
use crate::event::Reporter;
use crate::observe::Cluster;
use crate::paths::Paths;
use std::io::Write;
use std::sync::Arc;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use wish::{ITSELF, Local, To, Wish};

mod wish;

/// A forward that can be made.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Way {
    /// 0 for any free one.
    local: u16,
    host: String,
    port: u16,
    /// The name that it was given by, if one.
    named: Option<String>,
}

/// Listens until the user ends it.
pub async fn forward(args: cli::Forward, paths: &Paths, reporter: &Reporter) -> Result<()> {
    let wishes: Vec<Wish> = args.ports.iter().map(|text| wish::parse(text)).collect::<Result<_>>()?;
    let node = from(&args, &wishes, paths).await?;
    let named = wishes.iter().any(|w| matches!(w.to, To::Named(_)));
    let cluster = if named { Some(observed::cluster_now(&node.record, paths).await?) } else { None };
    let ways: Vec<Way> = wishes.into_iter().map(|w| way(w, cluster.as_ref())).collect::<Result<_>>()?;
    let (name, session) = (node.place.node.clone(), Arc::new(node.login().await?));
    let mut serving = JoinSet::new();
    for (way, text) in ways.into_iter().zip(&args.ports) {
        let local = way.local;
        let listener = TcpListener::bind(("127.0.0.1", local)).await.map_err(|e| {
            let of_lab = args.lab.as_ref().map_or(String::new(), |lab| format!(" --lab {lab}"));
            let hint = format!("any free port: lab forward {}{of_lab} {}", args.node, wish::anywhere(text));
            Error::failed(format!("listen on 127.0.0.1:{local}"), e).hint(hint)
        })?;
        let address = listener.local_addr().context(|| "listen")?;
        let also = way.named.as_ref().map_or(String::new(), |named| format!(" ({named})"));
        let mut out = std::io::stdout();
        // A reader that went away does not end the forward.
        let _ = writeln!(out, "{address} -> {name}, {}:{}{also}", way.host, way.port).and_then(|()| out.flush());
        serving.spawn(serve(listener, session.clone(), way, reporter.clone()));
    }
    match serving.join_next().await {
        Some(ended) => ended.context(|| "forward")?,
        None => Ok(()),
    }
}

/// The node that makes the connections: the one named, or of a lab that is named the one with access to its cluster.
async fn from(args: &cli::Forward, wishes: &[Wish], paths: &Paths) -> Result<Running> {
    let error = match reach::lab_of(&args.node, args.lab.as_deref(), paths) {
        Ok(record) => return reach::running_in(record, &args.node, paths).await,
        Err(error) => error,
    };
    let Some(record) = which::existing_of(&args.node, paths).filter(|_| args.lab.is_none()) else {
        return Err(error);
    };
    let nodes: Vec<&str> = record.lab.nodes.iter().map(|n| n.name.as_str()).collect();
    let what = format!("forward from the lab {}", args.node);
    let own = |w: &Wish| matches!(&w.to, To::Address { host, .. } if host == ITSELF);
    let why = match observed::with_access(&record.lab) {
        _ if wishes.iter().any(own) => "a port alone is a node's",
        Some(node) => return reach::running_in(record.clone(), node, paths).await,
        None => "none of its nodes has access to a cluster",
    };
    Err(Error::input(what, why).hint(format!("name a node of it: {}", nodes.join(", "))))
}

/// Finds what is named among the cluster's objects.
fn way(wish: Wish, cluster: Option<&Cluster>) -> Result<Way> {
    let (host, port, named) = match (wish.to, cluster) {
        (To::Address { host, port }, _) => (host, port, None),
        (To::Named(target), Some(cluster)) => {
            let found = target.find(cluster)?;
            (found.address, found.port, Some(target.to_string()))
        }
        (To::Named(target), None) => return Err(Error::failed(format!("forward to {target}"), "no cluster was asked")),
    };
    let local = match wish.local {
        Local::Same => port,
        Local::Any => 0,
        Local::Port(port) => port,
    };
    Ok(Way { local, host, port, named })
}

async fn serve(listener: TcpListener, session: Arc<AnyRemote>, way: Way, reporter: Reporter) -> Result<()> {
    loop {
        let (stream, _) = listener.accept().await.context(|| "take a connection")?;
        let (session, way, reporter) = (session.clone(), way.clone(), reporter.clone());
        tokio::spawn(async move {
            if let Err(error) = carry(stream, &session, &way).await {
                reporter.note(error.to_string());
            }
        });
    }
}

async fn carry(mut here: TcpStream, session: &AnyRemote, way: &Way) -> Result<()> {
    match session {
        AnyRemote::Ssh(session) => {
            let mut there = session.connect(&way.host, way.port).await?;
            // Either side may break off; that is theirs.
            let _ = copy_bidirectional(&mut here, &mut there).await;
        }
        AnyRemote::Fake(_) => {
            let what = || format!("connect to {}:{}", way.host, way.port);
            let mut there = TcpStream::connect((way.host.as_str(), way.port)).await.context(what)?;
            let _ = copy_bidirectional(&mut here, &mut there).await;
        }
    }
    Ok(())
}
