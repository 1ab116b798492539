//! What proves itself: a digest beside the content, so that what was torn or flipped is seen and never believed.

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value as Json};

/// The key that holds the digest in a file.
const CHECKSUM: &str = "checksum";

/// One line of a log: the digest, the value, a newline.
pub fn line<T: Serialize>(value: &T) -> serde_json::Result<String> {
    let json = serde_json::to_string(value)?;
    Ok(format!("{} {json}\n", digest(json.as_bytes())))
}

/// The value of a line, with or without its newline; None when it is not whole.
pub fn read_line<T: DeserializeOwned>(line: &[u8]) -> Option<T> {
    let line = std::str::from_utf8(line.strip_suffix(b"\n").unwrap_or(line)).ok()?;
    let (sum, json) = line.split_once(' ')?;
    (digest(json.as_bytes()) == sum).then(|| serde_json::from_str(json).ok())?
}

/// A file's text: an object as readable JSON, with the digest of its content.
pub fn file<T: Serialize>(value: &T) -> serde_json::Result<Vec<u8>> {
    let mut object: Map<String, Json> = serde_json::from_value(serde_json::to_value(value)?)?;
    object.insert(CHECKSUM.into(), Json::from(content(&object)?));
    serde_json::to_vec_pretty(&object)
}

/// The value of such a file.
///
/// # Errors
/// Why it is not believed.
pub fn read_file<T: DeserializeOwned>(text: &[u8]) -> Result<T, String> {
    let mut object: Map<String, Json> = serde_json::from_slice(text).map_err(|e| format!("it is damaged: {e}"))?;
    let sum = object.remove(CHECKSUM);
    let now = content(&object).map_err(|e| e.to_string())?;
    if sum != Some(Json::from(now)) {
        return Err("it is damaged: its content is not what was written".to_owned());
    }
    serde_json::from_value(Json::Object(object)).map_err(|e| format!("it is another `lab`'s: {e}"))
}

/// The digest of an object, whatever its spaces; its keys are sorted.
fn content(object: &Map<String, Json>) -> serde_json::Result<String> {
    Ok(digest(&serde_json::to_vec(object)?))
}

fn digest(bytes: &[u8]) -> String {
    blake3::hash(bytes).to_hex()[..16].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    type Value = BTreeMap<String, Vec<u64>>;

    fn value() -> Value {
        BTreeMap::from([("a".into(), vec![1, 2]), ("b".into(), vec![300])])
    }

    #[test]
    fn no_part_and_no_flip_of_a_file_is_taken_for_another_value() {
        let text = file(&value()).unwrap();
        assert_eq!(read_file::<Value>(&text), Ok(value()));
        for cut in 0..text.len() {
            assert!(read_file::<Value>(&text[..cut]).is_err(), "{cut} bytes");
        }
        for at in 0..text.len() {
            for flip in 1..=255 {
                let mut text = text.clone();
                text[at] ^= flip;
                // A space for a newline says the same.
                assert!(read_file::<Value>(&text).is_ok_and(|v| v == value()) || read_file::<Value>(&text).is_err());
            }
        }
    }

    #[test]
    fn no_flip_of_a_line_is_believed() {
        let text = line(&value()).unwrap().into_bytes();
        for at in 0..text.len() - 1 {
            for flip in 1..=255 {
                let mut text = text.clone();
                text[at] ^= flip;
                assert_eq!(read_line::<Value>(&text), None, "byte {at}, {flip}");
            }
        }
    }
}
