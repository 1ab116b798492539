//! Templates in scalars: minijinja, strict about undefined names, bounded in what it may compute.

use minijinja::syntax::SyntaxConfig;
use minijinja::value::Serde;
use minijinja::{Environment, UndefinedBehavior};
use serde_json::{Map, Value as Json};
use std::collections::BTreeSet;

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

/// The dotted names that `text` uses and does not define itself: `node.name`, `outputs.token.value`.
pub fn names(text: &str) -> Result<BTreeSet<String>, String> {
    if !is_template(text) {
        return Ok(BTreeSet::new());
    }
    let env = environment();
    let template = env.template_from_str(text).map_err(|e| explain(&e))?;
    Ok(template.undeclared_variables(true).into_iter().collect())
}

fn is_template(text: &str) -> bool {
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
