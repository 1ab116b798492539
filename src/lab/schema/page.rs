//! The table as the reference in docs/.

use super::table::{COMPOSITE, LAB, NAMED_PROBE, PARTS};
use super::{Key, Object, Shape};
use crate::lab::scope;
use std::fmt::Write;

/// The reference as Markdown.
pub fn page() -> String {
    let mut out =
        String::from("# Reference of the lab file\n\nMade from the schema; `lab schema` prints it for editors.\n");
    for object in [&LAB].into_iter().chain(PARTS).chain([&COMPOSITE, &NAMED_PROBE]) {
        section(object, &mut out);
    }
    out += "\n## What templates can name\n\n";
    out += "Values and inputs by their names; inputs hide values of the same name. Besides:\n\n";
    let fields = |names: &[&str]| names.iter().map(|n| format!("`{n}`")).collect::<Vec<_>>().join(", ");
    let _ = writeln!(out, "- `node`: the node it is rendered for, with {}", fields(&scope::NODE));
    let _ = writeln!(out, "- `nodes`: the list of all nodes");
    let _ = writeln!(out, "- `lab`: with {}", fields(&scope::LAB));
    let _ = writeln!(out, "- `driver`: what is true of its nodes, with {}", fields(&scope::DRIVER));
    out += "- `outputs.STEP.NAME`: what an earlier step left; in a composite step that of a sibling\n";
    out += "\nThe filter `sh` makes any text one word of a shell: `printf %s {{ greeting | sh }}`. A name that is not \
            there is an error, never an empty text.\n";
    out
}

fn section(object: &Object, out: &mut String) {
    let heading = match object.id {
        "probe" => "a probe's file".to_owned(),
        "composite" => "a composite step's file".to_owned(),
        "inline_probe" => "a probe in place".to_owned(),
        "probe_with_inputs" => "a probe with inputs".to_owned(),
        _ => object.what.to_owned(),
    };
    let _ = write!(out, "\n## {}{}\n\n{}\n\n", heading[..1].to_uppercase(), &heading[1..], object.about);
    out.push_str("| key | value | |\n| --- | --- | --- |\n");
    for Key { name, required, shape, about } in object.keys {
        let must = if *required { " (required)" } else { "" };
        let _ = writeln!(out, "| `{name}`{must} | {} | {about} |", words(shape));
    }
}

fn words(shape: &Shape) -> String {
    match shape {
        Shape::Text => "a text".to_owned(),
        Shape::Like(_, words) => (*words).to_owned(),
        Shape::OneOf(all) => all.iter().map(|w| format!("`{w}`")).collect::<Vec<_>>().join(", "),
        Shape::Types(types) => types.iter().map(|(w, _)| format!("`{w}`")).collect::<Vec<_>>().join(", "),
        Shape::Number(from, to) => format!("a number from {from} to {to}"),
        Shape::Flag => "`true` or `false`".to_owned(),
        Shape::Nothing => "nothing".to_owned(),
        Shape::Texts => "a text or a list of texts".to_owned(),
        Shape::Of(object) => object.what.to_owned(),
        Shape::ListOf(object) => format!("a list, each {}", object.what),
        Shape::MapOf(inner) | Shape::NamedMapOf(inner) => format!("a mapping, each {}", words(inner)),
        Shape::Languages => "texts by language".to_owned(),
        Shape::Either(shapes) => {
            let mut all: Vec<String> = shapes.iter().map(words).collect();
            all.dedup();
            all.join(", or ")
        }
    }
}
