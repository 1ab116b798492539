//! The table as a JSON Schema (draft 2020-12), for editors.

use super::table::PARTS;
use super::{File, Key, Object, Shape};
use serde_json::{Map, Value as Json, json};

/// The schema of a file.
pub fn schema(file: File) -> Json {
    let mut schema = object(file.object());
    let parts: Map<String, Json> = PARTS.iter().map(|part| (part.id.to_owned(), object(part))).collect();
    schema["$schema"] = json!("https://json-schema.org/draft/2020-12/schema");
    schema["title"] = json!(file.object().what);
    schema["$defs"] = Json::Object(parts);
    schema
}

fn object(object: &Object) -> Json {
    let properties: Map<String, Json> = object.keys.iter().map(|key| (key.name.to_owned(), property(key))).collect();
    let required: Vec<&str> = object.keys.iter().filter(|k| k.required).map(|k| k.name).collect();
    let mut schema = json!({
        "type": "object",
        "description": object.about,
        "properties": properties,
        "additionalProperties": false,
    });
    if !required.is_empty() {
        schema["required"] = json!(required);
    }
    if let Json::Object(rules) = rules(object.id)
        && let Json::Object(schema) = &mut schema
    {
        schema.extend(rules);
    }
    schema
}

/// A key that may be missing may have no value too; an action is there or not.
fn property(key: &Key) -> Json {
    let mut schema = shape(&key.shape);
    if !key.required {
        schema = json!({"anyOf": [schema, {"type": "null"}]});
    }
    schema["description"] = json!(key.about);
    schema
}

fn shape(shape: &Shape) -> Json {
    match shape {
        Shape::Text => json!({"type": ["string", "number", "boolean"]}),
        Shape::Like(pattern, words) => {
            json!({"type": ["string", "number", "boolean"], "pattern": pattern, "description": words})
        }
        Shape::OneOf(words) => json!({"enum": words}),
        Shape::Types(types) => json!({"enum": types.iter().map(|(name, _)| *name).collect::<Vec<_>>()}),
        Shape::Number(from, to) => {
            json!({"type": ["integer", "string"], "minimum": from, "maximum": to, "pattern": "^[0-9]+$"})
        }
        Shape::Flag => json!({"type": "boolean"}),
        Shape::Nothing => json!({"type": "null"}),
        Shape::Texts => {
            let text = self::shape(&Shape::Text);
            json!({"anyOf": [text, {"type": "array", "items": text}]})
        }
        Shape::Of(object) => json!({"$ref": format!("#/$defs/{}", object.id)}),
        Shape::ListOf(object) => json!({"type": "array", "items": {"$ref": format!("#/$defs/{}", object.id)}}),
        Shape::MapOf(inner) => json!({"type": "object", "additionalProperties": self::shape(inner)}),
        Shape::NamedMapOf(inner) => json!({
            "type": "object",
            "additionalProperties": self::shape(inner),
            "propertyNames": {"pattern": "^[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?$"},
        }),
        Shape::Languages => json!({
            "type": "object",
            "additionalProperties": self::shape(&Shape::Text),
            "propertyNames": {"pattern": "^[a-z][a-z]$"},
        }),
        Shape::Either(shapes) => json!({"anyOf": shapes.iter().map(self::shape).collect::<Vec<_>>()}),
    }
}

/// What keys of one mapping say about each other.
fn rules(id: &str) -> Json {
    let has = |key: &str| json!({"required": [key], "properties": {key: {"not": {"type": "null"}}}});
    let only_one = |keys: &[&str]| Json::from(keys.iter().map(|key| has(key)).collect::<Vec<_>>());
    match id {
        "step" => {
            let actions = ["run", "upload", "template", "wait", "uses", "observe"];
            let mut one = vec![json!({"allOf": [has("check"), {"not": {"anyOf": only_one(&actions)}}]})];
            one.extend(actions.iter().map(|key| has(key)));
            json!({ "oneOf": one })
        }
        "file" => json!({"oneOf": only_one(&["from", "content"])}),
        "chapter" => json!({"oneOf": only_one(&["from", "text"])}),
        "check" => json!({"oneOf": only_one(&["link", "route", "chain", "pods", "service", "run"])}),
        _ => Json::Null,
    }
}
