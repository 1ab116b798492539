//! Whether nodes that run answer too: a guest can hang while its process lives, and only a login proves the opposite.

use super::drivers::AnyDriver;
use super::reach::login;
use crate::driver::{Driver, Endpoint};
use crate::paths::Paths;
use crate::state::record::{LabRecord, place};
use futures_util::future::join_all;
use std::collections::BTreeMap;
use std::time::Duration;

/// Seconds that an accelerated node has for its answer. An emulated one stalls for up to twenty, and is not waited for as
/// long as its slowness would have it: who asks sits before a terminal.
const ANSWER: u64 = 5;

/// Those of these running nodes that do not let us in, each with the reason.
pub async fn among(
    record: &LabRecord,
    driver: &AnyDriver,
    running: &BTreeMap<String, Endpoint>,
    paths: &Paths,
) -> BTreeMap<String, String> {
    let limit = Duration::from_secs(ANSWER * driver.facts().slowness.clamp(1, 4));
    let ask = |(node, endpoint): (&String, &Endpoint)| {
        let (node, endpoint) = (node.clone(), endpoint.clone());
        async move {
            let place = place(paths, &record.lab.name, &node);
            match login(record, driver, &place, endpoint, limit).await {
                Ok(remote) => {
                    remote.close().await;
                    None
                }
                Err(error) => Some((node, error.why)),
            }
        }
    };
    join_all(running.iter().map(ask)).await.into_iter().flatten().collect()
}
