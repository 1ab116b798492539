//! What keeps a node as it is meant to be, from the lab's background process: one that was told to reboot starts again,
//! one whose way out died gets another. A death is for `up` and `status` to tell, which read it from the host.

use super::{Container, death, first_process, lan, memory, nat, process};
use crate::driver::{Driver, Forward, NodeSpec, Place};
use crate::error::{Error, Result};
use crate::state::background::Background;
use rustix::process::Signal;
use std::path::Path;
use std::time::{Duration, Instant};

/// A way out that ends sooner than this has a cause that another one would meet too.
const LIVES: Duration = Duration::from_secs(1);

/// The keeper of the lab that has this folder for sockets.
pub fn background(run: &Path) -> Background {
    Background::new(run, "keeper", "the nodes' keeper", "keep")
}

/// Tells the keeper that a node was started.
pub(super) fn tell(place: &Place) {
    if let Some(keeper) = background(&place.run).find() {
        keeper.process.signal(Signal::USR1);
    }
}

impl Container {
    /// Whether there is something to keep.
    pub fn runs(place: &Place) -> bool {
        first_process(place).is_some()
    }

    /// Keeps a running node and its forwarded ports until it dies, and returns why it did.
    ///
    /// # Errors
    /// It rebooted and could not be started again.
    pub async fn keep(&self, spec: &NodeSpec, ports: &[Forward], note: impl Fn(String) + Send) -> Result<Error> {
        let place = &spec.place;
        // Should every helper of the lab die at once, its segment stays.
        let mut lan = lan::find(place);
        let mut begun = Instant::now();
        while let Some(node) = first_process(place) {
            let helper = nat::find(place).into_iter().next();
            let alone = async {
                match helper {
                    Some(helper) => process::ended(helper).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = memory::count(place) => {}
                () = process::ended(node) => {
                    if !death::rebooted(place).await {
                        break;
                    }
                    note(format!("{}: it was told to reboot, and is started again", place.node));
                    self.again(spec, ports).await?;
                }
                () = alone => {
                    note(format!("{}: its slirp4netns ended, and is started again", place.node));
                    let mended = if begun.elapsed() < LIVES { Err(short_lived()) } else { self.again(spec, ports).await };
                    if let Err(error) = mended {
                        note(error.to_string());
                        process::ended(node).await;
                    }
                    begun = Instant::now();
                }
            }
            lan = lan::find(place).or(lan);
        }
        Ok(death::tell(place))
    }

    /// Starts what is missing of the node, and its forwards, which went with its way out.
    async fn again(&self, spec: &NodeSpec, ports: &[Forward]) -> Result<()> {
        self.start(spec).await?;
        for port in ports {
            self.forward(&spec.place, *port).await?;
        }
        Ok(())
    }
}

fn short_lived() -> Error {
    Error::failed("connect the node", "slirp4netns does not stay; `lab up` tries again")
}
