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
        finished(recipe, &problems, file, text)
    }
}

/// An image of a lab's own folder: one of the box with more packages.
///
/// It has neither files nor a script: both would run on the host while the image is built, and a lab file is to be
/// trusted with its nodes alone. Steps write files and run scripts on nodes.
impl Recipe {
    /// Reads such a recipe; `base` gives the recipes of the box.
    ///
    /// # Errors
    /// All problems at once, with their places.
    pub fn derived(text: &str, file: &str, base: impl Fn(&str) -> Option<Recipe>) -> Result<Self> {
        let mut problems = Problems::default();
        let recipe = match parse(text) {
            Ok(tree) => read_derived(&tree, base, &mut problems),
            Err(problem) => {
                problems.add(problem);
                None
            }
        };
        finished(recipe, &problems, file, text)
    }
}

fn finished(recipe: Option<Recipe>, problems: &Problems, file: &str, text: &str) -> Result<Recipe> {
    match recipe {
        Some(recipe) if problems.is_empty() => Ok(recipe),
        _ => Err(Error::input(format!("use the image recipe {file}"), problems.render(file, text))),
    }
}

fn read_derived(tree: &Node, base: impl Fn(&str) -> Option<Recipe>, problems: &mut Problems) -> Option<Recipe> {
    let mut map = MapReader::new(tree, "an image of a lab's folder", problems)?;
    for key in ["image", "base", "packages"] {
        map.required(key, problems);
    }
    let name = map.text("image", problems).map(str::to_owned);
    let named = map.text("base", problems).map(str::to_owned);
    let below = named.as_deref().and_then(base);
    if let (Some(named), None) = (&named, &below) {
        problems.add(Problem::new(map.span(), format!("there is no image `{named}` in the box to stand on")));
    }
    let more = map.texts("packages", problems);
    for (package, span) in more.iter().filter(|(package, _)| !is_package(package)) {
        problems.add(Problem::new(*span, format!("`{package}` is no name of a Debian package")));
    }
    let more: Vec<String> = more.into_iter().map(|(package, _)| package.to_owned()).collect();
    map.finish(problems);
    let below = below?;
    let packages = below.packages.iter().cloned().chain(more).collect();
    Some(Recipe { name: name?, packages, ..below })
}

/// Debian Policy 5.6.1: lower case letters, digits, plus, minus and full stop, a letter or digit first.
fn is_package(name: &str) -> bool {
    let letter = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    name.len() >= 2 && letter(name.as_bytes()[0]) && name.bytes().all(|b| letter(b) || b"+-.".contains(&b))
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
    fn an_image_of_a_labs_folder_is_one_of_the_box_with_more_packages() {
        let plain = Recipe::parse("image: plain\nsuite: trixie\npackages: [dbus]\nrun: x\n", "plain").unwrap();
        let derived = |text: &str| Recipe::derived(text, "own", |name| (name == "plain").then(|| plain.clone()));
        let own = derived("image: own\nbase: plain\npackages: [nginx, g++]\n").unwrap();
        assert_eq!(own, Recipe { name: "own".into(), packages: texts(&["dbus", "nginx", "g++"]), ..plain.clone() });
        for bad in ["--x", "./a.deb", "a b", "?x", "a/b", "A", "a"] {
            let why = derived(&format!("image: own\nbase: plain\npackages: ['{bad}']\n")).unwrap_err().why;
            assert!(why.contains("no name of a Debian package"), "{why}");
        }
        for more in ["run: id", "files: {/x: {content: y}}", "suite: sid", "parts: {/a: b/c}"] {
            let why = derived(&format!("image: own\nbase: plain\npackages: [nginx]\n{more}\n")).unwrap_err().why;
            assert!(why.contains("allowed in an image of a lab's folder: base, image, packages"), "{why}");
        }
        assert!(derived("image: own\nbase: x\npackages: [nginx]\n").unwrap_err().why.contains("no image `x`"));
    }

    fn texts(all: &[&str]) -> Vec<String> {
        all.iter().map(|t| (*t).to_owned()).collect()
    }

    #[test]
    fn paths_stay_inside() {
        let text =
            "image: x\nsuite: trixie\nfiles: {/etc/../../x: {content: a}, etc/y: {content: b}}\nparts: {/a: p/f}\n";
        let why = Recipe::parse(text, "x").unwrap_err().why;
        assert!(why.matches("absolute path").count() == 2 && why.contains("need a `bundle`"), "{why}");
    }
}
