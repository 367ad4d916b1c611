//! Where the layout of a text ends a name: table bars, tabs, ends of table rows, bullets, page breaks, empty lines, line ends
//! before a list item, and all line ends of an address block.

use std::sync::LazyLock;

use regex::Regex;

use crate::text::gaps::compile;
use crate::text::span::ByteSpan;

static BOUNDARY: LazyLock<Regex> = LazyLock::new(|| {
    compile(
        r"(?x)
        [|│¦‖]                                     # a bar of a table
        | \t+
        | [\x0c\u{2029}]                           # the end of a page or paragraph
        | [•‣▪■●○◦►▶]                              # a bullet, in a line or at its start
        | \s·\s
        # an empty line; the `\r` and the `\n` of one line end are none
        | (?:\r\n|[\n\x0b\u{85}\u{2028}]) [^\S\r\n\x0b\u{85}\u{2028}]* (?:\r\n?|[\n\x0b\u{85}\u{2028}])
        | \r (?: [^\S\r\n\x0b\u{85}\u{2028}]+ (?:\r\n?|[\n\x0b\u{85}\u{2028}]) | \r\n? | [\x0b\u{85}\u{2028}])
        # a line end before a list item
        | (?:\r\n?|[\n\x0b\u{85}\u{2028}]) [^\S\r\n\x0b\u{85}\u{2028}]* (?:[-–—*+·]|\d{1,2}\)) [^\S\r\n\x0b\u{85}\u{2028}]
        ",
    )
});

static LINE_END: LazyLock<Regex> = LazyLock::new(|| compile(r"\r\n?|[\n\x0b\x0c\u{85}\u{2028}\u{2029}]"));

/// A line of an address block: a street with its number, a postcode with its town, a telephone number, or an e-mail or web
/// address.
static CONTACT: LazyLock<Regex> = LazyLock::new(|| {
    compile(
        r"(?x)^\s*(?:
        \p{Lu}[\p{L}\ .-]*(?:[Ss]tra(?:ß|ss)e|[Ss]tr\.|[Ww]eg|[Pp]latz|[Aa]llee|[Gg]asse|[Rr]ing|[Dd]amm|[Uu]fer|[Mm]arkt)
            \ \d{1,4}\ ?[a-z]?(?:\ ?[-–/]\ ?\d{1,4}\ ?[a-z]?)?
        | (?:(?:D|A|CH|FL)[-–\ ])?\d{4,5}\ \p{Lu}[\p{L}\ .()/-]*
        | (?:Tel(?:efon|efax)?|Fon|(?:Tele)?[Ff]ax|Mobil|Handy)[.:\ ]+[+(\d][\d\ ()/.–-]*
        | (?:E-?Mail|Mail|Internet|Web|Homepage)[:\ ]+\S*[@.]\S+
        )[,;]?\s*$",
    )
});

/// The lines of an address block are not longer.
const MAX_CONTACT_LINE: usize = 60;

/// What divides the cells of a table's row.
const CELL_ENDS: [char; 5] = ['\t', '|', '│', '¦', '‖'];

/// How much a line looks like a row of a table.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Line {
    /// It has no cells.
    Prose,
    /// All before its last cell are numbers or nothing, as in an item of a list: `1.<tab>Angela Merkel`.
    Numbered,
    Row,
}

/// Appends the boundaries in `text`.
pub fn find(text: &str, found: &mut Vec<ByteSpan>) {
    found.extend(BOUNDARY.find_iter(text).map(|span| ByteSpan::new(span.start(), span.end())));
    if text.contains(CELL_ENDS) {
        find_row_ends(text, found);
    }
    find_contact_line_ends(text, found);
}

/// Appends the line ends of address blocks: short lines without an empty one between them, of which at least one is a [`CONTACT`].
fn find_contact_line_ends(text: &str, found: &mut Vec<ByteSpan>) {
    let mut block: Vec<ByteSpan> = Vec::new();
    let (mut is_short, mut has_contact, mut start) = (true, false, 0);
    let ends = LINE_END.find_iter(text).map(|end| ByteSpan::new(end.start(), end.end()));
    for end in ends.chain([ByteSpan::new(text.len(), text.len())]) {
        let line = text[start..end.start].trim();
        is_short &= line.chars().nth(MAX_CONTACT_LINE).is_none();
        has_contact |= is_short && CONTACT.is_match(line);
        block.push(end);
        if line.is_empty() || end.end == text.len() {
            if is_short && has_contact {
                found.extend(block.iter().filter(|end| !end.is_empty()));
            }
            block.clear();
            (is_short, has_contact) = (true, false);
        }
        start = end.end;
    }
}

/// Appends the line ends before and after a row of a table.
fn find_row_ends(text: &str, found: &mut Vec<ByteSpan>) {
    let mut last: Option<(Line, ByteSpan)> = None;
    let mut start = 0;
    let ends = LINE_END.find_iter(text).map(|end| ByteSpan::new(end.start(), end.end()));
    for end in ends.chain([ByteSpan::new(text.len(), text.len())]) {
        let line = Line::of(&text[start..end.start]);
        if let Some((before, row_end)) = last
            && (before == Line::Row || line == Line::Row || (before, line) == (Line::Numbered, Line::Numbered))
        {
            found.push(row_end);
        }
        last = Some((line, end));
        start = end.end;
    }
}

impl Line {
    fn of(line: &str) -> Self {
        match line.trim().rsplit_once(CELL_ENDS) {
            None => Self::Prose,
            Some((cells, _)) if cells.contains(char::is_alphabetic) => Self::Row,
            Some(_) => Self::Numbered,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The boundaries, none within another.
    fn boundaries(text: &str) -> Vec<&str> {
        let mut found = Vec::new();
        find(text, &mut found);
        found.sort_unstable();
        found.dedup_by(|next, last| next.start < last.end);
        found.iter().map(|gap| gap.slice(text).unwrap()).collect()
    }

    #[test]
    fn layout_ends_a_name_and_a_line_end_alone_does_not() {
        for (text, n_boundaries) in [
            ("Bayern | München", 1),
            ("Bayern\tMünchen", 1),
            ("Bayern • München", 1),
            ("Bayern · München", 1),
            ("Bayern\n\nMünchen", 1),
            ("Bayern\r\n\r\nMünchen", 1),
            ("Bayern\r\rMünchen", 1),
            ("Bayern\r \rMünchen", 1),
            ("Bayern\r \nMünchen", 1),
            ("Bayern\n\r\nMünchen", 1),
            ("Bayern\r\n- München\r\n* Ulm", 2),
            ("Bayern\r\n \r\nMünchen", 1),
            ("Bayern\u{b}\u{b}München", 1),
            ("Bayern\n\u{c}München", 1),
            ("Bayern\u{c}München", 1),
            ("Bayern\u{2029}München", 1),
            ("Bayern\n- München\n* Ulm\n1) Hof", 3),
            ("Bayern\u{b}- München", 1),
            ("Bayern\n• München", 1),
            ("Bayern\nMünchen", 0),
            ("Bayern\r\nMünchen", 0),
            ("Bayern\rMünchen", 0),
            ("Bayern \r\n München", 0),
            ("Bayern\u{b}München", 0),
            ("Bayern\u{2028}München", 0),
            ("Straße des\n17. Juni", 0),
            ("Bayern - München", 0),
            ("Bayern\n-München", 0),
            ("", 0),
        ] {
            assert_eq!(boundaries(text).len(), n_boundaries, "{text:?}");
        }
    }

    #[test]
    fn the_lines_of_an_address_block_end_a_name() {
        for (text, n_boundaries) in [
            ("Peter Müller\nHauptstraße 5\n12345 Berlin", 2),
            ("Polizeipräsidium Mittelhessen\r\nPressestelle Marburg\r\nTel. 0123\r\n", 3),
            ("Angela\nMerkel\n\nUniversität\nKöln\nE-Mail: a@b.de", 3),
            ("Landratsamt\nAm Markt 1-3\nCH-3001 Bern", 2),
            // Prose that is wrapped.
            ("Die Kanzlerin Angela\nMerkel wohnt am\nKupfergraben 6 in\n10117 Berlin, sagt man", 0),
            ("Peter Müller\nHauptstraße\nBerlin", 0),
            ("Er rief Frank-Walter\nSteinmeier an:\nE-Mail kam von Angela\nMerkel aus Berlin.", 0),
            ("Dort war die\nTel. 030 123456 die Nummer von Ursula\nvon der Leyen", 0),
            ("Sie stand dort, wo auch sonst jeden Tag viele standen, Angela\nMerkel\nHauptstraße 5", 0),
        ] {
            assert_eq!(boundaries(text).len(), n_boundaries, "{text:?}");
        }
    }

    #[test]
    fn the_end_of_a_table_row_ends_a_name() {
        for (text, expected) in [
            ("Ulm\tAngela\nMerkel\tBonn", &["\t", "\n", "\t"][..]),
            ("Ulm\tAngela\r\nMerkel\tBonn", &["\t", "\r\n", "\t"]),
            ("Ulm\tAngela\u{b}Merkel\tBonn", &["\t", "\u{b}", "\t"]),
            ("Ulm | Angela\nMerkel | Bonn", &["|", "\n", "|"]),
            ("| Ulm | Angela |\n| Merkel |", &["|", "|", "|", "\n", "|", "|"]),
            // The rows around a table that has no rows next to them.
            ("Ort\tName Angela\nMerkel sagte", &["\t", "\n"]),
            ("Es folgt Angela\nMerkel\tBonn\n", &["\n", "\t", "\n"]),
            ("1\tAngela\n2\tMerkel", &["\t", "\n", "\t"]),
            // A line of a list that goes on, and a paragraph that begins with a tab.
            ("1.\tDie Kanzlerin Angela\nMerkel sprach", &["\t"]),
            ("\tDie Kanzlerin Angela\nMerkel sprach", &["\t"]),
        ] {
            assert_eq!(boundaries(text), expected, "{text:?}");
        }
    }
}
