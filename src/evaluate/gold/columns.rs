//! Reads CoNLL columns: one token a line with its tag, an empty line after each sentence. Every sentence becomes a document,
//! its tokens joined by single spaces.
//!
//! CoNLL-2003 has the token first and the tag last (`-DOCSTART-` lines are skipped); GermEval 2014 has number, token,
//! outer tag, inner tag, and lines that begin with `#`. The tags are read by [`crate::manifest::tags`].

use std::collections::HashSet;

use super::error::ContentError;
use crate::evaluate::document::{GoldDocument, LabelledSpan, in_order};
use crate::manifest::tags::{Position, Tag, TagReader};

/// The sentence that is being read.
#[derive(Default)]
struct Sentence {
    text: String,
    n_characters: usize,
    spans: Vec<LabelledSpan>,
    /// Whether the next token may extend the last of `spans`.
    is_open: bool,
    has_tokens: bool,
}

pub(super) fn read(text: &str) -> Result<Vec<GoldDocument>, ContentError> {
    let lines = Lines::of(text);
    let tags = TagReader::of(lines.tags.iter().copied());
    // Running text would otherwise be read as tokens with types.
    let has_outside = lines.tags.iter().any(|tag| tags.read(tag).position == Position::Outside);
    let mut documents = Vec::new();
    let mut sentence = Sentence::default();
    for (index, line) in text.lines().chain([""]).enumerate() {
        let error = |message| ContentError::Line(index + 1, message);
        if line.trim().is_empty() {
            sentence.finish(&mut documents);
        } else if !lines.is_comment(line) {
            let (token, tag) = lines.columns.token_and_tag(line).ok_or_else(|| {
                error(format!("`{line}` has no tag; a line needs a token and its tag, separated by tabs or spaces"))
            })?;
            let tag = tags.read(tag);
            if tag.is_plain() && !(has_outside && may_be_type(&tag.label)) {
                let raw = &tag.raw;
                return Err(error(format!(
                    "`{raw}` is not a tag; the last column must have tags, such as `B-PER`, `PER` and, outside of entities, `O`"
                )));
            }
            sentence.push(token, &tag);
        }
    }
    Ok(documents)
}

/// Other columns have punctuation, or several values (`Case=Nom|Number=Sing`).
fn may_be_type(tag: &str) -> bool {
    tag.contains(char::is_alphanumeric) && !tag.contains(['=', '|'])
}

/// What the lines of a file have in common.
struct Lines<'t> {
    columns: TagColumns,
    /// The tags of lines that do not begin with `#`.
    tags: HashSet<&'t str>,
    /// Their numbers of columns.
    n_columns: HashSet<usize>,
}

impl<'t> Lines<'t> {
    fn of(text: &'t str) -> Self {
        let columns = TagColumns::of(text);
        let tokens = || text.lines().filter(|line| !line.starts_with('#') && !line.starts_with(DOCUMENT_BOUND));
        Self {
            columns,
            tags: tokens().filter_map(|line| Some(columns.token_and_tag(line)?.1)).collect(),
            n_columns: tokens().map(|line| split_columns(line).len()).collect(),
        }
    }

    /// GermEval's source lines and CoNLL's document bounds. A token such as `#` or `#Bundestag` has the columns of other lines.
    fn is_comment(&self, line: &str) -> bool {
        let is_token = || {
            self.n_columns.contains(&split_columns(line).len())
                && self.columns.token_and_tag(line).is_some_and(|(_, tag)| tag == "O" || self.tags.contains(tag))
        };
        line.starts_with(DOCUMENT_BOUND)
            || (line.starts_with('#') && (self.columns == TagColumns::Numbered || !is_token()))
    }
}

const DOCUMENT_BOUND: &str = "-DOCSTART-";

/// A token may contain a no-break space, so tabs take precedence over other white space.
fn split_columns(line: &str) -> Vec<&str> {
    match line.contains('\t') {
        true => line.split('\t').map(str::trim).collect(),
        false => line.split_ascii_whitespace().collect(),
    }
}

/// The columns of token and tag. The whole file decides, since the number that begins a single line may be a token.
#[derive(Clone, Copy, PartialEq, Eq)]
enum TagColumns {
    /// Number in the sentence, token, outer tag, and more, separated by tabs.
    Numbered,
    /// The token first and the tag last.
    Outermost,
}

impl TagColumns {
    fn of(text: &str) -> Self {
        let mut number = 0;
        let mut has_tokens = false;
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            if line.trim().is_empty() {
                number = 0;
                continue;
            }
            (number, has_tokens) = (number + 1, true);
            let mut columns = line.split('\t');
            if columns.next().and_then(|first| first.parse().ok()) != Some(number) || columns.count() < 2 {
                return Self::Outermost;
            }
        }
        if has_tokens { Self::Numbered } else { Self::Outermost }
    }

    fn token_and_tag(self, line: &str) -> Option<(&str, &str)> {
        let columns = split_columns(line);
        match (self, columns.as_slice()) {
            (Self::Numbered, [_, token, tag, ..]) | (Self::Outermost, [token, .., tag]) => Some((token, tag)),
            _ => None,
        }
    }
}

impl Sentence {
    fn push(&mut self, token: &str, tag: &Tag) {
        if self.has_tokens {
            self.text.push(' ');
            self.n_characters += 1;
        }
        let start = self.n_characters;
        self.text.push_str(token);
        self.n_characters += token.chars().count();
        self.has_tokens = true;
        if tag.position == Position::Outside {
            self.is_open = false;
            return;
        }
        let continues = self.is_open && tag.continues();
        match self.spans.last_mut().filter(|span| continues && span.label == tag.label) {
            Some(span) => span.end = self.n_characters,
            None => self.spans.push(LabelledSpan::new(start, self.n_characters, &*tag.label)),
        }
        self.is_open = !tag.closes();
    }

    fn finish(&mut self, documents: &mut Vec<GoldDocument>) {
        let sentence = std::mem::take(self);
        if sentence.has_tokens {
            documents.push(GoldDocument {
                id: (documents.len() + 1).to_string(),
                text: sentence.text.into(),
                topics: None,
                entities: Some(in_order(sentence.spans)),
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Spans = [(usize, usize, &'static str)];

    fn check(file: &str, expected: &[(&str, &Spans)]) {
        let documents = read(file).unwrap();
        let found: Vec<_> =
            documents.iter().map(|document| (&*document.text, document.entities.clone().unwrap())).collect();
        let span = |(start, end, label): &(usize, usize, &str)| LabelledSpan::new(*start, *end, *label);
        let expected: Vec<_> =
            expected.iter().map(|(text, spans)| (*text, spans.iter().map(span).collect::<Vec<_>>())).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn germeval_has_number_token_outer_and_inner_tag() {
        check(
            "#\thttp://de.wikipedia.org/x\t[2010-02-25]\n1\tDer\tO\tO\n2\tFC\tB-ORG\tO\n3\tKöln\tI-ORG\tB-LOC\n\n#\thttp://y [z]\n1\tBonn\tB-LOC\tO\n2\t#\tO\tO\n",
            &[("Der FC Köln", &[(4, 11, "ORG")]), ("Bonn #", &[(0, 4, "LOC")])],
        );
    }

    #[test]
    fn conll_2003_has_the_token_first_and_the_tag_last() {
        let file =
            "-DOCSTART- -X- O O\n\nEU NNP I-NP I-ORG\nBerlin NNP I-NP I-LOC\nBonn NNP I-NP B-LOC\n# NN O O\n\n\n";
        check(file, &[("EU Berlin Bonn #", &[(0, 2, "ORG"), (3, 9, "LOC"), (10, 14, "LOC")])]);
    }

    #[test]
    fn a_number_that_begins_a_line_may_be_a_token() {
        check("1\tCD\tI-NP\tO\nFC\tNN\tI-NP\tI-ORG\n", &[("1 FC", &[(2, 4, "ORG")])]);
        check("1\tBonn\tB-LOC\n2\tist\tO\n", &[("Bonn ist", &[(0, 4, "LOC")])]);
    }

    #[test]
    fn bioes_tags_end_an_entity_or_are_one() {
        check(
            "a S-X\nb S-X\nc B-X\nd E-X\ne I-X",
            &[("a b c d e", &[(0, 1, "X"), (2, 3, "X"), (4, 7, "X"), (8, 9, "X")])],
        );
        check("1 O\n2 B-X\n2 B-X", &[("1 2 2", &[(2, 3, "X"), (4, 5, "X")])]);
        check("", &[]);
    }

    #[test]
    fn tags_are_read_as_those_of_models() {
        check(
            "EU NE ORG\nKommission NN ORG\nin APPR O\nParis NE LOC\n",
            &[("EU Kommission in Paris", &[(0, 13, "ORG"), (17, 22, "LOC")])],
        );
        check("Angela B\nMerkel I\nsprach o\n", &[("Angela Merkel sprach", &[(0, 13, "ENTITY")])]);
        check(
            "[CLS] [CLS]\nBonn B_LOC\nEU B_ORG\nRat I_ORG\nx _\n",
            &[("[CLS] Bonn EU Rat x", &[(6, 10, "LOC"), (11, 17, "ORG")])],
        );
        check(
            "# ein Satz\n#Bundestag ORG\ntagt O\nBonn LOC\nEU ORG",
            &[("#Bundestag tagt Bonn EU", &[(0, 10, "ORG"), (16, 20, "LOC"), (21, 23, "ORG")])],
        );
    }

    #[test]
    fn running_text_and_other_columns_are_not_read_as_tags() {
        for (text, line, tag) in [
            ("Das ist ein Satz\n", 1, "`Satz`"),
            ("Das O\nist Case=Nom|Number=Sing\n", 2, "`Case=Nom|Number=Sing`"),
            ("Das O\nist ,\n", 2, "`,`"),
        ] {
            let error = read(text).unwrap_err();
            assert!(
                matches!(&error, ContentError::Line(at, message) if *at == line && message.contains(tag)),
                "{error:?}"
            );
        }
    }

    #[test]
    fn an_error_has_the_number_of_the_line() {
        assert!(matches!(read("a O\nb").unwrap_err(), ContentError::Line(2, message) if message.contains("no tag")));
        assert!(
            matches!(read("a PERSON").unwrap_err(), ContentError::Line(1, message) if message.contains("`PERSON`"))
        );
    }
}
