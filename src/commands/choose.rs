//! Which driver a lab gets: the one that made its nodes, the command line's, the lab file's, else what suits the host.

use super::drivers::{AnyDriver, look_at_host, open};
use super::rendering::machine;
use crate::cli::DriverChoice;
use crate::driver::choice::choose;
use crate::driver::container;
use crate::driver::qemu::Qemu;
use crate::driver::{BaseImage, Driver, Facts};
use crate::error::{Error, Result};
use crate::lab::model::{Lab, Node};
use crate::paths::Paths;
use crate::state::record::LabRecord;

/// What is wanted before the host was looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wanted {
    This(String),
    Auto,
}

/// What the user wants: a lab keeps the driver that made its nodes, the command line wins over the lab file.
pub fn wanted(choice: Option<DriverChoice>, lab: &Lab, old: Option<&LabRecord>) -> Result<Wanted> {
    let named = match choice {
        Some(DriverChoice::Qemu) => Some("qemu"),
        Some(DriverChoice::Container) => Some("container"),
        Some(DriverChoice::Fake) => Some("fake"),
        Some(DriverChoice::Auto) => None,
        None if old.is_none() => lab.driver.as_deref().filter(|name| *name != "auto"),
        None => None,
    };
    match (named, old) {
        (Some(name), Some(old)) if name != old.driver => {
            let why = format!("its nodes were made by `{}`, and a lab keeps its driver", old.driver);
            let hint = format!("`lab destroy {}` first", old.lab.name);
            Err(Error::input(format!("use the driver {name}"), why).hint(hint))
        }
        (_, Some(old)) => Ok(Wanted::This(old.driver.clone())),
        (Some(name), None) => Ok(Wanted::This(name.to_owned())),
        (None, None) => Ok(Wanted::Auto),
    }
}

/// Looks at the host before anything is made, the image included: every problem with its remedy. For `auto` one driver
/// that could work is enough.
pub async fn problems(wanted: &Wanted, nodes: &[Node], paths: &Paths) -> Vec<Error> {
    match wanted {
        Wanted::This(name) => look_at_host(name, nodes, paths).await,
        Wanted::Auto => {
            let qemu = look_at_host("qemu", nodes, paths).await;
            let container = look_at_host("container", nodes, paths).await;
            if qemu.is_empty() || container.is_empty() { Vec::new() } else { [qemu, container].concat() }
        }
    }
}

/// Whether the work must go on in a user namespace: nodes as containers, made by an ordinary user.
///
/// # Errors
/// The host cannot do it.
pub async fn goes_inside(wanted: &Wanted, nodes: &[Node], image: &BaseImage, paths: &Paths) -> Result<bool> {
    if container::standing() != container::Standing::Outside {
        return Ok(false);
    }
    match wanted {
        Wanted::This(name) if name == "container" => {
            together(look_at_host(name, nodes, paths).await)?;
            Ok(true)
        }
        Wanted::This(_) => Ok(false),
        Wanted::Auto => {
            let fast = tried("qemu", nodes, image, paths).await.is_ok_and(|qemu| !qemu.facts().emulated);
            Ok(!fast && look_at_host("container", nodes, paths).await.is_empty())
        }
    }
}

/// The driver, and a line for people that says what it is and, where it was chosen here, why.
pub async fn driver(wanted: &Wanted, nodes: &[Node], image: &BaseImage, paths: &Paths) -> Result<(AnyDriver, String)> {
    let name = match wanted {
        Wanted::This(name) => name,
        Wanted::Auto => return suited(nodes, image, paths).await,
    };
    let driver = open(name, image, paths).await?;
    let mut line = format!("driver {name}: {}", driver.facts().description);
    if driver.facts().emulated && look_at_host("container", nodes, paths).await.is_empty() {
        line += "; `--driver container` runs the same lab on this host's kernel at full speed";
    }
    Ok((driver, line))
}

/// What is true of nodes that are still to be made. Without an image virtual machines cannot be tried; where hardware
/// could make them fast, it is believed to.
pub async fn foretold(wanted: &Wanted, image: Option<&BaseImage>, paths: &Paths) -> Facts {
    let nothing = BaseImage { key: String::new(), dir: Default::default() };
    let untried = *wanted == Wanted::Auto && image.is_none();
    if untried && Qemu::may_be_fast() && look_at_host("qemu", &[], paths).await.is_empty() {
        return machine("qemu");
    }
    let image = image.unwrap_or(&nothing);
    let name = if let Wanted::This(name) = wanted { name } else { "qemu" };
    driver(wanted, &[], image, paths).await.map_or_else(|_| machine(name), |(driver, _)| driver.facts().clone())
}

/// Tries both on this host.
async fn suited(nodes: &[Node], image: &BaseImage, paths: &Paths) -> Result<(AnyDriver, String)> {
    let qemu = tried("qemu", nodes, image, paths).await;
    let container = tried("container", nodes, image, paths).await;
    let choice = choose(facts(&qemu), facts(&container));
    let (driver, choice) = match (choice, qemu, container) {
        (Some(choice), Ok(driver), _) if choice.name == "qemu" => (driver, choice),
        (Some(choice), _, Ok(driver)) => (driver, choice),
        (_, qemu, container) => {
            let all = [qemu.err().unwrap_or_default(), container.err().unwrap_or_default()].concat();
            return Err(together(all).err().unwrap_or_else(|| Error::host("make nodes", "no driver works here")));
        }
    };
    Ok((driver, format!("driver {} (auto): {}", choice.name, choice.line)))
}

async fn tried(
    name: &str,
    nodes: &[Node],
    image: &BaseImage,
    paths: &Paths,
) -> std::result::Result<AnyDriver, Vec<Error>> {
    let problems = look_at_host(name, nodes, paths).await;
    if problems.is_empty() { open(name, image, paths).await.map_err(|e| vec![e]) } else { Err(problems) }
}

fn facts(tried: &std::result::Result<AnyDriver, Vec<Error>>) -> std::result::Result<&Facts, &[Error]> {
    tried.as_ref().map(Driver::facts).map_err(Vec::as_slice)
}

/// Several problems of the host as one error.
pub fn together(problems: Vec<Error>) -> Result<()> {
    if problems.is_empty() {
        return Ok(());
    }
    let mut texts: Vec<String> = Vec::new();
    for problem in &problems {
        let hint = problem.hint.as_ref().map(|h| format!("\n    {h}")).unwrap_or_default();
        texts.push(format!("  {}: {}{hint}", problem.what, problem.why));
    }
    Err(Error::host("start the lab; nothing was changed", format!("the host lacks something\n{}", texts.join("\n"))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    fn lab(driver: Option<&str>) -> Lab {
        Lab {
            name: "x".into(),
            title: "x".into(),
            image: "plain".into(),
            driver: driver.map(str::to_owned),
            values: BTreeMap::new(),
            given: Default::default(),
            chapters: Vec::new(),
            networks: Vec::new(),
            nodes: Vec::new(),
            steps: Vec::new(),
            exports: BTreeMap::new(),
            tools: Default::default(),
            checks: Default::default(),
        }
    }

    fn record(driver: &str) -> LabRecord {
        let login = crate::ssh::KeyPair::generate("x").unwrap();
        let image = BaseImage { key: String::new(), dir: "/".into() };
        let (offline, file, host_keys, forwards) = (false, None, BTreeMap::new(), BTreeMap::new());
        let content = String::new();
        LabRecord { lab: lab(None), driver: driver.into(), offline, image, content, file, login, host_keys, forwards }
    }

    #[test]
    fn the_nodes_keep_their_driver_then_the_command_line_then_the_file() {
        let this = |name: &str| Wanted::This(name.into());
        let of = |choice, file, old: Option<&LabRecord>| wanted(choice, &lab(file), old).unwrap();
        assert_eq!(of(None, None, None), Wanted::Auto);
        assert_eq!(of(None, Some("container"), None), this("container"));
        assert_eq!(of(Some(DriverChoice::Auto), Some("container"), None), Wanted::Auto);
        assert_eq!(of(Some(DriverChoice::Qemu), Some("container"), None), this("qemu"));
        let old = record("qemu");
        assert_eq!(of(None, Some("container"), Some(&old)), this("qemu"));
        assert_eq!(of(Some(DriverChoice::Auto), None, Some(&old)), this("qemu"));
        let error = wanted(Some(DriverChoice::Container), &lab(None), Some(&old)).unwrap_err();
        assert!(error.why.contains("made by `qemu`") && error.hint.unwrap().contains("lab destroy x"));
    }
}
