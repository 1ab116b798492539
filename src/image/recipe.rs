//! What an image is made of: Debian packages, files, parts of a bundle, and a script run in it while it is built.

use crate::error::{Error, Result};
use crate::yaml::{MapReader, Node, Problem, Problems, parse};

/// An image's recipe.
#[derive(Debug, Clone, PartialEq)]
pub struct Recipe {
    pub name: String,
    /// The Debian suite.
    pub suite: String,
    pub packages: Vec<String>,
    /// The bundle whose parts it uses.
    pub bundle: Option<String>,
    /// (path in the image, part/file of the bundle); executable.
    pub parts: Vec<(String, String)>,
    /// Parts of the bundle that the script reads, whole, below `$LAB_BUNDLE`; they do not stay in the image.
    pub script_parts: Vec<String>,
    pub files: Vec<File>,
    /// Run by bash in the image, without a network. Lines that begin with `lab: ` are shown as progress.
    pub run: Option<String>,
}

/// A file of the image.
#[derive(Debug, Clone, PartialEq)]
pub struct File {
    pub path: String,
    pub content: String,
    pub mode: u32,
}

impl Recipe {
    /// Reads a recipe; `file` is its name in messages.
    ///
    /// # Errors
    /// All problems at once, with their places.
    pub fn parse(text: &str, file: &str) -> Result<Self> {
        let mut problems = Problems::default();
        let recipe = match parse(text) {
            Ok(tree) => read(&tree, &mut problems),
            Err(problem) => {
                problems.add(problem);
                None
            }
        };
        match recipe {
            Some(recipe) if problems.is_empty() => Ok(recipe),
            _ => Err(Error::input(format!("use the image recipe {file}"), problems.render(file, text))),
        }
    }
}

fn read(tree: &Node, problems: &mut Problems) -> Option<Recipe> {
    let mut map = MapReader::new(tree, "an image recipe", problems)?;
    map.required("image", problems);
    let name = map.text("image", problems);
    map.required("suite", problems);
    let suite = map.text("suite", problems);
    let bundle = map.text("bundle", problems).map(str::to_owned);
    let packages: Vec<String> = map.texts("packages", problems).into_iter().map(|(t, _)| t.to_owned()).collect();
    let mut parts = Vec::new();
    for (path, from) in map.entries("parts", problems) {
        match from.text() {
            Some(from) if inside(&path.text) && from.contains('/') => parts.push((path.text.clone(), from.to_owned())),
            _ => problems.add(Problem::new(path.span, "parts are written `/path/in/image: part/file`")),
        }
    }
    let script_parts: Vec<String> =
        map.texts("script_parts", problems).into_iter().map(|(t, _)| t.to_owned()).collect();
    if bundle.is_none() && !(parts.is_empty() && script_parts.is_empty()) {
        problems.add(Problem::new(map.span(), "`parts` and `script_parts` need a `bundle` to take them from"));
    }
    let files = map.entries("files", problems).iter().filter_map(|(k, n)| file(&k.text, n, problems)).collect();
    let run = map.text("run", problems).map(str::to_owned);
    map.finish(problems);
    Some(Recipe { name: name?.to_owned(), suite: suite?.to_owned(), packages, bundle, parts, script_parts, files, run })
}

/// Whether a path names a place inside the image and nowhere else.
fn inside(path: &str) -> bool {
    path.starts_with('/') && path.split('/').skip(1).all(|part| !part.is_empty() && part != ".." && part != ".")
}

fn file(path: &str, tree: &Node, problems: &mut Problems) -> Option<File> {
    let mut map = MapReader::new(tree, "a file of an image", problems)?;
    map.required("content", problems);
    let content = map.text("content", problems);
    let mode = map.text("mode", problems).unwrap_or("0644");
    let mode = u32::from_str_radix(mode, 8).ok().filter(|m| *m <= 0o7777);
    if mode.is_none() || !inside(path) {
        problems.add(Problem::new(map.span(), format!("`{path}` needs an absolute path and a mode like 0644")));
    }
    map.finish(problems);
    Some(File { path: path.to_owned(), content: content?.to_owned(), mode: mode? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_recipes_in_the_box_are_good() {
        for name in ["plain", "kubernetes"] {
            let path = format!("{}/templates/images/{name}.yaml", env!("CARGO_MANIFEST_DIR"));
            let recipe = Recipe::parse(&std::fs::read_to_string(path).unwrap(), name).unwrap();
            assert_eq!(recipe.name, name);
            assert!(recipe.packages.contains(&"openssh-server".to_owned()));
        }
    }

    #[test]
    fn paths_stay_inside() {
        let text =
            "image: x\nsuite: trixie\nfiles: {/etc/../../x: {content: a}, etc/y: {content: b}}\nparts: {/a: p/f}\n";
        let why = Recipe::parse(text, "x").unwrap_err().why;
        assert!(why.matches("absolute path").count() == 2 && why.contains("need a `bundle`"), "{why}");
    }
}
