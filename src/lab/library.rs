//! Where composite steps, probes and files of a lab are looked up.

/// The templates beside the lab file and in the binary.
#[derive(Clone, Copy)]
pub(super) struct Library<'a> {
    pub find: &'a dyn Fn(&str) -> Option<(String, String)>,
    /// The paths of all of them, for "did you mean".
    pub all: &'a [String],
}

impl Library<'_> {
    /// A template by its path below `templates/`: its name for messages and its text. A path that leaves the folder finds
    /// nothing.
    pub fn find(&self, path: &str) -> Option<(String, String)> {
        safe(path).then(|| (self.find)(path)).flatten()
    }

    /// What is there between a folder and an ending.
    pub fn names(&self, folder: &str, ending: &str) -> Vec<String> {
        let inside = |p: &String| Some(p.strip_prefix(folder)?.strip_suffix(ending)?.to_owned());
        self.all.iter().filter_map(inside).collect()
    }
}

/// Whether a path stays below the folder it is looked up in.
fn safe(path: &str) -> bool {
    !path.starts_with('/') && path.split('/').all(|part| !part.is_empty() && part != ".." && part != ".")
}
