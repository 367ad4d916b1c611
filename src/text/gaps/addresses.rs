//! Web and e-mail addresses, file paths, telephone and account numbers. They are no names, though they contain names.
//!
//! A domain alone (`Booking.com`) may be a company, so it counts only with a scheme, `www.`, a path or `@`. A handle or hashtag
//! may be a name (`#Bundestag`), so only its sign counts.

use std::sync::LazyLock;

use regex::Regex;

use crate::text::gaps::compile;
use crate::text::span::ByteSpan;

/// Where the pattern has a group `gap`, only that is an address.
const PATTERNS: &[&str] = &[
    // https://t.co/abc; www.dpa.de; mailto:a@b.de. Each of the three is found much faster alone.
    r#"(?i)\b[a-z][a-z0-9+.-]*://[^\s<>|"„“”«»]+"#,
    r#"(?i)\bwww\.[^\s<>|"„“”«»]+"#,
    r#"(?i)\bmailto:[^\s<>|"„“”«»]+"#,
    // redaktion@sz.de
    r"[\w.+%-]+@[\w-]+(?:\.[\w-]+)+",
    // redaktion(at)sz(dot)de, redaktion [at] sz.de
    r"(?i)[\w.+%-]+ ?[(\[{](?:at|ät)[)\]}] ?[\w-]+(?:(?:\.| ?[(\[{](?:dot|punkt)[)\]}] ?)[\w-]+)+",
    // spiegel.de/politik
    r#"(?:\b[\w-]+\.)+(?:app|at|be|berlin|biz|ch|co|com|de|dev|edu|eu|fm|fr|gov|info|io|it|li|lu|ly|me|net|news|org|to|tv|uk|us|wien)(?::\d+)?/[^\s<>|"„“”«»]*"#,
    // /usr/lib/x, ~/x/y, ./x/y
    r#"(?:^|[\s("'„“«»])(?<gap>(?:~|\.{1,2})?(?:/[\w.+-]+){2,}/?)"#,
    r"(?:^|\s)(?<gap>~/[\w.+-]+)",
    // C:\Program Files\x, D:/Fotos von Berlin/x.jpg, \\server\x, ..\x
    r"\b[A-Za-z]:\\(?:\w[\w ()-]*(?:\.\w+)?\\)*[\w.()-]*",
    r"\b[A-Za-z]:/(?:\w[\w ()-]*/)*[\w()-]+(?:\.\w+)+",
    r"(?:\\\\|\.\.?\\)[\w.-]+(?:\\[\w.$-]+)*",
    // @bundestag, #Bundestag
    r"(?:^|[^\w/@#])(?<gap>[@#＠＃])\w",
    // BIC COBADEFFXXX
    r"\b(?:BIC|SWIFT)(?:/SWIFT)?(?:-Code)?:? ?[A-Z]{6}[A-Z0-9]{2}(?:[A-Z0-9]{3})?\b",
];

/// Patterns that take long to search a text without an address, since they begin with any word. Each has a sign before it that is
/// found quickly, and without which the pattern cannot match.
const SIGNED_PATTERNS: &[(&str, &str)] = &[
    // src/Berlin/main.rs
    (
        r"[/\\]",
        r"(?i)(?:[\w.-]+[/\\])+[\w.-]+\.(?:c|cfg|conf|cpp|css|go|h|ini|java|js|json|log|md|py|rb|rs|sh|sql|toml|ts|xml|ya?ml)\b",
    ),
    // Angela_Merkel.jpg, Fotos/Berlin.pdf
    (
        r"(?i)\.(?:bmp|csv|doc|epub|gif|htm|jpe?g|mp3|mp4|odt|pdf|php|png|ppt|rtf|svg|tif|txt|webp|xls|zip)",
        r"(?i)(?:[\w.-]+[/\\])*[\w-]+(?:\.[\w-]+)*\.(?:bmp|csv|docx?|epub|gif|html?|jpe?g|mp3|mp4|odt|pdf|php|png|pptx?|rtf|svg|tiff?|txt|webp|xlsx?|zip)\b",
    ),
    // DE89 3704 0044 0532 0130 00
    (r"[A-Z]{2}\d{2}", r"(?:\bIBAN:? ?)?\b[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){3,7}(?: ?[A-Z0-9]{1,3})?\b"),
];

/// 0221/123456, +49 (0)30 1234-567: a country or area code, then groups of digits.
const TELEPHONE: &str = r"(?:\+\d{1,3}|\(0\d{2,4}\)|\b0\d{2,4})(?:[ \u{a0}/().–-]{0,3}\d{1,})+";
const MIN_TELEPHONE_DIGITS: usize = 7;

/// What follows an address in a sentence.
const TRAILING: &[char] = &['.', ',', ';', ':', '!', '?', ')', ']', '}', '\'', '’', '‘', '…'];

static ADDRESSES: LazyLock<Vec<Regex>> = LazyLock::new(|| PATTERNS.iter().map(|pattern| compile(pattern)).collect());
static SIGNED: LazyLock<Vec<(Regex, Regex)>> =
    LazyLock::new(|| SIGNED_PATTERNS.iter().map(|(sign, pattern)| (compile(sign), compile(pattern))).collect());
static TELEPHONES: LazyLock<Regex> = LazyLock::new(|| compile(TELEPHONE));

/// Appends the addresses in `text`.
pub fn find(text: &str, found: &mut Vec<ByteSpan>) {
    let signed = SIGNED.iter().filter(|(sign, _)| sign.is_match(text)).map(|(_, address)| address);
    for address in ADDRESSES.iter().chain(signed) {
        let spans = address.captures_iter(text).filter_map(|captures| captures.name("gap").or(captures.get(0)));
        found.extend(spans.map(|span| {
            let end = span.start() + span.as_str().trim_end_matches(TRAILING).len();
            with_brackets(text, ByteSpan::new(span.start(), end))
        }));
    }
    let telephones = TELEPHONES
        .find_iter(text)
        .filter(|span| span.as_str().chars().filter(char::is_ascii_digit).count() >= MIN_TELEPHONE_DIGITS);
    found.extend(telephones.map(|span| ByteSpan::new(span.start(), span.end())));
    found.retain(|span| !span.is_empty());
}

/// `address` with the angle brackets around it: `<max@zeitung.de>`.
fn with_brackets(text: &str, address: ByteSpan) -> ByteSpan {
    let is_in_brackets =
        !address.is_empty() && text[..address.start].ends_with('<') && text[address.end..].starts_with('>');
    if is_in_brackets { ByteSpan::new(address.start - 1, address.end + 1) } else { address }
}

#[cfg(test)]
mod tests {
    use crate::text::gaps::{GapRules, gaps};

    #[test]
    fn an_address_is_one_gap_and_a_domain_alone_is_none() {
        for (text, expected) in [
            ("Siehe https://t.co/abc.", vec!["https://t.co/abc"]),
            ("(www.dpa.de), HTTP://X.DE", vec!["HTTP://X.DE", "www.dpa.de"]),
            ("redaktion@sz.de; info(at)sz.de", vec!["redaktion@sz.de", "info(at)sz.de"]),
            ("Max <max@zeitung.de>, <https://x.de/a>", vec!["<max@zeitung.de>", "<https://x.de/a>"]),
            ("a.b [at] zeitung.de. Max(at)zeitung(dot)de", vec!["a.b [at] zeitung.de", "Max(at)zeitung(dot)de"]),
            (
                r"..\Berlin\x.doc, D:/Fotos/Angela Merkel/x.jpg",
                vec![r"..\Berlin\x.doc", "D:/Fotos/Angela Merkel/x.jpg"],
            ),
            ("src/Berlin/main.rs, Merkel.jpg, Node.js", vec!["src/Berlin/main.rs", "Merkel.jpg"]),
            ("＃Berlin", vec!["＃"]),
            ("spiegel.de/politik, bit.ly/x?a=1", vec!["spiegel.de/politik", "bit.ly/x?a=1"]),
            ("in /usr/lib/x und ~/.bashrc", vec!["/usr/lib/x", "~/.bashrc"]),
            (
                r"C:\Users\Peter Müller\x.txt und \\server\Berlin",
                vec![r"C:\Users\Peter Müller\x.txt", r"\\server\Berlin"],
            ),
            ("#Bundestag von @bundestag", vec!["#", "@"]),
            ("Tel.: 0221/123456, +49 (0)30 1234-567", vec!["0221/123456", "+49 (0)30 1234-567"]),
            (
                "IBAN DE89 3704 0044 0532 0130 00, BIC: COBADEFFXXX, BIC Berlin",
                vec!["IBAN DE89 3704 0044 0532 0130 00", "BIC: COBADEFFXXX"],
            ),
            ("Booking.com, Heise.de, Web.de und die S.p.A./Ag", vec![]),
            ("Schalke 04 2013/14 am 01.02.2014 um 20.15 Uhr", vec![]),
            ("Nr. #1 und C# und A/B", vec!["#"]),
            ("", vec![]),
        ] {
            let found = gaps(text, GapRules { addresses: true, boundaries: false, slugs: false });
            let mut expected = expected;
            expected.sort_by_key(|part| text.find(part));
            let texts: Vec<&str> = found.iter().filter_map(|span| span.slice(text)).collect();
            assert_eq!(texts, expected, "{text:?}");
        }
    }
}
