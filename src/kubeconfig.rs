//! The file that clients of a cluster read: clusters, users, and contexts that join one of each. A lab's is made part
//! of the user's own under one name, and taken out again. Pure text to text; what else is in the file stays.

use crate::yaml::{Key, Node, Span, Value, parse, write};

/// The three lists, and the key under which an entry has its content.
const LISTS: [(&str, &str); 3] = [("clusters", "cluster"), ("users", "user"), ("contexts", "context")];

/// The user's file with the lab's current cluster, user and context in it, all called `name`; an earlier one of that
/// name is replaced. The current context stays the user's, where there is one.
///
/// # Errors
/// One of the two is no such file; the reason is for people.
pub fn merge(user: Option<&str>, lab: &str, name: &str) -> Result<String, String> {
    let lab = read(lab)?;
    let mut tree = match user.filter(|text| !text.trim().is_empty()) {
        Some(text) => read(text)?,
        None => map(vec![("apiVersion", text("v1")), ("kind", text("Config"))]),
    };
    let context = content(&lab, "contexts", "context", &current(&lab).ok_or("it has no current context")?)?;
    let of = |list: &str, key: &str| {
        let called = field(&context, key).and_then(Node::text).ok_or(format!("its context names no {key}"))?;
        content(&lab, list, key, called)
    };
    let (cluster, account) = (of("clusters", "cluster")?, of("users", "user")?);
    let mut context = context;
    set(&mut context, "cluster", text(name));
    set(&mut context, "user", text(name));
    for ((list, key), entry) in LISTS.into_iter().zip([cluster, account, context]) {
        drop_entry(&mut tree, list, name);
        let entry = map(vec![(key, entry), ("name", text(name))]);
        match entries(&mut tree, list) {
            Some(items) => items.push(entry),
            None => set(&mut tree, list, node(Value::List(vec![entry]))),
        }
    }
    if current(&tree).is_none() {
        set(&mut tree, "current-context", text(name));
    }
    Ok(write(&tree))
}

/// The user's file without the entries of this name; None when there are none.
///
/// # Errors
/// It is no such file.
pub fn remove(user: &str, name: &str) -> Result<Option<String>, String> {
    let mut tree = read(user)?;
    let mut any = false;
    for (list, _) in LISTS {
        any |= drop_entry(&mut tree, list, name);
    }
    if current(&tree).is_some_and(|c| c == name) {
        set(&mut tree, "current-context", node(Value::Scalar { text: String::new(), quoted: true }));
        any = true;
    }
    Ok(any.then(|| write(&tree)))
}

fn read(source: &str) -> Result<Node, String> {
    let tree = parse(source).map_err(|p| format!("line {}: {}", p.span.line, p.message))?;
    match tree.value {
        Value::Map(_) => Ok(tree),
        _ => Err(format!("it is {}, not a mapping", tree.kind())),
    }
}

fn current(tree: &Node) -> Option<String> {
    field(tree, "current-context").and_then(Node::text).filter(|t| !t.is_empty()).map(str::to_owned)
}

fn field<'a>(tree: &'a Node, key: &str) -> Option<&'a Node> {
    match &tree.value {
        Value::Map(entries) => entries.iter().find(|(k, _)| k.text == key).map(|(_, v)| v),
        _ => None,
    }
}

/// The content of the entry of this name.
fn content(tree: &Node, list: &str, key: &str, name: &str) -> Result<Node, String> {
    let items = match field(tree, list).map(|n| &n.value) {
        Some(Value::List(items)) => items.as_slice(),
        _ => &[],
    };
    let found = items.iter().find(|item| field(item, "name").and_then(Node::text) == Some(name));
    found.and_then(|item| field(item, key)).cloned().ok_or(format!("it has no {key} `{name}`"))
}

fn entries<'a>(tree: &'a mut Node, list: &str) -> Option<&'a mut Vec<Node>> {
    let Value::Map(all) = &mut tree.value else { return None };
    match all.iter_mut().find(|(k, _)| k.text == list).map(|(_, v)| &mut v.value) {
        Some(Value::List(items)) => Some(items),
        _ => None,
    }
}

fn drop_entry(tree: &mut Node, list: &str, name: &str) -> bool {
    let Some(items) = entries(tree, list) else { return false };
    let before = items.len();
    items.retain(|item| field(item, "name").and_then(Node::text) != Some(name));
    items.len() < before
}

fn set(tree: &mut Node, key: &str, value: Node) {
    let Value::Map(all) = &mut tree.value else { return };
    match all.iter_mut().find(|(k, _)| k.text == key) {
        Some((_, old)) => *old = value,
        None => all.push((Key { text: key.to_owned(), span: Span::default() }, value)),
    }
}

fn node(value: Value) -> Node {
    Node { value, span: Span::default() }
}

fn text(text: &str) -> Node {
    node(Value::Scalar { text: text.to_owned(), quoted: false })
}

fn map(entries: Vec<(&str, Node)>) -> Node {
    let key = |text: &str| Key { text: text.to_owned(), span: Span::default() };
    node(Value::Map(entries.into_iter().map(|(k, v)| (key(k), v)).collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LAB: &str = "apiVersion: v1\nclusters:\n- cluster:\n    certificate-authority-data: Q0E=\n    server: https://127.0.0.1:20001\n  name: kubernetes\ncontexts:\n- context:\n    cluster: kubernetes\n    user: kubernetes-admin\n  name: kubernetes-admin@kubernetes\ncurrent-context: kubernetes-admin@kubernetes\nkind: Config\nusers:\n- name: kubernetes-admin\n  user:\n    client-key-data: S0VZ\n";
    const MINE: &str = "apiVersion: v1\nkind: Config\ncurrent-context: work\npreferences: {}\nclusters:\n- cluster:\n    server: https://work\n    insecure-skip-tls-verify: true\n  name: work\nusers:\n- name: me\n  user:\n    exec:\n      args:\n      - \"--on\"\n      - \"1\"\n      env: null\ncontexts:\n- context:\n    cluster: work\n    user: me\n  name: work\n";

    #[test]
    fn a_first_file_is_the_labs_alone_under_its_name() {
        let merged = merge(None, LAB, "lab-x").unwrap();
        assert_eq!(
            merged,
            "apiVersion: v1\nkind: Config\nclusters:\n- cluster:\n    certificate-authority-data: Q0E=\n    server: https://127.0.0.1:20001\n  name: lab-x\nusers:\n- user:\n    client-key-data: S0VZ\n  name: lab-x\ncontexts:\n- context:\n    cluster: lab-x\n    user: lab-x\n  name: lab-x\ncurrent-context: lab-x\n"
        );
        assert_eq!(merge(Some(&merged), LAB, "lab-x").unwrap(), merged, "again changes nothing");
    }

    #[test]
    fn what_is_the_users_stays_and_the_labs_is_taken_out_again() {
        let merged = merge(Some(MINE), LAB, "lab-x").unwrap();
        for part in [
            "current-context: work\n",
            "- name: me\n  user:\n    exec:\n      args:\n      - \"--on\"\n      - \"1\"\n      env: null\n",
        ] {
            assert!(merged.contains(part), "{merged}");
        }
        assert_eq!(merged.matches("lab-x").count(), 5);
        let moved = merge(Some(&merged), &LAB.replace("20001", "20002"), "lab-x").unwrap();
        assert!(moved.contains("20002") && !moved.contains("20001"));
        assert_eq!(remove(&moved, "lab-x").unwrap().unwrap(), MINE);
        assert_eq!(remove(MINE, "lab-x").unwrap(), None);
        let alone = merge(None, LAB, "lab-x").unwrap();
        let emptied = remove(&alone, "lab-x").unwrap().unwrap();
        assert!(emptied.contains("clusters: []") && emptied.contains("current-context: \"\""), "{emptied}");
        assert!(merge(Some(&emptied), LAB, "lab-x").unwrap().contains("current-context: lab-x"));
    }

    #[test]
    fn what_is_no_such_file_is_refused() {
        assert!(merge(Some("- a\n"), LAB, "x").unwrap_err().contains("not a mapping"));
        assert!(merge(None, "a: b\n", "x").unwrap_err().contains("no current context"));
        assert!(merge(Some("a: [\n"), LAB, "x").is_err());
        let json = r#"{"apiVersion": "v1", "clusters": null, "contexts": [], "users": []}"#;
        assert!(merge(Some(json), LAB, "x").unwrap().contains("clusters:\n- cluster:"));
    }
}
