//! A document as one HTML file that holds everything: no script, no request, light and dark, fit to print.

use super::document::Block;

const STYLE: &str = "\
:root{color-scheme:light dark;--bg:#fff;--text:#1c2330;--soft:#5b6675;--line:#d5dae1;--code:#f4f6f9;--plus:#166534;\
--minus:#b91c1c;--same:#92400e}\
@media(prefers-color-scheme:dark){:root{--bg:#12161d;--text:#e7ebf1;--soft:#a4afbd;--line:#343d4a;--code:#1c222c;\
--plus:#86efac;--minus:#fca5a5;--same:#fcd34d}}\
body{background:var(--bg);color:var(--text);font:16px/1.55 system-ui,'Noto Sans',sans-serif;margin:2rem auto;\
max-width:72rem;padding:0 1.25rem}\
h1{font-size:1.9rem}h2{margin-top:2.6rem;border-bottom:1px solid var(--line);padding-bottom:.3rem}h3{margin-top:1.8rem}\
pre{background:var(--code);border:1px solid var(--line);border-radius:6px;padding:.7rem .9rem;overflow-x:auto;\
font:13px/1.45 ui-monospace,'DejaVu Sans Mono',monospace}\
.prompt{color:var(--soft);user-select:none}.plus{color:var(--plus)}.minus{color:var(--minus)}.same{color:var(--same)}\
table{border-collapse:collapse;margin:1rem 0}th,td{text-align:left;padding:.35rem .8rem;border-bottom:1px solid var(--line);\
vertical-align:top}\
details{margin:.7rem 0}summary{cursor:pointer;font-weight:600}\
figure{margin:1rem 0;overflow-x:auto}figure svg{max-width:100%;height:auto}\
@media print{body{max-width:none;margin:0;font-size:11pt}pre{white-space:pre-wrap;overflow-wrap:anywhere;font-size:8.5pt}\
details::details-content{content-visibility:visible;block-size:auto}h2,h3{break-after:avoid}table,figure{break-inside:avoid}}";

/// The whole document; its title is the first heading.
pub fn html(blocks: &[Block]) -> String {
    let title = blocks.iter().find_map(|b| match b {
        Block::Heading(1, text) => Some(text.as_str()),
        _ => None,
    });
    let mut out = String::from("<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n");
    out += "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n";
    // Nothing is ever fetched, whatever a node put into its names.
    out += "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'; \
            img-src data:\">\n<link rel=\"icon\" href=\"data:,\">\n";
    out += &format!("<title>{}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n", escape(title.unwrap_or("Report")));
    blocks.iter().for_each(|b| one(b, &mut out));
    out + "</body>\n</html>\n"
}

fn one(block: &Block, out: &mut String) {
    match block {
        Block::Heading(level, text) => *out += &format!("<h{level}>{}</h{level}>\n", escape(text)),
        Block::Text(text) => *out += &format!("<p>{}</p>\n", escape(text)),
        Block::Code(text) => *out += &format!("<pre>{}</pre>\n", escape(text.trim_end())),
        Block::Command { node, command, prints } => {
            let prompt = format!("<span class=\"prompt\">root@{}:~# </span>", escape(node));
            let prints = prints.as_deref().map(|p| format!("\n{}", escape(p.trim_end()))).unwrap_or_default();
            *out += &format!("<pre>{prompt}<b>{}</b>{prints}</pre>\n", escape(command));
        }
        Block::Diff(text) => *out += &format!("<pre>{}</pre>\n", diff(text)),
        Block::Table { titles, rows } => table(titles, rows, out),
        Block::Picture { svg, .. } => *out += &format!("<figure>{svg}</figure>\n"),
        Block::Fold(title, blocks) => {
            *out += &format!("<details><summary>{}</summary>\n", escape(title));
            blocks.iter().for_each(|b| one(b, out));
            *out += "</details>\n";
        }
    }
}

fn diff(text: &str) -> String {
    let line = |line: &str| {
        let class = match line.chars().next() {
            Some('+') => "plus",
            Some('-') => "minus",
            Some('!') => "same",
            _ => return escape(line),
        };
        format!("<span class=\"{class}\">{}</span>", escape(line))
    };
    text.trim_end().lines().map(line).collect::<Vec<_>>().join("\n")
}

fn table(titles: &[String], rows: &[Vec<String>], out: &mut String) {
    let cells = |tag: &str, cells: &[String]| {
        let all: String = cells.iter().map(|c| format!("<{tag}>{}</{tag}>", escape(c))).collect();
        format!("<tr>{all}</tr>\n")
    };
    *out += &format!("<table>\n{}", cells("th", titles));
    rows.iter().for_each(|r| *out += &cells("td", r));
    *out += "</table>\n";
}

/// Text without a meaning in HTML.
pub(super) fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn blocks_are_html_that_fetches_nothing() {
        let blocks = [
            Block::Heading(1, "A & B".into()),
            Block::Diff("+ a\n- b\n! c\nd".into()),
            Block::Command { node: "n1".into(), command: "echo '<b>'".into(), prints: None },
        ];
        let page = html(&blocks);
        assert!(page.contains("<title>A &amp; B</title>") && page.contains("<span class=\"minus\">- b</span>"));
        assert!(page.contains("<b>echo '&lt;b&gt;'</b>"));
        for word in ["src=", "url(", "<script", "http://", "https://"] {
            assert!(!page.contains(word), "{word}");
        }
    }

    proptest! {
        #[test]
        fn no_text_opens_a_tag(inside in "[<>&\"'a-z/=! -]{0,30}") {
            let blank = |t: &str| html(&[Block::Text(t.into()), Block::Diff(t.into()), Block::Code(t.into())]);
            let opened = |page: &str| page.matches('<').count();
            let extra = inside.starts_with(['+', '-', '!']) || inside.trim_end().starts_with(['+', '-', '!']);
            let spans = if extra && !inside.trim_end().is_empty() { 2 } else { 0 };
            prop_assert_eq!(opened(&blank(&inside)), opened(&blank("a")) + spans);
        }
    }
}
