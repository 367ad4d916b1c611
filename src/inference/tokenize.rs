//! From a text to the ids and spans of its tokens, and from the tokens of a window to the sequence that a model reads,
//! between its special tokens.
//!
//! Only this file, `cuts.rs` and `pieces.rs` name the `tokenizers` crate. Truncation and padding that a `tokenizer.json` carries
//! are overruled, and a text that spells a special token (`</s>`) is read as text.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use sha2::{Digest, Sha256};
use tokenizers::{Model, ModelWrapper};

use crate::inference::cuts::can_cut;
use crate::system::panics::caught;
use crate::text::span::ByteSpan;

/// A model's tokenizer, with what it puts around a sequence.
pub struct Tokenizer {
    inner: tokenizers::Tokenizer,
    special: SpecialTokens,
    largest_id: u32,
    unknown_id: Option<u32>,
    is_cuttable: bool,
    /// Texts and pieces of texts that were tokenized.
    #[cfg(test)]
    pub(crate) n_calls: std::sync::atomic::AtomicUsize,
}

/// The tokens that the model expects before and after a sequence (`[CLS] … [SEP]`, `<s> … </s>`).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SpecialTokens {
    pub prefix: Vec<u32>,
    pub suffix: Vec<u32>,
}

/// The tokens of a whole text, without special tokens, in the order of the text.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tokens {
    pub ids: Vec<u32>,
    /// The span of each token in the text that was tokenized, without white space at its ends; empty for a token of white
    /// space.
    pub spans: Vec<ByteSpan>,
    /// The tokenizer's own word (pre-token) of each token: tokens of one word share a number.
    pub word_ids: Vec<Option<u32>>,
}

/// One sequence for the model: special tokens around `tokens` of the text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Window {
    /// Which of the text's tokens are in this window.
    pub tokens: Range<usize>,
    /// Ids of the special tokens before, the text's tokens, and the special tokens after.
    pub input_ids: Vec<u32>,
    /// How many special tokens precede the text's first token.
    pub n_prefix: usize,
}

#[derive(Debug, thiserror::Error)]
pub enum TokenizeError {
    #[error("{path}: the tokenizer cannot be read; write it again with transformers: AutoTokenizer.from_pretrained(DIR).save_pretrained(DIR)", path = path.display())]
    Unreadable { path: PathBuf, source: Box<dyn std::error::Error + Send + Sync> },
    #[error(
        "the text has {n_characters} characters, of which the model's normalizer would make {n_expanded}, and at most {max} are read; shorten it, or replace U+{:04X}, which becomes {n_of_character}",
        u32::from(*character)
    )]
    Expands { n_characters: usize, n_expanded: usize, max: usize, character: char, n_of_character: usize },
    #[error("the text cannot be tokenized: {0}")]
    Failed(Box<dyn std::error::Error + Send + Sync>),
    #[error(
        "stride {stride} is too large: windows of {max_length} tokens hold {capacity} of the text and {n_special} special tokens, and must advance by at least one; set a stride below {capacity}"
    )]
    StrideTooLarge { stride: usize, max_length: usize, n_special: usize, capacity: usize },
}

/// The tokenizers that models use, by the SHA-256 of their files.
static IN_USE: Mutex<BTreeMap<[u8; 32], Weak<Tokenizer>>> = Mutex::new(BTreeMap::new());

impl Tokenizer {
    /// The tokenizer of `json`, the content of the `tokenizer.json` at `path`.
    ///
    /// Models with the same content share one tokenizer. It takes as much memory as a small model's weights.
    pub fn shared(path: &Path, json: &[u8]) -> Result<Arc<Self>, TokenizeError> {
        let key: [u8; 32] = Sha256::digest(json).into();
        let in_use = || IN_USE.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = in_use().get(&key).and_then(Weak::upgrade) {
            return Ok(known);
        }
        // Without the lock, since it takes a while; where two read the same at once, each has its own.
        let tokenizer = Arc::new(Self::parse(json).map_err(|source| unreadable(path, source))?);
        let mut in_use = in_use();
        in_use.retain(|_, tokenizer| tokenizer.strong_count() > 0);
        in_use.insert(key, Arc::downgrade(&tokenizer));
        Ok(tokenizer)
    }

    /// Reads a `tokenizer.json` and finds out what it puts around a sequence.
    pub fn from_file(path: &Path) -> Result<Self, TokenizeError> {
        Self::parse(&read(path)?).map_err(|source| unreadable(path, source))
    }

    fn parse(json: &[u8]) -> tokenizers::Result<Self> {
        const REMEDY: &str = "; copy the checkpoint's own tokenizer.json here";
        // `tokenizers` 0.23 panics at some damaged files, where it should give an error.
        let panicked = |message| Err(format!("the tokenizer is damaged: {message}").into());
        let parsed = caught(|| Self::from_json(json)).unwrap_or_else(panicked);
        parsed.map_err(|error| format!("{error}{REMEDY}").into())
    }

    fn from_json(json: &[u8]) -> tokenizers::Result<Self> {
        let mut inner = tokenizers::Tokenizer::from_bytes(json)?;
        inner.with_padding(None);
        inner.with_truncation(None)?;
        inner.set_encode_special_tokens(true);
        if let ModelWrapper::BPE(_) = inner.get_model() {
            let without = without_word_cache(inner.get_model());
            inner.with_model(without);
        }
        let special = probe_special_tokens(&inner)?;
        let largest_id = inner.get_vocab(true).into_values().max().unwrap_or(0);
        let is_cuttable = can_cut(&inner);
        let unknown_id = unknown_id(&inner);
        Ok(Self {
            inner,
            special,
            largest_id,
            unknown_id,
            is_cuttable,
            #[cfg(test)]
            n_calls: std::sync::atomic::AtomicUsize::new(0),
        })
    }

    pub fn special(&self) -> &SpecialTokens {
        &self.special
    }

    /// The largest id that this tokenizer can give.
    pub fn largest_id(&self) -> u32 {
        self.largest_id
    }

    /// How many of `tokens` stand for text that the tokenizer does not know.
    pub fn n_unknown(&self, tokens: &Tokens) -> usize {
        self.unknown_id.map_or(0, |unknown| tokens.ids.iter().filter(|&&id| id == unknown).count())
    }

    /// Whether there is a token for text that the tokenizer does not know. Some tokenizers know every byte.
    pub fn has_unknown(&self) -> bool {
        self.unknown_id.is_some()
    }

    /// The id of a token by its exact name, for instance `<pad>`.
    pub fn token_to_id(&self, token: &str) -> Option<u32> {
        self.inner.token_to_id(token)
    }

    /// The name of the token with this id.
    pub fn id_to_token(&self, id: u32) -> Option<String> {
        self.inner.id_to_token(id)
    }

    /// Whether a text in pieces has the tokens of the whole.
    pub fn is_cuttable(&self) -> bool {
        self.is_cuttable
    }

    pub(super) fn normalizer(&self) -> Option<&tokenizers::NormalizerWrapper> {
        self.inner.get_normalizer()
    }

    /// The tokens of the whole of `text`, however long it is, with spans in bytes of `text`.
    pub fn tokenize(&self, text: &str) -> Result<Tokens, TokenizeError> {
        #[cfg(test)]
        self.n_calls.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let encoding = without_quotes(|| self.inner.encode(text, false)).map_err(TokenizeError::Failed)?;
        // Byte-level tokens may hold part of a character; their span is the whole of it.
        let widened = |&(start, end): &(usize, usize)| {
            ByteSpan::new(text.floor_char_boundary(start), text.ceil_char_boundary(end))
        };
        let spans = encoding.get_offsets().iter().map(|offsets| widened(offsets).trim(text)).collect();
        Ok(Tokens { ids: encoding.get_ids().to_vec(), spans, word_ids: encoding.get_word_ids().to_vec() })
    }

    /// The window that holds this range of `tokens`.
    pub fn window(&self, tokens: &Tokens, range: Range<usize>) -> Window {
        Window {
            input_ids: [&self.special.prefix, &tokens.ids[range.clone()], &self.special.suffix].concat(),
            n_prefix: self.special.prefix.len(),
            tokens: range,
        }
    }
}

impl Tokens {
    /// Keeps the first `n` tokens.
    pub fn truncate(&mut self, n: usize) {
        self.ids.truncate(n);
        self.spans.truncate(n);
        self.word_ids.truncate(n);
    }
}

impl Window {
    /// The length of the sequence, special tokens included.
    pub fn len(&self) -> usize {
        self.input_ids.len()
    }

    pub fn is_empty(&self) -> bool {
        self.input_ids.is_empty()
    }
}

/// Work on a text, whose panic becomes an error without the panic's message: that may quote the text, and errors are logged.
fn without_quotes<T>(work: impl FnOnce() -> tokenizers::Result<T>) -> tokenizers::Result<T> {
    caught(work).unwrap_or_else(|_| Err("it panics at this text; check the tokenizer's files".into()))
}

fn read(path: &Path) -> Result<Vec<u8>, TokenizeError> {
    std::fs::read(path).map_err(|error| unreadable(path, error.into()))
}

fn unreadable(path: &Path, source: tokenizers::Error) -> TokenizeError {
    TokenizeError::Unreadable { path: path.to_owned(), source }
}

/// A BPE model that splits each word again. `tokenizers` 0.23 keeps the words of a BPE model by thread, for as long as the
/// thread lives and also when the model is gone, so that a server would grow with every model that is switched.
fn without_word_cache(model: &ModelWrapper) -> ModelWrapper {
    let mut model = model.clone();
    model.resize_cache(0);
    model
}

/// The id of the token for text that the model does not know: what it makes of a character that no text has. A model that falls
/// back to bytes makes several tokens of it.
fn unknown_id(tokenizer: &tokenizers::Tokenizer) -> Option<u32> {
    const NO_CHARACTER: &str = "\u{10ffff}";
    let tokens = tokenizer.get_model().tokenize(NO_CHARACTER).ok()?;
    let [token] = tokens.as_slice() else { return None };
    let name = tokenizer.id_to_token(token.id)?;
    (!name.contains(NO_CHARACTER)).then_some(token.id)
}

/// What the post-processor adds around one ordinary token. A post-processor that adds nothing leaves both sides empty.
fn probe_special_tokens(tokenizer: &tokenizers::Tokenizer) -> tokenizers::Result<SpecialTokens> {
    let with = tokenizer.encode("a", true)?;
    let ids = with.get_ids();
    let is_special: Vec<bool> = with.get_special_tokens_mask().iter().map(|&special| special == 1).collect();
    let first = is_special.iter().position(|special| !special).unwrap_or(ids.len());
    let last = is_special.iter().rposition(|special| !special).map_or(ids.len(), |at| at + 1);
    Ok(SpecialTokens { prefix: ids[..first].to_vec(), suffix: ids[last..].to_vec() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::system::memory::held;

    #[test]
    fn models_share_a_tokenizer_of_the_same_bytes_while_one_uses_it() {
        let original = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/models/xlmr-ner/tokenizer.json");
        let json = std::fs::read_to_string(original).unwrap();
        let shared = |json: &str| Tokenizer::shared(Path::new("tokenizer.json"), json.as_bytes()).unwrap();
        let a = shared(&json);
        assert!(Arc::ptr_eq(&a, &shared(&json)));
        assert!(!Arc::ptr_eq(&a, &shared(&format!("{json} "))));
        let gone = Arc::downgrade(&a);
        drop(a);
        assert!(gone.upgrade().is_none(), "a tokenizer that nobody uses is kept");
        shared(&json);
    }

    #[test]
    fn a_damaged_file_is_an_error_where_its_library_panics() {
        let original = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/models/xlmr-ner/tokenizer.json");
        let mut json: serde_json::Value = serde_json::from_slice(&std::fs::read(original).unwrap()).unwrap();
        json["normalizer"] = serde_json::json!({"type": "Precompiled", "precompiled_charsmap": "[["});
        let error = Tokenizer::parse(json.to_string().as_bytes()).err().unwrap().to_string();
        assert!(error.contains("damaged") && error.contains("checkpoint's own"), "{error}");
    }

    #[test]
    fn the_error_of_a_panic_at_a_text_does_not_quote_it() {
        let text = "Köln";
        let error = without_quotes(|| -> tokenizers::Result<()> { panic!("no boundary in {text}") }).unwrap_err();
        assert!(!error.to_string().contains(text), "{error}");
    }

    #[test]
    fn a_thread_keeps_no_words_of_a_tokenizer_that_is_gone() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/models");
        let text: String = (0..1000).map(|number| format!("Wort{number} ")).collect();
        for model in ["roberta-ner", "xlmr-ner", "bert-cased-ner"] {
            let file = Path::new(folder).join(model).join("tokenizer.json");
            let read = || drop(Tokenizer::from_file(&file).unwrap().tokenize(&text).unwrap());
            // The first makes what all share.
            read();
            let before = held::bytes();
            read();
            let kept = held::bytes() - before;
            assert!(kept < 1_000, "{model}: {kept} bytes");
        }
    }
}
