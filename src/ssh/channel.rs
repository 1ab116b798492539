//! A channel that goes when nobody waits for it any more.

use russh::client::Msg;
use russh::{Channel, ChannelReadHalf, ChannelWriteHalf};
use std::ops::Deref;
use std::sync::Arc;
use tokio::runtime::Handle;

/// The writing half. russh leaves a channel open when its halves are dropped, and a server has places for ten: without
/// this, ten commands given up by a timeout would be the end of the session.
pub(super) struct Writer(Arc<ChannelWriteHalf<Msg>>);

/// Both halves of a channel.
pub(super) fn split(channel: Channel<Msg>) -> (ChannelReadHalf, Writer) {
    let (reader, writer) = channel.split();
    (reader, Writer(Arc::new(writer)))
}

impl Deref for Writer {
    type Target = ChannelWriteHalf<Msg>;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        // Without a runtime the session is gone too.
        if let Ok(runtime) = Handle::try_current() {
            let writer = self.0.clone();
            runtime.spawn(async move {
                // A channel that ended by itself is closed already.
                let _ = writer.close().await;
            });
        }
    }
}
