//! Checks as JUnit's XML, which CI systems read: one suite, a case per check.

use super::Checked;

/// The whole document.
pub fn xml(lab: &str, results: &[Checked]) -> String {
    let failures = results.iter().filter(|r| !r.passed).count();
    let seconds = |millis: u64| format!("{}.{:03}", millis / 1000, millis % 1000);
    let total = seconds(results.iter().map(|r| r.millis).sum());
    let mut out = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    out += &format!(
        "<testsuite name=\"{}\" tests=\"{}\" failures=\"{failures}\" errors=\"0\" skipped=\"0\" time=\"{total}\">\n",
        escape(lab),
        results.len()
    );
    for result in results {
        let head = format!(
            "  <testcase classname=\"{}.{}\" name=\"{}\" time=\"{}\">\n",
            escape(lab),
            result.kind,
            escape(&result.name),
            seconds(result.millis)
        );
        out += &head;
        if !result.passed {
            let message =
                format!("{}{}", result.name, result.hint.as_ref().map_or(String::new(), |h| format!("; {h}")));
            let failed = result.findings.iter().filter(|f| !f.passed);
            let evidence: Vec<String> = failed.map(evidence).collect();
            out +=
                &format!("    <failure message=\"{}\">{}</failure>\n", escape(&message), escape(&evidence.join("\n")));
        } else {
            let all: Vec<String> = result.findings.iter().map(evidence).collect();
            out += &format!("    <system-out>{}</system-out>\n", escape(&all.join("\n")));
        }
        out += "  </testcase>\n";
    }
    out + "</testsuite>\n"
}

fn evidence(finding: &crate::observe::check::Finding) -> String {
    let node = finding.node.as_ref().map(|n| format!("{n}: ")).unwrap_or_default();
    format!("{node}{}", finding.evidence.join("\n"))
}

/// Text for XML; characters that XML 1.0 does not have become a question mark.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '<' => out += "&lt;",
            '>' => out += "&gt;",
            '&' => out += "&amp;",
            '"' => out += "&quot;",
            '\n' | '\t' => out.push(c),
            c if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => out.push('?'),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observe::check::Finding;

    #[test]
    fn a_suite_with_a_failure() {
        let result = |passed, why: &str| Checked {
            name: "a < b".into(),
            kind: "run",
            passed,
            findings: vec![Finding::of_script("n1", passed, why)],
            hint: Some("look \"there\"".into()),
            millis: 1_250,
        };
        let xml = xml("x", &[result(true, "fine"), result(false, "\x1b[1m& bad")]);
        assert!(xml.contains("tests=\"2\" failures=\"1\"") && xml.contains("time=\"2.500\""), "{xml}");
        assert!(xml.contains("name=\"a &lt; b\" time=\"1.250\""), "{xml}");
        assert!(xml.contains("message=\"a &lt; b; look &quot;there&quot;\">n1: ?[1m&amp; bad</failure>"), "{xml}");
    }
}
