//! Aligned columns, as kubectl prints them.

/// The rows below their titles, columns three spaces apart; no trailing spaces.
pub fn table(titles: &[&str], rows: &[Vec<String>]) -> String {
    let mut widths: Vec<usize> = titles.iter().map(|t| t.chars().count()).collect();
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let line = |cells: Vec<&str>| {
        let padded: Vec<String> = cells.iter().zip(&widths).map(|(c, w)| format!("{c:w$}")).collect();
        format!("{}\n", padded.join("   ").trim_end())
    };
    let mut out = line(titles.to_vec());
    for row in rows {
        out += &line(row.iter().map(String::as_str).collect());
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned() {
        let rows = vec![vec!["n1".into(), "running".into()], vec!["flannel-ctr".into(), "-".into()]];
        assert_eq!(table(&["NODE", "STATE"], &rows), "NODE          STATE\nn1            running\nflannel-ctr   -\n");
    }
}
