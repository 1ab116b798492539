//! Which lab a verb means, and its lab file resolved.

use super::beside::Own;
use crate::cli::Values;
use crate::embedded;
use crate::error::{Context, Error, Result};
use crate::lab::model::Lab;
use crate::lab::resolve::{Beside, Sources, name_in, resolve_with};
use crate::paths::Paths;
use crate::state::record::{LabRecord, existing};
use crate::yaml::closest;
use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};

/// The lab file that a verb finds in a folder.
const HERE: &str = "lab.yaml";

/// The largest file of a lab: what the reader of YAML takes at most.
const MAX_FILE: u64 = 1 << 20;

/// A lab file that was found.
pub struct Found {
    pub lab: Lab,
    /// None for a lab in the box.
    pub file: Option<PathBuf>,
}

/// Resolves the lab that is meant, for verbs that need its file: the one named (a path wins over a name), else the lab
/// file in this folder, else the only lab that exists.
pub fn find(named: Option<&str>, set: &[String], paths: &Paths) -> Result<Found> {
    find_with(named, &Values { set: set.to_vec(), files: Vec::new() }, paths)
}

/// The same, with values of the command line and of files.
pub fn find_with(named: Option<&str>, values: &Values, paths: &Paths) -> Result<Found> {
    let given = Given::read(values)?;
    let name = match named {
        Some(name) => name.to_owned(),
        None if Path::new(HERE).exists() => HERE.to_owned(),
        None => only(paths)?,
    };
    let path = Path::new(&name);
    if path.is_file() {
        let file = path.canonicalize().context(|| format!("find {name}"))?;
        let text = text_of(path)?;
        return Ok(Found { lab: read(&name, &text, file.parent(), given, paths)?, file: Some(file) });
    }
    let record = LabRecord::load(paths, &name);
    // One that was made from a file is that file's, also when the box has a lab of this name.
    if let Ok(Some(LabRecord { file: Some(file), .. })) = &record
        && file.is_file()
    {
        let (shown, text) = (file.display().to_string(), text_of(file)?);
        return Ok(Found { lab: read(&shown, &text, file.parent(), given, paths)?, file: Some(file.clone()) });
    }
    if let Some((_, text)) = embedded::labs().into_iter().find(|(n, _)| *n == name) {
        return Ok(Found { lab: read(&format!("labs/{name}.yaml"), text, None, given, paths)?, file: None });
    }
    record?;
    if name.contains('/') || name.ends_with(".yaml") {
        let hint = "`lab init` writes one into this folder; `lab list` shows the labs in the box";
        return Err(Error::input(format!("read {name}"), "there is no such file").hint(hint));
    }
    let known: Vec<String> = embedded::labs().into_iter().map(|(n, _)| n).collect();
    let why = format!("there is no lab file of this name, and no lab in the box; the box has {}", known.join(", "));
    let error = Error::input(format!("find the lab {name}"), why).hint("`lab list` shows all labs");
    Err(near(error, &name, known.iter().map(String::as_str)))
}

/// The name of the lab that is meant, for verbs that need only what exists.
pub fn name(named: Option<&str>, paths: &Paths) -> Result<String> {
    match named {
        Some(name) if Path::new(name).is_file() => find(Some(name), &[], paths).map(|f| f.lab.name),
        Some(name) => Ok(name.to_owned()),
        None if Path::new(HERE).exists() => find(None, &[], paths).map(|f| f.lab.name),
        None => only(paths),
    }
}

/// The record of the lab that is meant.
pub fn record(named: Option<&str>, paths: &Paths) -> Result<LabRecord> {
    let name = name(named, paths)?;
    LabRecord::load(paths, &name)?.ok_or_else(|| missing(&name, paths))
}

/// A lab that nobody made: one that could be made, one that is nearly called so, or the list.
fn missing(lab: &str, paths: &Paths) -> Error {
    let error = Error::input(format!("use the lab {lab}"), "it does not exist");
    let boxed: Vec<String> = embedded::labs().into_iter().map(|(n, _)| n).collect();
    let here = || Path::new(HERE).exists() && name(None, paths).is_ok_and(|n| n == lab);
    if boxed.iter().any(|n| n == lab) || here() {
        return error.hint(format!("`lab up {lab}` makes it"));
    }
    let there = existing(paths);
    near(error.hint("`lab list` shows what there is"), lab, there.iter().chain(&boxed).map(String::as_str))
}

/// The error, with a name that was probably meant in place of its hint where there is one.
pub fn near<'a>(error: Error, given: &str, known: impl IntoIterator<Item = &'a str>) -> Error {
    match closest(given, known) {
        Some(near) => error.hint(format!("did you mean `{near}`?")),
        None => error,
    }
}

/// What a command that is printed says of its lab: nothing where no other is meant here, else " NAME".
pub fn word(lab: &str, paths: &Paths) -> String {
    if name(None, paths).is_ok_and(|meant| meant == lab) { String::new() } else { format!(" {lab}") }
}

/// The same for verbs that take the lab as an option.
pub fn option(lab: &str, paths: &Paths) -> String {
    match word(lab, paths).as_str() {
        "" => String::new(),
        word => format!(" --lab{word}"),
    }
}

/// The lab of this name, where it exists.
pub fn existing_of(name: &str, paths: &Paths) -> Option<LabRecord> {
    let there = existing(paths).iter().any(|lab| lab == name);
    there.then(|| LabRecord::load(paths, name).ok().flatten()).flatten()
}

/// All labs that exist, and those of them that have something: where several have it and one of them is the lab that is
/// meant here, that one alone.
pub fn having(has: impl Fn(&LabRecord) -> bool, paths: &Paths) -> (Vec<LabRecord>, Vec<LabRecord>) {
    let all: Vec<LabRecord> =
        existing(paths).iter().filter_map(|name| LabRecord::load(paths, name).ok().flatten()).collect();
    let mut with: Vec<LabRecord> = all.iter().filter(|r| has(r)).cloned().collect();
    if with.len() > 1
        && let Ok(here) = name(None, paths)
        && with.iter().any(|r| r.lab.name == here)
    {
        with.retain(|r| r.lab.name == here);
    }
    (all, with)
}

fn only(paths: &Paths) -> Result<String> {
    let labs = existing(paths);
    match labs.as_slice() {
        [one] => Ok(one.clone()),
        [] => {
            let known: Vec<String> = embedded::labs().into_iter().map(|(n, _)| n).collect();
            let why = format!("no {HERE} in this folder, and no lab exists yet");
            Err(Error::input("tell which lab is meant", why).hint(format!("name one: {}", known.join(", "))))
        }
        many => {
            Err(Error::input("tell which lab is meant", format!("several exist: {}", many.join(", "))).hint("name one"))
        }
    }
}

/// Values given from outside, as read but not yet typed.
struct Given {
    set: BTreeMap<String, String>,
    beside: Beside,
}

impl Given {
    fn read(values: &Values) -> Result<Self> {
        let mut files = Vec::new();
        for file in &values.files {
            let name = file.display().to_string();
            let text = text_of(file).map_err(|e| Error::input(format!("read {name}"), e.why))?;
            files.push((name, text));
        }
        let beside = Beside { values: files, ..Beside::default() };
        Ok(Self { set: assignments(&values.set)?, beside })
    }
}

fn read(name: &str, text: &str, beside: Option<&Path>, mut given: Given, paths: &Paths) -> Result<Lab> {
    // A folder `templates` beside the lab file comes before the one in the binary, but for images of the box: what their
    // names say is the same in every lab.
    let own = beside.map(Own::beside);
    let library = |path: &str| {
        let image = path.starts_with("images/").then(|| embedded::template(path)).flatten();
        let file = own.as_ref().filter(|_| image.is_none()).and_then(|own| own.find(path));
        file.or_else(|| embedded::template(path))
    };
    given.beside.templates = embedded::template_paths();
    given.beside.templates.extend(own.iter().flat_map(Own::paths));
    // The values that it was made with; a damaged record has none.
    let old = name_in(text).and_then(|lab| LabRecord::load(paths, &lab).ok().flatten());
    given.beside.remembered = old.map(|r| r.lab.given).unwrap_or_default();
    let lab = resolve_with(&Sources { name, text, library: &library, set: &given.set }, &given.beside);
    own.and_then(Own::refused).map_or(lab, Err)
}

/// The text of a file that the user gave. No more is read than a file of a lab may have: it may be huge.
pub fn text_of(path: &Path) -> Result<String> {
    let what = || format!("read {}", path.display());
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path).context(what)?;
    file.take(MAX_FILE + 1).read_to_end(&mut bytes).context(what)?;
    if bytes.len() as u64 > MAX_FILE {
        let hint = "what is larger belongs on the nodes by `lab cp`, or is fetched by a step";
        return Err(Error::input(what(), format!("it has more than {MAX_FILE} bytes")).hint(hint));
    }
    String::from_utf8(bytes).map_err(|e| Error::input(what(), format!("it is no text: {e}")))
}

fn assignments(set: &[String]) -> Result<BTreeMap<String, String>> {
    let split = |text: &String| {
        let (name, value) = text.split_once('=')?;
        Some((name.to_owned(), value.to_owned()))
    };
    let wrong = |text: &String| {
        let error = Error::input("read --set", format!("`{text}` is not NAME=VALUE"));
        error.hint(format!("--set {text}=VALUE"))
    };
    set.iter().map(|text| split(text).ok_or_else(|| wrong(text))).collect()
}
