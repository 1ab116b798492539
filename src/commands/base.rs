//! The image that a lab's nodes are made from. Their disks stand on its very bytes for life: on others, though built by
//! the same recipe, they would be garbage.

use super::choose::Wanted;
use super::drivers::AnyDriver;
use super::images;
use crate::driver::{BaseImage, Driver, NodeState};
use crate::error::{Context, Error, Result};
use crate::event::Reporter;
use crate::lab::model::Lab;
use crate::paths::Paths;
use crate::state::record::{LabRecord, place};

/// An image that was proved.
pub struct Base {
    pub image: BaseImage,
    /// A digest of its files.
    pub content: String,
}

/// The image of a lab: the one that it has, else one that is built where it is missing.
pub async fn of(
    recipe: images::Wanted,
    wanted: &Wanted,
    old: Option<&LabRecord>,
    offline: bool,
    paths: &Paths,
    reporter: &Reporter,
) -> Result<Base> {
    if *wanted == Wanted::This("fake".into()) {
        let image = BaseImage { key: String::new(), dir: paths.cache.clone() };
        return Ok(Base { image, content: String::new() });
    }
    // A lab keeps the image its disks stand on, also when the recipe has changed since.
    if let Some(old) = old.filter(|o| o.image.dir.exists()) {
        let image = old.image.clone();
        let proved = tokio::task::spawn_blocking(move || images::prove(&image));
        let content = proved.await.context(|| "prove the image".to_owned())??;
        return Ok(Base { image: old.image.clone(), content });
    }
    let (paths, reporter) = (paths.clone(), reporter.clone());
    let built = tokio::task::spawn_blocking(move || images::ensure_image(&recipe, &paths, offline, &reporter));
    let image = built.await.context(|| "build the image".to_owned())??;
    let content = image.manifest.content();
    Ok(Base { image: BaseImage { key: image.manifest.key, dir: image.dir }, content })
}

/// What the lab's record shall say of its image, now that this one is in the cache.
///
/// # Errors
/// A node's disk stands on other bytes, and the node would have to start.
pub async fn settle(old: &LabRecord, now: Base, driver: &AnyDriver, paths: &Paths) -> Result<Base> {
    // Records of earlier versions do not say what the content was.
    let same = old.image == now.image && (old.content.is_empty() || old.content == now.content);
    if same {
        return Ok(now);
    }
    let mut states = Vec::new();
    for node in &old.lab.nodes {
        states.push(driver.inspect(&place(paths, &old.lab.name, &node.name)).await?);
    }
    match standing(&states) {
        Standing::Free => Ok(now),
        Standing::Running => Ok(Base { image: old.image.clone(), content: old.content.clone() }),
        Standing::Lost => Err(changed(&old.lab)),
    }
}

/// Refuses what would stop nodes that could not start again.
pub fn check_can_start(old: &LabRecord) -> Result<()> {
    let now = if old.driver == "fake" { String::new() } else { images::content(&old.image).unwrap_or_default() };
    if old.content.is_empty() || now == old.content { Ok(()) } else { Err(changed(&old.lab)) }
}

fn changed(lab: &Lab) -> Error {
    let why = format!(
        "the image {} is not the one that its nodes were made from: it was built again since, with other content, and \
         their disks cannot be read on it",
        lab.image
    );
    let hint = format!("`lab destroy {0}`, then `lab up {0}` makes the nodes anew", lab.name);
    Error::failed(format!("start the nodes of {}", lab.name), why).hint(hint)
}

/// How nodes bear that their image is another one.
#[derive(Debug, PartialEq)]
enum Standing {
    /// None has a disk yet.
    Free,
    /// All run, and go on with what they have open.
    Running,
    /// One would have to start.
    Lost,
}

fn standing(states: &[NodeState]) -> Standing {
    if states.iter().all(|s| *s == NodeState::Absent) {
        Standing::Free
    } else if states.iter().all(|s| matches!(s, NodeState::Running(_))) {
        Standing::Running
    } else {
        Standing::Lost
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::driver::Endpoint;
    use crate::driver::fake::Fake;
    use std::collections::BTreeMap;

    fn record(content: &str) -> LabRecord {
        let text = "lab: x\nimage: plain\nnetworks: {nat: {kind: nat}}\nnodes: {n1: {}, n2: {}}\n";
        let library = |_: &str| Some(("x".to_owned(), String::new()));
        let sources = crate::lab::resolve::Sources { name: "l", text, library: &library, set: &BTreeMap::new() };
        LabRecord {
            lab: crate::lab::resolve::resolve(&sources).unwrap(),
            driver: "fake".into(),
            offline: false,
            image: BaseImage { key: "k".into(), dir: "/i/k".into() },
            content: content.into(),
            file: None,
            login: crate::ssh::KeyPair::generate("x").unwrap(),
            host_keys: BTreeMap::new(),
            forwards: BTreeMap::new(),
        }
    }

    fn base(content: &str) -> Base {
        Base { image: record("").image, content: content.into() }
    }

    #[tokio::test]
    async fn a_stopped_node_is_not_started_on_other_bytes_and_one_that_is_not_made_takes_them() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        let paths = Paths { cache: at("cache"), state: at("state"), run: at("run") };
        let driver = AnyDriver::Fake(Fake::new());
        let settled = |old: LabRecord, now: Base| {
            let (driver, paths) = (&driver, &paths);
            async move { settle(&old, now, driver, paths).await.map(|base| base.content) }
        };
        assert_eq!(settled(record("old"), base("new")).await.unwrap(), "new", "nothing is made yet");
        std::fs::create_dir_all(at("state/x/nodes/n1/root")).unwrap();
        let error = settled(record("old"), base("new")).await.unwrap_err();
        assert!(error.why.contains("the image plain is not the one") && error.hint.unwrap().contains("lab destroy x"));
        assert_eq!(settled(record("old"), base("old")).await.unwrap(), "old");
        assert_eq!(settled(record(""), base("new")).await.unwrap(), "new", "an earlier version's record");
    }

    #[test]
    fn nodes_that_run_go_on() {
        let runs = NodeState::Running(Endpoint { ssh: ([127, 0, 0, 1], 1).into() });
        assert_eq!(standing(&[runs.clone(), runs.clone()]), Standing::Running);
        assert_eq!(standing(&[runs.clone(), NodeState::Stopped]), Standing::Lost);
        assert_eq!(standing(&[runs, NodeState::Absent]), Standing::Lost);
        assert_eq!(standing(&[NodeState::Absent, NodeState::Absent]), Standing::Free);
    }
}
