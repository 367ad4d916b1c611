//! Pieces of HTML: escaped text, tables, lists of labels.

use std::fmt::Write;

pub(super) fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// A table whose cells are HTML. The first column names the row.
pub(super) struct Table<'t> {
    /// What it shows, for screen readers.
    pub name: &'t str,
    pub head: Vec<String>,
    pub rows: Vec<Vec<String>>,
    /// The columns from this one on hold numbers.
    pub n_text: usize,
    pub layout: TableLayout,
}

/// What becomes of a table that is wider than the window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TableLayout {
    /// It scrolls in its frame.
    Scrolled,
    /// On a phone, each row becomes a block with the names of the columns before the values.
    Stacked,
}

impl Table<'_> {
    pub fn html(self) -> String {
        let name = escape(self.name);
        let class = if self.layout == TableLayout::Stacked { "stacked" } else { "" };
        // With a stop for Tab, a table that is cut off can be scrolled with the keyboard.
        let mut html = format!(
            "<div class=\"scroll {class}\" role=\"group\" aria-label=\"{name}\" tabindex=\"0\"><table><caption>{name}</caption><thead><tr>"
        );
        for (column, cell) in self.head.iter().enumerate() {
            let class = self.class(column);
            let _ = match cell.is_empty() {
                true => write!(html, "<td{class}></td>"),
                false => write!(html, "<th scope=\"col\"{class}>{cell}</th>"),
            };
        }
        html += "</tr></thead><tbody>";
        for cells in &self.rows {
            html += "<tr>";
            for (column, cell) in cells.iter().enumerate() {
                let class = self.class(column);
                let _ = match column {
                    0 => write!(html, "<th scope=\"row\"{class}>{cell}</th>"),
                    _ => write!(html, "<td{class}{}>{cell}</td>", self.name_of(column)),
                };
            }
            html += "</tr>";
        }
        html + "</tbody></table></div>"
    }

    fn class(&self, column: usize) -> &'static str {
        if column < self.n_text { "" } else { " class=\"n\"" }
    }

    /// The name of a column, which a stacked row shows before the value.
    fn name_of(&self, column: usize) -> String {
        let name = self.head.get(column).filter(|_| self.layout == TableLayout::Stacked);
        name.map(|name| format!(" data-name=\"{name}\"")).unwrap_or_default()
    }
}

/// Labels as a list with a frame around each, since labels may contain commas.
pub(super) fn label_list<S: AsRef<str>>(labels: &[S]) -> String {
    let items: String = labels.iter().map(|label| format!("<li>{}</li>", escape(label.as_ref()))).collect();
    format!("<ul class=\"labels\">{items}</ul>")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_with_a_comma_stays_one_label() {
        assert_eq!(
            label_list(&["Justiz, Kriminalität", "Sport & Spiel"]),
            "<ul class=\"labels\"><li>Justiz, Kriminalität</li><li>Sport &amp; Spiel</li></ul>"
        );
    }

    #[test]
    fn a_table_names_its_rows_and_columns() {
        let table = Table {
            name: "F1",
            head: vec![String::new(), "gold".into()],
            rows: vec![vec!["LOC".into(), "3".into()]],
            n_text: 1,
            layout: TableLayout::Stacked,
        };
        let html = table.html();
        for part in [
            "<td></td><th scope=\"col\" class=\"n\">gold</th>",
            "<th scope=\"row\">LOC</th><td class=\"n\" data-name=\"gold\">3</td>",
        ] {
            assert!(html.contains(part), "{html}");
        }
    }
}
