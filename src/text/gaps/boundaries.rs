//! Where the layout of a text ends a name: table bars, tabs, bullets, empty lines, and line ends before a list item.

use std::sync::LazyLock;

use regex::Regex;

use crate::text::span::ByteSpan;

static BOUNDARY: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(
        r"(?x)
        [|│¦‖]                                     # a bar of a table
        | \t+
        | [•‣▪■●○◦►▶]                              # a bullet, in a line or at its start
        | \s·\s
        | (?:\r\n?|\n)[^\S\r\n]*(?:\r\n?|\n)       # an empty line
        | (?:\r\n?|\n)[^\S\r\n]*(?:[-–—*+·]|\d{1,2}\))[^\S\r\n]   # a line end before a list item
        ",
    )
    .expect("a constant pattern that the tests compile")
});

/// Appends the boundaries in `text`.
pub fn find(text: &str, found: &mut Vec<ByteSpan>) {
    found.extend(BOUNDARY.find_iter(text).map(|span| ByteSpan::new(span.start(), span.end())));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layout_ends_a_name_and_a_line_end_alone_does_not() {
        for (text, n_boundaries) in [
            ("Bayern | München", 1),
            ("Bayern\tMünchen", 1),
            ("Bayern • München", 1),
            ("Bayern · München", 1),
            ("Bayern\n\nMünchen", 1),
            ("Bayern\r\n \r\nMünchen", 1),
            ("Bayern\n- München\n* Ulm\n1) Hof", 3),
            ("Bayern\n• München", 1),
            ("Bayern\nMünchen", 0),
            ("Straße des\n17. Juni", 0),
            ("Bayern - München", 0),
            ("Bayern\n-München", 0),
            ("", 0),
        ] {
            let mut found = Vec::new();
            find(text, &mut found);
            assert_eq!(found.len(), n_boundaries, "{text:?}");
        }
    }
}
