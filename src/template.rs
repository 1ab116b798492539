//! Templates in scalars: minijinja, strict about undefined names, bounded in what it may compute.

use minijinja::syntax::SyntaxConfig;
use minijinja::value::Serde;
use minijinja::{Environment, ErrorKind, UndefinedBehavior};
use serde_json::{Map, Value as Json};
use std::collections::BTreeSet;
use std::ops::Range;

/// Steps that one rendering may take; a template that never ends stops here.
const FUEL: u64 = 200_000;
/// Bytes that one rendering may make.
const MAX_OUTPUT: usize = 4 << 20;

/// What a template may name.
pub type Scope = Map<String, Json>;

/// Renders `text`. The reason of a refusal names the line inside the text.
pub fn render(text: &str, scope: &Scope) -> Result<String, String> {
    if !is_template(text) {
        return Ok(text.to_owned());
    }
    let env = environment();
    let out = env.render_str(text, Serde(scope)).map_err(|e| explain(&e))?;
    if out.len() > MAX_OUTPUT {
        return Err(format!("the result is larger than {MAX_OUTPUT} bytes"));
    }
    Ok(out)
}

/// Why a text cannot be rendered, and which part of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Refusal {
    pub why: String,
    /// Bytes of the text.
    pub at: Option<Range<usize>>,
}

impl Refusal {
    /// The reason with the part it is about, for people.
    pub fn explain(&self, text: &str) -> String {
        let Some(part) = self.at.clone().and_then(|at| text.get(at)) else { return self.why.clone() };
        let what = self.why.replace("undefined value", "is not defined");
        let line = self.line(text).filter(|_| text.contains('\n')).map(|l| format!(" (line {l})")).unwrap_or_default();
        if what.starts_with("is not") { format!("`{part}` {what}{line}") } else { format!("{what}: `{part}`{line}") }
    }

    /// The line of the text, from 1.
    pub fn line(&self, text: &str) -> Option<usize> {
        let before = text.get(..self.at.as_ref()?.start)?;
        Some(before.matches('\n').count() + 1)
    }
}

/// Renders `text` in each scope, to see that it can be.
///
/// # Errors
/// The first refusal, with the number of its scope.
pub fn try_out(text: &str, scopes: &[Scope]) -> Result<(), (usize, Refusal)> {
    if !is_template(text) {
        return Ok(());
    }
    let mut env = environment();
    // Keeps what an error needs to tell its place.
    env.set_debug(true);
    let refusal = |e: &minijinja::Error| {
        // What is undefined, the part itself says.
        let detail = e.detail().filter(|_| e.kind() != ErrorKind::UndefinedError || e.range().is_none());
        let detail = detail.map(|d| format!(": {d}")).unwrap_or_default();
        Refusal { why: format!("{}{detail}", e.kind()), at: e.range() }
    };
    let template = env.template_from_str(text).map_err(|e| (0, refusal(&e)))?;
    for (number, scope) in scopes.iter().enumerate() {
        template.render(Serde(scope)).map_err(|e| (number, refusal(&e)))?;
    }
    Ok(())
}

/// The dotted names that `text` uses and does not define itself: `node.name`, `outputs.token.value`.
pub fn names(text: &str) -> Result<BTreeSet<String>, String> {
    if !is_template(text) {
        return Ok(BTreeSet::new());
    }
    let env = environment();
    let template = env.template_from_str(text).map_err(|e| explain(&e))?;
    Ok(template.undeclared_variables(true).into_iter().collect())
}

/// Whether rendering could change the text.
pub fn is_template(text: &str) -> bool {
    text.contains("{{") || text.contains("{%") || text.contains("{#")
}

fn environment() -> Environment<'static> {
    let mut env = Environment::new();
    env.set_undefined_behavior(UndefinedBehavior::Strict);
    env.set_fuel(Some(FUEL));
    env.set_syntax(syntax());
    // Scripts are the most common target: `| sh` makes any text one word of a shell.
    env.add_filter("sh", |text: String| quote(&text));
    env
}

/// Block lines leave no empty lines behind, and a file keeps its last newline.
fn syntax() -> SyntaxConfig {
    let mut syntax = SyntaxConfig::builder();
    syntax.trim_blocks(true).lstrip_blocks(true).keep_trailing_newline(true);
    syntax.build().unwrap_or_default()
}

/// One word for a POSIX shell.
pub fn quote(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

fn explain(error: &minijinja::Error) -> String {
    let detail = error.detail().map(|d| format!(": {d}")).unwrap_or_default();
    let line = error.line().map(|l| format!(" (line {l} of the template)")).unwrap_or_default();
    format!("{}{detail}{line}", error.kind())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn scope(json: Json) -> Scope {
        json.as_object().unwrap().clone()
    }

    #[test]
    fn renders_and_is_strict() {
        let scope = scope(json!({"a": "x", "node": {"name": "n1"}}));
        assert_eq!(render("{{ a }}-{{ node.name }}\n", &scope).unwrap(), "x-n1\n");
        assert!(render("{{ b }}", &scope).unwrap_err().contains("undefined"));
        assert!(render("{{ node.b }}", &scope).is_err());
        assert!(render("l1\n{% if %}", &scope).unwrap_err().contains("line 2"));
        assert_eq!(render("{{ \"it's\" | sh }}", &scope).unwrap(), r"'it'\''s'");
    }

    #[test]
    fn a_template_that_never_ends_is_stopped() {
        let text = "{% for a in range(9999) %}{% for b in range(9999) %}x{% endfor %}{% endfor %}";
        assert!(render(text, &Scope::new()).is_err());
    }

    #[test]
    fn a_refusal_tells_its_part() {
        let scope = scope(json!({"nodes": [{"name": "n1"}]}));
        let text = "a\n{% for n in nodes %}{{ n.nme }}{% endfor %}";
        let (number, refusal) = try_out(text, std::slice::from_ref(&scope)).unwrap_err();
        assert_eq!((number, refusal.explain(text).as_str()), (0, "`n.nme` is not defined (line 2)"));
        let filter = try_out("{{ nodes | lenth }}", std::slice::from_ref(&scope)).unwrap_err().1;
        assert!(filter.explain("{{ nodes | lenth }}").contains("lenth"), "{filter:?}");
        assert_eq!(try_out("{{ nodes | length }}", &[scope]), Ok(()));
    }

    #[test]
    fn names_are_dotted() {
        let found = names("{{ outputs.token.value }} {% for n in nodes %}{{ n.name }}{% endfor %}").unwrap();
        assert!(found.contains("outputs.token.value") && found.contains("nodes"), "{found:?}");
    }

    proptest! {
        #[test]
        fn never_panics(text in "([{}% a-z.|()'\"\\[\\]0-9\n-]){0,80}") {
            let _ = render(&text, &Scope::new());
            let _ = names(&text);
        }

        #[test]
        fn a_quoted_word_is_one_word(text in "[ -~\n]{0,40}") {
            let out = std::process::Command::new("sh").arg("-c").arg(format!("printf %s {}", quote(&text))).output().unwrap();
            prop_assert_eq!(String::from_utf8(out.stdout).unwrap(), text);
        }
    }
}
