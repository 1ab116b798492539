//! The hidden verb behind `ssh-config --merge`: our pipes to a node's SSH port, wherever it is at this moment.

use super::reach;
use crate::error::{Context, Result};
use crate::paths::Paths;
use tokio::io::{AsyncWriteExt, copy, stdin, stdout};
use tokio::net::TcpStream;

/// Connects and copies both ways until the node closes.
pub async fn dial(node: &str, lab: &str, paths: &Paths) -> Result<()> {
    let node = reach::running(node, Some(lab), paths).await?;
    let stream = TcpStream::connect(node.endpoint.ssh).await.context(|| "reach the node")?;
    stream.set_nodelay(true).context(|| "reach the node")?;
    let (mut read, mut write) = stream.into_split();
    let up = async {
        // What is typed ends before what is answered.
        let _ = copy(&mut stdin(), &mut write).await;
        let _ = write.shutdown().await;
        std::future::pending::<()>().await
    };
    tokio::select! {
        down = async { copy(&mut read, &mut stdout()).await } => down.map(drop).context(|| "talk to the node"),
        () = up => Ok(()),
    }
}
