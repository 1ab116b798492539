//! What a bundle is made of, as its recipe says. What the parts are for, nobody here knows.

use crate::error::{Error, Result};
use crate::yaml::{MapReader, Node, Problem, Problems, parse};

/// A bundle's recipe.
#[derive(Debug, Clone, PartialEq)]
pub struct Recipe {
    pub name: String,
    pub version: String,
    /// In the file's order; a part uses only parts above it.
    pub parts: Vec<PartRecipe>,
}

/// One part: some files, made by one producer.
#[derive(Debug, Clone, PartialEq)]
pub struct PartRecipe {
    pub name: String,
    pub producer: Producer,
    /// Where it comes from, for people: "k8s.io/kubernetes v1.34.4".
    pub origin: String,
    /// What it takes the place of, where it is not the real thing.
    pub stands_for: Option<String>,
    /// Names of parts whose files the producer reads.
    pub uses: Vec<String>,
}

/// Ways of making a part.
#[derive(Debug, Clone, PartialEq)]
pub enum Producer {
    /// `go build` in a folder of pins.
    Go(Go),
    /// A root file system of Debian packages, as `base.tar`.
    Debian { suite: String, packages: Vec<String> },
    /// A shell script that writes into `$OUT`; `$PART_name` are the folders of the parts it uses, `$DIR` is the
    /// recipe's folder.
    Run { script: String },
    /// Container images in one OCI layout.
    Images(Vec<ImageRecipe>),
}

/// A Go build.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Go {
    /// The folder of go.mod, below the recipe's folder.
    pub dir: String,
    pub packages: Vec<String>,
    /// The program's name where the package's last part is not it; for one package only.
    pub output: Option<String>,
    /// Static linking with C.
    pub cgo: bool,
    pub tags: Option<String>,
    /// Linker flags beside `-s -w`, in order.
    pub ldflags: Vec<String>,
}

/// One container image: an optional base layer, and a layer of its own.
#[derive(Debug, Clone, PartialEq)]
pub struct ImageRecipe {
    /// The canonical name: `registry.k8s.io/pause:3.10.1`.
    pub name: String,
    /// A part whose `base.tar` is the first layer.
    pub base: Option<String>,
    /// (path in the image, part/file).
    pub files: Vec<(String, String)>,
    pub entrypoint: Vec<String>,
    pub env: Vec<String>,
    /// What it takes the place of, or how its content differs from its name.
    pub stands_for: Option<String>,
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
            _ => Err(Error::input(format!("use the bundle recipe {file}"), problems.render(file, text))),
        }
    }
}

fn read(tree: &Node, problems: &mut Problems) -> Option<Recipe> {
    let mut map = MapReader::new(tree, "a bundle recipe", problems)?;
    map.required("bundle", problems);
    let name = map.text("bundle", problems);
    map.required("version", problems);
    let version = map.text("version", problems);
    let mut parts: Vec<PartRecipe> = Vec::new();
    for (key, node) in map.entries("parts", problems) {
        if let Some(part) = part(&key.text, node, problems) {
            for used in &part.uses {
                if !parts.iter().any(|p| p.name == *used) {
                    problems.add(Problem::new(
                        node.span,
                        format!("`{}` uses `{used}`, which is no part above it", part.name),
                    ));
                }
            }
            parts.push(part);
        }
    }
    map.finish(problems);
    Some(Recipe { name: name?.to_owned(), version: version?.to_owned(), parts })
}

fn part(name: &str, tree: &Node, problems: &mut Problems) -> Option<PartRecipe> {
    let mut map = MapReader::new(tree, "a part", problems)?;
    map.required("origin", problems);
    let origin = map.text("origin", problems).unwrap_or_default().to_owned();
    let stands_for = map.text("stands_for", problems).map(str::to_owned);
    let mut uses: Vec<String> = owned(map.texts("uses", problems));
    let mut producers = Vec::new();
    if let Some(node) = map.optional("go") {
        producers.extend(go(node, problems).map(Producer::Go));
    }
    if let Some(node) = map.optional("debian") {
        producers.extend(debian(node, problems));
    }
    if map.optional("run").is_some() {
        producers.extend(map.text("run", problems).map(|s| Producer::Run { script: s.to_owned() }));
    }
    if map.optional("images").is_some() {
        let images: Vec<ImageRecipe> =
            map.entries("images", problems).iter().filter_map(|(k, n)| image(&k.text, n, problems)).collect();
        for image in &images {
            let parts = image.files.iter().filter_map(|(_, from)| from.split('/').next());
            uses.extend(parts.map(str::to_owned).chain(image.base.clone()));
        }
        producers.push(Producer::Images(images));
    }
    if producers.len() != 1 {
        problems.add(Problem::new(map.span(), "a part has exactly one of: go, debian, run, images"));
    }
    map.finish(problems);
    uses.sort();
    uses.dedup();
    Some(PartRecipe { name: name.to_owned(), producer: producers.pop()?, origin, stands_for, uses })
}

fn owned(texts: Vec<(&str, crate::yaml::Span)>) -> Vec<String> {
    texts.into_iter().map(|(t, _)| t.to_owned()).collect()
}

fn go(tree: &Node, problems: &mut Problems) -> Option<Go> {
    let mut map = MapReader::new(tree, "a Go build", problems)?;
    map.required("dir", problems);
    let dir = map.text("dir", problems);
    let packages = owned(map.texts("packages", problems));
    let output = map.text("output", problems).map(str::to_owned);
    let cgo = map.flag("cgo", problems);
    let tags = map.text("tags", problems).map(str::to_owned);
    let ldflags = owned(map.texts("ldflags", problems));
    map.finish(problems);
    Some(Go { dir: dir?.to_owned(), packages, output, cgo, tags, ldflags })
}

fn debian(tree: &Node, problems: &mut Problems) -> Option<Producer> {
    let mut map = MapReader::new(tree, "a Debian base", problems)?;
    map.required("suite", problems);
    let suite = map.text("suite", problems);
    let packages = owned(map.texts("packages", problems));
    map.finish(problems);
    Some(Producer::Debian { suite: suite?.to_owned(), packages })
}

fn image(name: &str, tree: &Node, problems: &mut Problems) -> Option<ImageRecipe> {
    let mut map = MapReader::new(tree, "a container image", problems)?;
    let base = map.text("base", problems).map(str::to_owned);
    let mut files = Vec::new();
    for (path, from) in map.entries("files", problems) {
        match from.text() {
            Some(from) if path.text.starts_with('/') => files.push((path.text.clone(), from.to_owned())),
            _ => problems.add(Problem::new(path.span, "files are written `/path/in/image: part/file`")),
        }
    }
    let entrypoint = owned(map.texts("entrypoint", problems));
    let env = owned(map.texts("env", problems));
    let stands_for = map.text("stands_for", problems).map(str::to_owned);
    map.finish(problems);
    Some(ImageRecipe { name: name.to_owned(), base, files, entrypoint, env, stands_for })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_parts_and_what_they_use() {
        let text = "bundle: b\nversion: 1\nparts:\n  tool: {origin: o, go: {dir: go/x, packages: [./a, ./b]}}\n  oci:\n    origin: here\n    images:\n      r/x:1: {files: {/bin/a: tool/a}, entrypoint: /bin/a}\n";
        let recipe = Recipe::parse(text, "b.yaml").unwrap();
        assert_eq!(recipe.parts[1].uses, ["tool"]);
        let Producer::Images(images) = &recipe.parts[1].producer else { panic!() };
        assert_eq!(images[0].files, [("/bin/a".to_owned(), "tool/a".to_owned())]);
    }

    #[test]
    fn refuses_with_places() {
        let text = "bundle: b\nversion: 1\nparts:\n  a: {origin: o, go: {dir: x}, run: y}\n  b: {origin: o, run: z, uses: nope}\n";
        let why = Recipe::parse(text, "b.yaml").unwrap_err().why;
        assert!(why.contains("exactly one of") && why.contains("no part above it"), "{why}");
    }
}
