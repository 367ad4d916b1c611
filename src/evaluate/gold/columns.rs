//! Reads CoNLL columns: one token a line with its tag, an empty line after each sentence. Every sentence becomes a document,
//! its tokens joined by single spaces.
//!
//! CoNLL-2003 has the token first and the tag last (`-DOCSTART-` lines are skipped); GermEval 2014 has number, token,
//! outer tag, inner tag, and lines that begin with `#`. Tags are IOB1, IOB2, BIOES or BILOU.

use super::error::ContentError;
use crate::evaluate::document::{GoldDocument, LabelledSpan, in_order};

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
    let columns = TagColumns::of(text);
    let mut documents = Vec::new();
    let mut sentence = Sentence::default();
    for (index, line) in text.lines().chain([""]).enumerate() {
        let error = |message| ContentError::Line(index + 1, message);
        if line.trim().is_empty() {
            sentence.finish(&mut documents);
        } else if !columns.is_comment(line) {
            let (token, tag) = columns.token_and_tag(line).ok_or_else(|| {
                error(format!("`{line}` has no tag; a line needs a token and its tag, separated by tabs or spaces"))
            })?;
            sentence.push(token, tag).map_err(error)?;
        }
    }
    Ok(documents)
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

    /// GermEval's source lines and CoNLL's document bounds. A token `#` is followed by a tag.
    fn is_comment(self, line: &str) -> bool {
        let is_tagged = |line| self.token_and_tag(line).is_some_and(|(_, tag)| is_tag(tag));
        line.starts_with("-DOCSTART-") || (line.starts_with('#') && (self == Self::Numbered || !is_tagged(line)))
    }

    fn token_and_tag(self, line: &str) -> Option<(&str, &str)> {
        // A token may contain a no-break space, so tabs take precedence over other white space.
        let columns: Vec<&str> = match line.contains('\t') {
            true => line.split('\t').map(str::trim).collect(),
            false => line.split_ascii_whitespace().collect(),
        };
        match (self, columns.as_slice()) {
            (Self::Numbered, [_, token, tag, ..]) | (Self::Outermost, [token, .., tag]) => Some((token, tag)),
            _ => None,
        }
    }
}

fn is_tag(tag: &str) -> bool {
    tag == "O" || split_tag(tag).is_some()
}

/// `B-PER` as (`B`, `PER`).
fn split_tag(tag: &str) -> Option<(&str, &str)> {
    tag.split_once('-').filter(|(prefix, label)| "BIESLUM".contains(prefix) && prefix.len() == 1 && !label.is_empty())
}

impl Sentence {
    fn push(&mut self, token: &str, tag: &str) -> Result<(), String> {
        if self.has_tokens {
            self.text.push(' ');
            self.n_characters += 1;
        }
        let start = self.n_characters;
        self.text.push_str(token);
        self.n_characters += token.chars().count();
        self.has_tokens = true;
        if tag == "O" {
            self.is_open = false;
            return Ok(());
        }
        let (prefix, label) = split_tag(tag)
            .ok_or_else(|| format!("tag `{tag}` is neither `O` nor a prefix and a label, like `B-PER` or `I-PER`"))?;
        let continues = self.is_open && matches!(prefix, "I" | "M" | "E" | "L");
        match self.spans.last_mut().filter(|span| continues && span.label == label) {
            Some(span) => span.end = self.n_characters,
            None => self.spans.push(LabelledSpan::new(start, self.n_characters, label)),
        }
        self.is_open = !matches!(prefix, "E" | "L" | "S" | "U");
        Ok(())
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
    fn an_error_has_the_number_of_the_line() {
        assert!(matches!(read("a O\nb").unwrap_err(), ContentError::Line(2, message) if message.contains("no tag")));
        assert!(
            matches!(read("a PERSON").unwrap_err(), ContentError::Line(1, message) if message.contains("`PERSON`"))
        );
    }
}
