//! The stretches of a text that belong to no name, and at which every name ends: addresses, table bars, list items, slashes
//! between names, codes of newsrooms, and the slug in the last line of an article.
//!
//! They come from the text alone. `inference::decode` decodes what lies between them, so that they hold for every model and
//! every aggregation strategy.

mod addresses;
mod boundaries;
mod codes;
mod slashes;
mod slugs;

use regex::Regex;

use crate::text::span::ByteSpan;

/// Which gaps are looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GapRules {
    /// Addresses, paths, telephone and account numbers, and the sign of handles and hashtags.
    pub addresses: bool,
    /// Table bars, tabs, ends of table rows and pages, bullets, empty lines, line ends before a list item, and slashes between
    /// two names.
    pub boundaries: bool,
    /// A slug as the last line, and codes of newsrooms.
    pub slugs: bool,
}

/// The gaps of `text`: in its order, and without overlap.
pub fn gaps(text: &str, rules: GapRules) -> Vec<ByteSpan> {
    let mut found = Vec::new();
    if rules.addresses {
        addresses::find(text, &mut found);
    }
    if rules.boundaries {
        boundaries::find(text, &mut found);
        slashes::find(text, &mut found);
    }
    if rules.slugs {
        found.extend(slugs::find(text));
        codes::find(text, &mut found);
    }
    found.sort_unstable();
    found.dedup_by(|next, last| {
        let overlaps = next.start < last.end;
        if overlaps {
            last.end = last.end.max(next.end);
        }
        overlaps
    });
    found
}

/// Codes of press agencies, in lower case.
pub const AGENCIES: &[&str] = &[
    "afp",
    "afx",
    "aktuell",
    "ansa",
    "ap",
    "apa",
    "awp",
    "bloomberg",
    "dapd",
    "ddp",
    "dja",
    "dpa",
    "dts",
    "efe",
    "epa",
    "epd",
    "imago",
    "infocom",
    "keystone",
    "kna",
    "ots",
    "pap",
    "reuters",
    "rtr",
    "sda",
    "sid",
    "spot",
    "tass",
    "upi",
    "xinhua",
    "yonhap",
];

fn compile(pattern: &str) -> Regex {
    Regex::new(pattern).expect("a constant pattern that the tests compile")
}

fn is_agency(word: &str) -> bool {
    AGENCIES.contains(&word.to_lowercase().as_str())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ALL: GapRules = GapRules { addresses: true, boundaries: true, slugs: true };
    const NONE: GapRules = GapRules { addresses: false, boundaries: false, slugs: false };

    #[test]
    fn a_rule_that_is_off_finds_nothing() {
        let text = "A | B an a@b.de\ntoi-allgemeines";
        assert_eq!(gaps(text, NONE), []);
        let texts = |rules| gaps(text, rules).iter().map(|gap| gap.slice(text).unwrap()).collect::<Vec<_>>();
        assert_eq!(texts(GapRules { addresses: true, ..NONE }), ["a@b.de"]);
        assert_eq!(texts(GapRules { boundaries: true, ..NONE }), ["|", "\n"]);
        assert_eq!(texts(GapRules { slugs: true, ..NONE }), ["toi-allgemeines"]);
        assert_eq!(texts(ALL), ["|", "a@b.de", "\n", "toi-allgemeines"]);
    }

    fn any_text() -> impl Strategy<Value = String> {
        let piece = prop_oneof![
            4 => prop::sample::select(vec![
                " ", "\n", "\n\n", "\t", "|", "/", "//", "- ", "•", "www.", "https://", "@", "#", "a@b.de", "ab.de/c", "\\", "C:\\",
                "0221", "+49", "DE89 3704 0044 0532 0130 00", "dpa", "Berlin", "Ü", "toi-x", "(", ")", "(mho/dpa)", "(jdr)", "dpa:240312-99-3", ".", ", ", "👩\u{200d}👧",
            ]).prop_map(str::to_owned),
            1 => any::<String>(),
        ];
        prop::collection::vec(piece, 0..30).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #[test]
        fn gaps_are_slices_in_order_without_overlap(text in any_text()) {
            let mut last = 0;
            for gap in gaps(&text, ALL) {
                prop_assert!(gap.slice(&text).is_some_and(|slice| !slice.is_empty()), "{gap:?}");
                prop_assert!(gap.start >= last);
                last = gap.end;
            }
        }
    }
}
