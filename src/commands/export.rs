//! `lab export vagrant`: the lab as a Vagrantfile and scripts.

use super::rendering::{Rendering, machine};
use super::which;
use crate::cli;
use crate::driver::Facts;
use crate::embedded;
use crate::error::{Context, Error, Result};
use crate::executor::scope_of_node;
use crate::export::File;
use crate::export::vagrant::{ACCESS, Parts, Placed, PlacedCheck, files, stand_in};
use crate::image::Recipe;
use crate::lab::check::Expect;
use crate::lab::model::Lab;
use crate::observe::capture;
use crate::paths::Paths;
use crate::state::write;
use crate::template;
use std::path::Path;

/// What a Vagrantfile of ours says.
const OURS: &str = "Written by `lab export vagrant`";

/// Writes the export into a folder.
pub fn export(args: &cli::ExportVagrant, paths: &Paths) -> Result<String> {
    let lab = which::find_with(args.which.lab.as_deref(), &args.values, paths)?.lab;
    let dir = &args.to;
    let all = vagrant(&lab)?;
    let foreign = std::fs::read_to_string(dir.join("Vagrantfile")).is_ok_and(|text| !text.contains(OURS));
    if foreign {
        let why = format!("{} has a Vagrantfile of somebody else", dir.display());
        return Err(Error::input("export the lab", why).hint("choose another folder with --to"));
    }
    for File { path, content, mode } in &all {
        let path = dir.join(path);
        let folder = path.parent().unwrap_or(dir);
        std::fs::create_dir_all(folder).context(|| format!("make the folder {}", folder.display()))?;
        write::atomically(&path, content.as_bytes(), *mode)?;
    }
    remove_old(dir, &all)?;
    let dir = dir.display();
    let count = |folder: &str| all.iter().filter(|f| f.path.starts_with(folder)).count();
    let (steps, checks) = (count("steps/"), count("checks/"));
    Ok(format!("{dir}: Vagrantfile, {steps} steps, {checks} checks\n\nNext: cd {dir} && vagrant up && ./run\n"))
}

/// Steps and checks of an earlier export that the lab has no more.
fn remove_old(dir: &Path, all: &[File]) -> Result<()> {
    for folder in ["steps", "checks"] {
        for entry in std::fs::read_dir(dir.join(folder)).into_iter().flatten().flatten() {
            let name = format!("{folder}/{}", entry.file_name().to_string_lossy());
            if !all.iter().any(|f| f.path == name) && name.ends_with(".sh") {
                std::fs::remove_file(entry.path()).context(|| format!("remove {name}"))?;
            }
        }
    }
    Ok(())
}

fn vagrant(lab: &Lab) -> Result<Vec<File>> {
    let facts = machine("vagrant");
    let rendering = Rendering { lab, facts: &facts, tasks: &[], dir: Path::new(""), stand_in: &stand_in };
    let mut steps = Vec::new();
    for (index, step) in lab.steps.iter().enumerate() {
        for node in &step.on {
            steps.push(Placed { step: rendering.step(index, node)?.0, node: node.clone() });
        }
    }
    let checks = checks(lab, &facts)?;
    let part = |name: &str| {
        let missing = || Error::failed("export the lab", format!("this `lab` carries no {name} for Vagrant"));
        embedded::template(&format!("vagrant/{name}")).map(|(_, text)| text).ok_or_else(missing)
    };
    let (prelude, for_checks, image) = (part("prelude.sh")?, part("checks.sh")?, image(&lab.image)?);
    let (steps, checks, capture) = (&steps, &checks, capture::script());
    Ok(files(&Parts { lab, steps, checks, image, prelude, for_checks, capture }))
}

/// The checks as they are held on each node; what is about the cluster, where its access is.
fn checks(lab: &Lab, facts: &Facts) -> Result<Vec<PlacedCheck>> {
    let mut all = Vec::new();
    for check in &lab.checks {
        let of_cluster = matches!(check.expect, Expect::Pods(_) | Expect::Service { .. });
        let access = lab.exports.get(ACCESS).filter(|_| of_cluster).map(|e| vec![e.node.clone()]);
        for node in access.unwrap_or_else(|| check.on.clone()) {
            let mut check = check.clone();
            if let Expect::Run { script, .. } = &mut check.expect {
                let wrong = |why| Error::failed(format!("render the check {}", check.name), why).on(&node);
                *script = template::render(script, &scope_of_node(lab, &node, facts)).map_err(wrong)?;
            }
            all.push(PlacedCheck { check, node });
        }
    }
    Ok(all)
}

/// The script that makes a box what the image is, with the image's own files in it.
fn image(name: &str) -> Result<String> {
    let what = || format!("export the image {name}");
    let (_, script) = embedded::template(&format!("vagrant/{name}.sh"))
        .ok_or_else(|| Error::input(what(), "there is no script templates/vagrant for it"))?;
    let (file, recipe) = embedded::template(&format!("images/{name}.yaml"))
        .ok_or_else(|| Error::input(what(), "there is no recipe of this name"))?;
    let recipe = Recipe::parse(&recipe, &file)?;
    let mut out = String::new();
    for line in script.lines() {
        let Some(path) = line.strip_prefix("# lab: file ") else {
            out += &format!("{line}\n");
            continue;
        };
        let missing = || Error::failed(what(), format!("the image has no file {path}"));
        let file = recipe.files.iter().find(|f| f.path == path).ok_or_else(missing)?;
        out += &format!("mkdir -p \"$(dirname {path})\"\ncat > {path} <<'LAB_FILE'\n{}LAB_FILE\n", file.content);
        out += &format!("chmod {:04o} {path}\n", file.mode);
    }
    Ok(out)
}
