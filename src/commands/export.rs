//! `lab export vagrant`: the lab as a Vagrantfile and scripts.

use super::rendering::{Rendering, machine};
use super::which;
use crate::cli;
use crate::embedded;
use crate::error::{Context, Error, Result};
use crate::export::File;
use crate::export::vagrant::{Parts, Placed, files, stand_in};
use crate::image::Recipe;
use crate::lab::model::Lab;
use crate::observe::capture;
use crate::paths::Paths;
use crate::state::write;
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
    remove_old_steps(dir, &all)?;
    let dir = dir.display();
    Ok(format!("{dir}: Vagrantfile and {} steps\n\nNext: cd {dir} && vagrant up && ./run\n", all.len() - 7))
}

/// Steps of an earlier export that the lab has no more.
fn remove_old_steps(dir: &Path, all: &[File]) -> Result<()> {
    for entry in std::fs::read_dir(dir.join("steps")).into_iter().flatten().flatten() {
        let name = format!("steps/{}", entry.file_name().to_string_lossy());
        if !all.iter().any(|f| f.path == name) && name.ends_with(".sh") {
            std::fs::remove_file(entry.path()).context(|| format!("remove {name}"))?;
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
    let (_, prelude) = embedded::template("vagrant/prelude.sh")
        .ok_or_else(|| Error::failed("export the lab", "this `lab` carries no prelude for Vagrant"))?;
    let image = image(&lab.image)?;
    Ok(files(&Parts { lab, steps: &steps, image, prelude, capture: capture::script() }))
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
