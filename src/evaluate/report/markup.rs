//! Pieces of HTML: escaped text, tables, lists of labels.

use std::fmt::Write;

pub(super) fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// A table whose columns from `n_text` on hold numbers; all cells are HTML. A wide table scrolls.
pub(super) fn table(head: &[String], rows: impl IntoIterator<Item = Vec<String>>, n_text: usize) -> String {
    let mut html = "<div class=\"scroll\"><table>".to_owned();
    let mut write_row = |tag: &str, cells: &[String]| {
        html += "<tr>";
        for (column, cell) in cells.iter().enumerate() {
            let class = if column < n_text { "" } else { " class=\"n\"" };
            let _ = write!(html, "<{tag}{class}>{cell}");
        }
    };
    write_row("th", head);
    rows.into_iter().for_each(|cells| write_row("td", &cells));
    html + "</table></div>"
}

/// Labels, each with a frame, since labels may contain commas.
pub(super) fn label_list<S: AsRef<str>>(labels: &[S]) -> String {
    labels.iter().map(|label| format!("<span class=\"label\">{}</span> ", escape(label.as_ref()))).collect()
}
