//! Words of an iptables-save line, as `xtables_save_string` writes them: separated by spaces, quoted where needed.

/// One word of a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Token {
    /// The word without its quotes and escapes.
    pub text: String,
    /// Whether it stood in quotes; such a word is never an option, whatever it looks like.
    pub quoted: bool,
}

impl Token {
    /// Whether this word names an option: `-s`, `--dport`. A quoted word and a negative number do not.
    pub fn is_option(&self) -> bool {
        let bytes = self.text.as_bytes();
        !self.quoted && bytes.len() > 1 && bytes[0] == b'-' && !bytes[1].is_ascii_digit()
    }

    /// Whether this word negates the option beside it.
    pub fn is_not(&self) -> bool {
        !self.quoted && self.text == "!"
    }
}

/// Splits a line into words; `None` when a quote is not closed, or stands inside a word.
pub(super) fn split(line: &str) -> Option<Vec<Token>> {
    let mut tokens = Vec::with_capacity(24);
    let mut rest = line;
    loop {
        rest = rest.trim_start_matches([' ', '\t']);
        if rest.is_empty() {
            return Some(tokens);
        }
        if let Some(inside) = rest.strip_prefix('"') {
            let (text, after) = quoted(inside)?;
            if !after.is_empty() && !after.starts_with([' ', '\t']) {
                return None;
            }
            tokens.push(Token { text, quoted: true });
            rest = after;
        } else {
            let end = rest.find([' ', '\t']).unwrap_or(rest.len());
            let (word, after) = rest.split_at(end);
            if word.contains('"') {
                return None;
            }
            tokens.push(Token { text: word.to_string(), quoted: false });
            rest = after;
        }
    }
}

/// Reads up to the closing quote; a backslash takes the next character as it is.
fn quoted(inside: &str) -> Option<(String, &str)> {
    // Nearly all comments have no escapes; they are taken whole.
    let end = inside.find(['"', '\\'])?;
    if inside.as_bytes()[end] == b'"' {
        return Some((inside[..end].to_string(), &inside[end + 1..]));
    }
    let mut text = String::new();
    let mut chars = inside.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Some((text, &inside[at + 1..])),
            '\\' => text.push(chars.next()?.1),
            c => text.push(c),
        }
    }
    None
}

/// Appends a word; `quoted` words get the quotes and escapes that iptables-save writes.
pub(super) fn print(out: &mut String, text: &str, quoted: bool) {
    if !quoted {
        out.push_str(text);
        return;
    }
    out.push('"');
    for c in text.chars() {
        if matches!(c, '"' | '\\' | '\'') {
            out.push('\\');
        }
        out.push(c);
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(line: &str) -> Option<Vec<String>> {
        split(line).map(|t| t.into_iter().map(|t| t.text).collect())
    }

    #[test]
    fn words_and_quotes() {
        assert_eq!(
            texts(r#"-A X  --comment "a \"b\" \\ c" -j"#).unwrap(),
            ["-A", "X", "--comment", r#"a "b" \ c"#, "-j"]
        );
        assert_eq!(texts(r#"--comment "open"#), None);
        assert_eq!(texts(r#"a"b"#), None);
        assert_eq!(texts(r#""a"b"#), None);
    }

    #[test]
    fn a_quoted_dash_is_no_option() {
        let tokens = split(r#"--log-prefix "-j DROP" --ttl -1 "!" !"#).unwrap();
        assert_eq!(tokens.iter().map(Token::is_option).collect::<Vec<_>>(), [true, false, true, false, false, false]);
        assert_eq!(tokens.iter().filter(|t| t.is_not()).count(), 1);
    }
}
