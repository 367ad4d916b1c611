//! Which windows of a model share a run. Where sharing changes answers, each window runs alone.
//!
//! A graph may read padding as text: it has no `attention_mask`, or pools the last token that is not its padding
//! id. Its answers would depend on what else is in the queue, and the cache would keep them. So windows are run alone and
//! together when a model is loaded, and compared. Until then each window runs alone.

use crate::inference::batch::{Batch, BatchLimits, Outputs, Padding, Run, WindowHead, WindowLogits};
use crate::inference::settings::{Batching, Provider};
use crate::inference::tokenize::{Tokenizer, Tokens, Window};
use crate::inference::windows::Windowing;
use crate::manifest::{InputKind, InputRole, Manifest, Precision};

/// Which windows share a run, and why there are no more where a trial showed that.
#[derive(Debug, Clone, PartialEq)]
pub struct Sharing {
    pub limits: BatchLimits,
    pub reason: Option<String>,
}

/// What trial runs are made of.
#[derive(Clone, Copy)]
pub struct TrialSource<'m> {
    pub manifest: &'m Manifest,
    pub tokenizer: &'m Tokenizer,
    pub windowing: Windowing,
    pub provider: Provider,
}

/// Models whose runs read fewer bytes of weights are tried with more windows.
const SMALL_BYTES: u64 = 64_000_000;

/// The limits that need no trial. On the CPU, batches of long windows lose more by padding and cache misses than they win,
/// so that only short windows of nearly one length meet; a GPU wants them large.
pub fn limits(manifest: &Manifest, provider: Provider, batching: Batching) -> BatchLimits {
    if manifest.graph.precision.depends_on_batch() || batching == Batching::Alone {
        return BatchLimits::ALONE;
    }
    let limits = match provider.is_gpu() {
        true => BatchLimits { max_windows: 64, max_tokens: 16_384, max_padding: 0.2 },
        false => BatchLimits { max_windows: 8, max_tokens: 128, max_padding: 0.1 },
    };
    let max_windows = limits.max_windows.min(manifest.graph.inputs.batch.unwrap_or(usize::MAX));
    BatchLimits { max_windows, ..limits }
}

impl Sharing {
    /// `limits`, unless windows that share a run get other logits than alone.
    pub fn find(source: TrialSource<'_>, limits: BatchLimits, session: &mut dyn Run) -> Self {
        if limits.max_windows <= 1 {
            return Self { limits, reason: None };
        }
        let reason = match source.pad_id() {
            None => Some("no padding token is known: config.json and tokenizer_config.json name none".to_owned()),
            Some(_) => fault(source, limits, session),
        };
        match reason {
            None => Self { limits, reason },
            Some(_) => Self { limits: BatchLimits::ALONE, reason },
        }
    }
}

impl TrialSource<'_> {
    /// How windows are filled up.
    pub fn padding(&self) -> Padding {
        let inputs = &self.manifest.graph.inputs;
        // Without a padding token windows run alone; what fills up a fixed length is masked.
        Padding { id: self.pad_id().unwrap_or(0), batch: inputs.batch, length: inputs.length }
    }

    /// The id that fills up shorter windows: that of the `config.json`, which the graph was made with; else the padding
    /// token that the tokenizer's files name, else one of the usual names.
    fn pad_id(&self) -> Option<u32> {
        const USUAL: [&str; 3] = ["[PAD]", "<pad>", "<|padding|>"];
        let (manifest, tokenizer) = (self.manifest, self.tokenizer);
        let has_embedding = |id: &u32| match manifest.vocab_size {
            Some(size) => *id < size,
            None => tokenizer.id_to_token(*id).is_some(),
        };
        let named = manifest.pad_token.iter().map(String::as_str).chain(USUAL);
        let by_name = || named.filter_map(|token| tokenizer.token_to_id(token)).next();
        manifest.pad_token_id.filter(has_embedding).or_else(by_name)
    }

    /// `n` short windows of different lengths. Their last tokens are spread over the vocabulary, since a graph that pools the
    /// last token shows there whether it takes padding for one.
    fn windows(&self, n: usize, padding: Padding) -> Vec<Window> {
        const LONGEST: usize = 16;
        const N_LENGTHS: usize = 8;
        let special = self.tokenizer.special();
        let n_ids = self.manifest.vocab_size.unwrap_or(u32::MAX).min(self.tokenizer.largest_id().saturating_add(1));
        let is_text = |id: &u32| *id != padding.id && !special.prefix.contains(id) && !special.suffix.contains(id);
        let ids: Vec<u32> = (0..n_ids).filter(is_text).collect();
        let n_special = special.prefix.len() + special.suffix.len();
        let longest = LONGEST.saturating_sub(n_special).clamp(1, self.windowing.capacity());
        let window = |index: usize| {
            let length = 1 + index % N_LENGTHS * (longest - 1) / (N_LENGTHS - 1);
            let last = index * ids.len() / n;
            let token = |from_last: usize| ids[(last + from_last * 7919) % ids.len()];
            let tokens = Tokens { ids: (0..length).rev().map(token).collect(), ..Default::default() };
            self.tokenizer.window(&tokens, 0..length)
        };
        if ids.is_empty() { Vec::new() } else { (0..n).map(window).collect() }
    }
}

/// Why windows may not share a run.
fn fault(source: TrialSource<'_>, limits: BatchLimits, session: &mut dyn Run) -> Option<String> {
    let (n_small, n_large) = (64, 16);
    let n = if source.manifest.graph.n_bytes_a_run < SMALL_BYTES { n_small } else { n_large };
    let padding = source.padding();
    let windows = source.windows(n, padding);
    let mut difference = Difference::default();
    for together in windows.chunks(limits.max_windows.min(8)) {
        let together: Vec<&Window> = together.iter().collect();
        let shared = match session.run(&Batch::new(&together, padding)) {
            Ok(outputs) => outputs,
            Err(error) => return Some(format!("it cannot run {} windows together: {error}", together.len())),
        };
        for (window, shared) in together.iter().zip(shared.into_windows(together.iter().copied())) {
            // A window that fails alone fails in a request too, and is answered there.
            let alone = session.run(&Batch::new(&[window], padding)).unwrap_or_else(|_| Outputs::default());
            alone.into_windows([*window]).iter().for_each(|alone| difference.add(alone, &shared));
        }
    }
    tracing::debug!(?difference, "windows alone and together");
    let tolerance = tolerance(source.manifest.graph.precision, source.provider);
    (difference.largest > tolerance * difference.scale).then(|| {
        format!(
            "padding or other windows change its answers (a logit by {:.2}, of at most {:.2})",
            difference.largest, difference.scale
        )
    })
}

/// By how much rounding moves a logit, as a share of the largest logit. Runs of other shapes add in another order.
fn tolerance(precision: Precision, provider: Provider) -> f32 {
    match precision {
        // A GPU multiplies in TF32, with 10 bits after the point.
        Precision::Fp32 if provider.is_gpu() => 0.02,
        Precision::Fp32 => 0.005,
        Precision::Fp16 => 0.02,
        Precision::Bf16 | Precision::Int8Dynamic | Precision::Int8Static | Precision::Int4 => 0.1,
    }
}

/// The largest difference between logits of the same windows, and the largest logit.
#[derive(Debug, Default)]
struct Difference {
    largest: f32,
    scale: f32,
}

impl Difference {
    fn add(&mut self, alone: &WindowLogits, shared: &WindowLogits) {
        self.add_head(alone.topics.as_ref(), shared.topics.as_ref());
        self.add_head(alone.entities.as_ref(), shared.entities.as_ref());
    }

    fn add_head(&mut self, alone: Option<&WindowHead>, shared: Option<&WindowHead>) {
        let (Some(alone), Some(shared)) = (alone, shared) else { return };
        for (a, b) in alone.rows().iter().zip(shared.rows()) {
            self.largest = self.largest.max((a - b).abs());
            self.scale = self.scale.max(a.abs());
        }
    }
}

/// What is special about how a graph is run, for its report.
pub fn notes(manifest: &Manifest, alone_reason: Option<String>) -> Vec<String> {
    let inputs = &manifest.graph.inputs;
    let renamed = inputs.all.iter().filter(|input| input.name != input.role.to_string());
    let mut notes: Vec<String> = renamed.map(|input| format!("input `{}` gets {}", input.name, input.role)).collect();
    let narrow = inputs.all.iter().filter(|input| input.kind != InputKind::Int64);
    notes.extend(narrow.map(|input| format!("input `{}` is given as {}", input.name, input.kind)));
    if let Some(batch) = inputs.batch {
        notes.push(format!("the graph fixes every run to {batch} window(s), and missing ones are filled up"));
    }
    if let Some(length) = inputs.length {
        let masked = if inputs.takes(InputRole::AttentionMask) {
            ""
        } else {
            ", which it reads as text: it has no attention_mask"
        };
        notes.push(format!("the graph fixes every window to {length} tokens, and shorter ones are filled up{masked}"));
    }
    notes.extend(alone_reason.map(|reason| format!("runs one window at a time: {reason}")));
    notes
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    use super::*;

    #[test]
    fn trial_windows_have_every_length_and_end_all_over_the_vocabulary() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/models/two-heads");
        let manifest = Manifest::read(&folder).unwrap();
        let path = folder.join("tokenizer.json");
        let tokenizer = Tokenizer::shared(&path, &std::fs::read(&path).unwrap()).unwrap();
        let n_special = tokenizer.special().prefix.len() + tokenizer.special().suffix.len();
        let windowing = Windowing::new(64, 8, n_special).unwrap();
        let source = TrialSource { manifest: &manifest, tokenizer: &tokenizer, windowing, provider: Provider::Cpu };
        let windows = source.windows(64, source.padding());
        let lengths: BTreeSet<usize> = windows.iter().map(|window| window.tokens.len()).collect();
        assert_eq!((windows.len(), lengths.first(), lengths.last()), (64, Some(&1), Some(&(16 - n_special))));
        assert!(lengths.len() >= 7, "{lengths:?}");
        let last = |window: &Window| window.input_ids[window.n_prefix + window.tokens.len() - 1];
        let last: BTreeSet<u32> = windows.iter().map(last).collect();
        let (n_ids, quarter) = (tokenizer.largest_id(), tokenizer.largest_id() / 4);
        assert!(last.first() < Some(&quarter) && last.last() > Some(&(n_ids - quarter)), "{last:?} of {n_ids}");
    }
}
