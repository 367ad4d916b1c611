//! A text as a model sees it, with its tokens. Models that share a tokenizer and see texts alike share them, so that a text is
//! tokenized once for both models of a request and for the shadow model.

use std::borrow::Cow;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::OnceCell;

use crate::inference::pieces::PiecewiseTokens;
use crate::inference::tokenize::{TokenizeError, Tokenizer, Tokens};
use crate::text::span::ByteSpan;
use crate::text::truecase::Truecaser;
use crate::text::view::{View, ViewRules};

/// A text, and its encodings so far.
#[derive(Clone)]
pub struct Document {
    /// As received.
    pub text: Arc<str>,
    encodings: Arc<Encodings>,
}

/// A text as a model sees it, and its tokens.
#[derive(Debug)]
pub struct Encoded {
    text: Arc<str>,
    /// `None` where the model sees the text as received.
    view: Option<View<'static>>,
    /// `None` where the text has kept its letter case.
    restored: Option<String>,
    pub tokens: Arc<Tokens>,
}

/// A text that is being tokenized.
pub struct Encoding {
    text: Arc<str>,
    view: Option<View<'static>>,
    /// The view with its letter case restored, where it had lost it. That does not move its tokens.
    restored: Option<String>,
    tokens: PiecewiseTokens,
}

/// What the encoding of a text depends on.
#[derive(Clone)]
pub struct EncodingKey {
    /// Kept alive, so that no other one takes its address.
    pub tokenizer: Arc<Tokenizer>,
    /// That of the list of words for texts without letter case.
    pub truecase_digest: Option<[u8; 32]>,
    pub rules: ViewRules,
}

/// The encodings of one text, one for each key.
type Encodings = Mutex<Vec<(EncodingKey, EncodingCell)>>;

/// An encoding that the first model to need it makes, while others wait.
pub type EncodingCell = Arc<OnceCell<Arc<Encoded>>>;

impl Document {
    pub fn new(text: Arc<str>) -> Self {
        Self { text, encodings: Arc::default() }
    }

    /// The same document for a model that reads it later. A long one is encoded again then, so that waiting takes little memory.
    pub fn for_later(&self) -> Self {
        const MAX_KEPT_BYTES: usize = 64 * 1024;
        match self.text.len() <= MAX_KEPT_BYTES {
            true => self.clone(),
            false => Self::new(Arc::clone(&self.text)),
        }
    }

    /// Where the encoding of this key is, or will be.
    pub fn encoding(&self, key: EncodingKey) -> EncodingCell {
        let mut encodings = self.encodings.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, cell)) = encodings.iter().find(|(known, _)| known.is(&key)) {
            return Arc::clone(cell);
        }
        let cell = EncodingCell::default();
        encodings.push((key, Arc::clone(&cell)));
        cell
    }
}

impl From<Arc<str>> for Document {
    fn from(text: Arc<str>) -> Self {
        Self::new(text)
    }
}

impl From<&str> for Document {
    fn from(text: &str) -> Self {
        Self::new(text.into())
    }
}

impl EncodingKey {
    fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.tokenizer, &other.tokenizer)
            && (self.truecase_digest, self.rules) == (other.truecase_digest, other.rules)
    }
}

impl Encoding {
    /// Begins with the text as the model sees it. A text in which nothing changes is not copied.
    pub fn begin(text: Arc<str>, rules: ViewRules, truecaser: Option<&Truecaser>) -> Self {
        let view = View::of(&text, rules).into_changed();
        let seen = view.as_ref().map_or(&*text, |view| &view.text);
        let restored = truecaser.and_then(|truecaser| match truecaser.restore(seen) {
            Cow::Borrowed(_) => None,
            Cow::Owned(restored) => Some(restored),
        });
        Self { text, view, restored, tokens: PiecewiseTokens::default() }
    }

    /// Tokenizes the next piece. After the last one it gives the whole.
    pub fn step(&mut self, tokenizer: &Tokenizer) -> Result<Option<Encoded>, TokenizeError> {
        let seen = self.view.as_ref().map_or(&*self.text, |view| &view.text);
        let tokens = self.tokens.step(tokenizer, self.restored.as_deref().unwrap_or(seen))?;
        Ok(tokens.map(|tokens| {
            let tokens = Arc::new(if is_blank(&tokens) { Tokens::default() } else { tokens });
            Encoded { text: Arc::clone(&self.text), view: self.view.take(), restored: self.restored.take(), tokens }
        }))
    }
}

/// Some tokenizers make a token of white space, which says nothing.
fn is_blank(tokens: &Tokens) -> bool {
    tokens.spans.iter().all(|span| span.is_empty())
}

impl Encoded {
    /// The text as received.
    pub fn received(&self) -> &str {
        &self.text
    }

    /// The text as the model sees it, in the letter case as received.
    pub fn seen(&self) -> &str {
        self.view.as_ref().map_or(&*self.text, |view| &view.text)
    }

    /// The text as the model sees it, with its letter case restored where it had lost it. Its words are where those of the text in the
    /// letter case as received are.
    pub fn in_usual_case(&self) -> &str {
        self.restored.as_deref().unwrap_or(self.seen())
    }

    /// The span in the text as received of a span of the text as seen.
    pub fn to_received(&self, span: ByteSpan) -> ByteSpan {
        self.view.as_ref().map_or(span, |view| view.to_received(span))
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::system::memory::held;

    const TEXT: &str = "Angela Merkel sprach am Montag in München über die Außenpolitik. ";

    fn tokenizer() -> Tokenizer {
        let models = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/models");
        Tokenizer::from_file(&models.join("bert-cased-ner/tokenizer.json")).unwrap()
    }

    #[test]
    fn a_text_in_which_nothing_changes_is_not_copied() {
        let rules = ViewRules { html: true, hyphens: true, line_ends: true };
        let text: Arc<str> = TEXT.repeat(1_000_000 / TEXT.len()).into();
        let (tokenizer, truecaser) = (tokenizer(), Truecaser::parse("und\n").unwrap());
        // The first text compiles the patterns of the rules.
        drop(Encoding::begin(Arc::clone(&text), rules, Some(&truecaser)));
        let before = held::taken();
        let mut encoding = Encoding::begin(Arc::clone(&text), rules, Some(&truecaser));
        assert!(held::taken() - before < 1000, "{} bytes to begin with", held::taken() - before);
        let before = held::bytes();
        let encoded = loop {
            if let Some(encoded) = encoding.step(&tokenizer).unwrap() {
                break encoded;
            }
        };
        assert!(std::ptr::eq(encoded.seen(), &*text));
        // Vectors grow by doubling.
        let (kept, needed) = (held::bytes() - before, encoded.tokens.ids.len() as isize * 36);
        assert!(kept <= 2 * needed, "{kept} bytes for tokens of {needed}");
    }

    #[test]
    fn a_changed_text_leads_back_to_the_one_received() {
        let rules = ViewRules { html: true, hyphens: true, line_ends: true };
        let mut encoding = Encoding::begin("<b>Ulm</b>".into(), rules, None);
        let encoded = encoding.step(&tokenizer()).unwrap().unwrap();
        assert_eq!((encoded.received(), encoded.seen()), ("<b>Ulm</b>", "Ulm"));
        assert_eq!(encoded.to_received(ByteSpan::new(0, 3)), ByteSpan::new(3, 6));
    }

    #[test]
    fn an_encoding_is_shared_only_where_nothing_that_it_depends_on_differs() {
        let (tokenizer, rules) = (Arc::new(tokenizer()), ViewRules::default());
        let key = EncodingKey { tokenizer: Arc::clone(&tokenizer), truecase_digest: None, rules };
        let document = Document::from("Ulm");
        let first = document.encoding(key.clone());
        assert!(Arc::ptr_eq(&first, &document.clone().encoding(key.clone())));
        assert!(Arc::ptr_eq(&first, &document.for_later().encoding(key.clone())));
        let other_tokenizer = Arc::new(self::tokenizer());
        for other in [
            EncodingKey { tokenizer: other_tokenizer, ..key.clone() },
            EncodingKey { truecase_digest: Some([0; 32]), ..key.clone() },
            EncodingKey { rules: ViewRules { html: true, ..rules }, ..key.clone() },
            EncodingKey { rules: ViewRules { hyphens: true, ..rules }, ..key.clone() },
            EncodingKey { rules: ViewRules { line_ends: true, ..rules }, ..key.clone() },
        ] {
            assert!(!Arc::ptr_eq(&first, &document.encoding(other)));
        }
        let long = Document::new("Ulm ".repeat(20_000).into());
        assert!(!Arc::ptr_eq(&long.encoding(key.clone()), &long.for_later().encoding(key)));
    }
}
