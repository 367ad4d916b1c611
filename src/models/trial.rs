//! The trial runs of a model, and its heads adjusted to their outputs.

use std::path::PathBuf;

use crate::inference::batch::{Batch, HeadOutput, Outputs, Run, RunError};
use crate::inference::decode::name_weights::NameWeights;
use crate::inference::decode::names::{NameList, NameListError};
use crate::inference::decode::tag_scheme::TagScheme;
use crate::inference::pipeline::EntityTags;
use crate::inference::tokenize::{TokenizeError, Tokens};
use crate::manifest::tags::{entity_labels, rename_tags};
use crate::manifest::task::{GraphScores, Pooling, ProblemType, Task, TokenPooling};
use crate::manifest::{EntityHead, Manifest, TopicHead, default_label, export_task};
use crate::models::sharing::TrialSource;

#[derive(Debug, thiserror::Error)]
pub enum TrialError {
    #[error(transparent)]
    Tokenizer(#[from] TokenizeError),
    #[error(transparent)]
    Names(#[from] NameListError),
    #[error("{path}: the trial run failed; if the cause is a shape, export the graph with dynamic axes for batch and sequence (optimum-cli export onnx), or set max_length in ressort.toml to the positions that it has", path = path.display())]
    Run { path: PathBuf, source: RunError },
    #[error("{path}: {message}", path = path.display())]
    Unfit { path: PathBuf, message: String },
}

/// Enough tokens to find a wrong table of positions, without a minute's wait for a model of 8,192.
const LONGEST: usize = 1024;

/// What the first runs of a model showed.
pub struct Trial {
    outputs: Vec<Outputs>,
}

impl Trial {
    /// Runs the first session on a short window and on the longest, at most [`LONGEST`] tokens. A table of positions that is shorter
    /// than that makes the run fail.
    pub fn run(source: TrialSource<'_>, session: &mut dyn Run) -> Result<Self, TrialError> {
        let lengths = [short(source)?, source.windowing.capacity().min(LONGEST)];
        let outputs = lengths.into_iter().map(|n| run(source, session, n)).collect::<Result<_, _>>()?;
        Ok(Self { outputs })
    }

    /// The topic head, with labels and kind of scores as the outputs show. Refused are another number of labels than of logits, and a
    /// pooling that needs logits for each token.
    pub fn fit_topics(&self, manifest: &Manifest, mut head: TopicHead) -> Result<TopicHead, TrialError> {
        let outputs: Vec<&HeadOutput> = self.outputs.iter().filter_map(|outputs| outputs.topics.as_ref()).collect();
        let Some(&output) = outputs.first() else { return Ok(head) };
        let is_sequence = matches!(output, HeadOutput::Sequence(_));
        if is_sequence && manifest.graph.rank(&head.output) == Some(3) {
            // The graph file does not show that the second axis of `[B, 1, L]` has the length 1.
            let is_default = head.pooling == Pooling::TokenMean && head.token_pooling == TokenPooling::default();
            head.pooling = if is_default { Pooling::Mean } else { head.pooling };
        }
        if is_sequence && head.pooling == Pooling::TokenMean {
            return Err(unfit(
                manifest,
                format!(
                    "pooling `token-mean` needs logits for each token, but output `{}` has one row a window; set pooling to `mean`, `max` or `first`",
                    head.output
                ),
            ));
        }
        if head.labels.is_empty() {
            // That there is one label is known only now.
            head.problem_type = ProblemType::of(Some(head.problem_type), output.n_labels(), head.scores);
            head.labels = head.default_labels(output.n_labels());
        }
        check_width(manifest, &head.output, head.labels.len(), output.n_labels())?;
        head.scores = scores(manifest, &head.output, &outputs)?;
        Ok(head)
    }

    /// The head with as many tags as it has logits. `names` is its list of names with the path.
    pub fn fit_entities(
        &self,
        manifest: &Manifest,
        mut head: EntityHead,
        names: Option<(PathBuf, NameList)>,
    ) -> Result<EntityTags, TrialError> {
        let outputs: Vec<&HeadOutput> = self.outputs.iter().filter_map(|outputs| outputs.entities.as_ref()).collect();
        if let Some(&output) = outputs.first() {
            if matches!(output, HeadOutput::Sequence(_)) {
                return Err(unfit(
                    manifest,
                    format!(
                        "output `{}` gives one row a window where entities need one for each token; export the checkpoint with optimum-cli export onnx --task {}",
                        head.output,
                        export_task(Task::Entities)
                    ),
                ));
            }
            if head.tags.is_empty() {
                let tags: Vec<String> = (0..output.n_labels()).map(default_label).collect();
                head.tags = rename_tags(&tags, &head.rename).map_err(|name| {
                    let known = tags.join("`, `");
                    unfit(
                        manifest,
                        format!(
                            "rename in ressort.toml names `{name}`, which is no label of the model; it has `{known}`"
                        ),
                    )
                })?;
            }
            check_width(manifest, &head.output, head.tags.len(), output.n_labels())?;
            head.scores = scores(manifest, &head.output, &outputs)?;
        }
        let scheme = TagScheme::of(&head.tags)
            .with_graph_scores(head.scores)
            .with_temperature(head.temperature)
            .with_one_label_per_name(head.one_label_per_name)
            .with_blank_tokens_skipped(head.skips_blank_tokens);
        let listed = |(path, list): (PathBuf, NameList)| {
            list.check_labels(&path, &entity_labels(&scheme.tags))?;
            Ok::<_, NameListError>(NameWeights::new(list, head.names_weight, &scheme.tags))
        };
        let names = names.map(listed).transpose()?;
        let scheme = scheme.with_names(names);
        Ok(EntityTags { scheme, aggregation: head.aggregation, threshold: head.threshold })
    }
}

/// Runs a further session once.
pub fn check_session(source: TrialSource<'_>, session: &mut dyn Run) -> Result<(), TrialError> {
    run(source, session, short(source)?).map(drop)
}

const TEXT: &str = "Das ist ein Satz. ";

/// The number of tokens of a short window, at least 1.
fn short(source: TrialSource<'_>) -> Result<usize, TrialError> {
    match source.tokenizer.tokenize(TEXT)?.ids.len() {
        0 => Err(TrialError::Unfit {
            path: source.manifest.tokenizer_file(),
            message: format!(
                "the tokenizer gives no token for the text {TEXT:?}; copy the tokenizer that the model was trained with"
            ),
        }),
        n => Ok(n.min(source.windowing.capacity())),
    }
}

/// Runs a window of `n` tokens.
fn run(source: TrialSource<'_>, session: &mut dyn Run, n: usize) -> Result<Outputs, TrialError> {
    let ids = source.tokenizer.tokenize(TEXT)?.ids.into_iter().cycle().take(n).collect();
    let window = source.tokenizer.window(&Tokens { ids, ..Default::default() }, 0..n);
    let batch = Batch::new(&[&window], source.padding());
    session.run(&batch).map_err(|error| TrialError::Run { path: source.manifest.onnx_file.clone(), source: error })
}

/// What the graph has made of an output's logits: as its last operator says, or as rows show that sum to one.
fn scores(manifest: &Manifest, output: &str, outputs: &[&HeadOutput]) -> Result<Option<GraphScores>, TrialError> {
    let rows: Vec<Vec<f32>> = outputs.iter().flat_map(|output| output.rows()).collect();
    let sum_to_one = |tolerance: f32, score: fn(f32) -> f32| {
        rows.iter().all(|row| (row.iter().copied().map(score).sum::<f32>() - 1.0).abs() <= tolerance)
    };
    let in_range = || rows.iter().flatten().all(|score| (-0.01..=1.01).contains(score));
    // Rounding in 8 or 16 bits adds up over the labels.
    const ROUNDED: f32 = 0.05;
    let several = rows.first().is_some_and(|row| row.len() > 1);
    let scores = manifest.graph.scores(output);
    let as_expected = match scores {
        Some(GraphScores::Softmax) => several && in_range() && sum_to_one(ROUNDED, |score| score),
        Some(GraphScores::LogSoftmax) => several && sum_to_one(ROUNDED, f32::exp),
        Some(GraphScores::Sigmoid) => in_range(),
        None => true,
    };
    match scores {
        Some(scores) if !as_expected => Err(unfit(
            manifest,
            format!(
                "output `{output}` ends in a {scores}, but its rows are no scores of several labels: {:?}; export the model without its last {scores}",
                rows.first().map_or(&[][..], |row| &row[..row.len().min(4)])
            ),
        )),
        Some(scores) => Ok(Some(scores)),
        // A softmax in single steps. Logits of different rows never sum to one by chance.
        None => {
            let differ = rows.iter().any(|row| Some(row) != rows.first());
            Ok((several && differ && in_range() && sum_to_one(1e-3, |score| score)).then_some(GraphScores::Softmax))
        }
    }
}

/// What a report says about outputs that are scores.
pub fn scores_notes(manifest: &Manifest, topics: Option<&TopicHead>, entities: Option<&EntityTags>) -> Vec<String> {
    let topics = topics.and_then(|head| Some((&head.output, head.scores?)));
    let entities = entities.zip(manifest.entities.as_ref());
    let entities = entities.and_then(|(tags, head)| Some((&head.output, tags.scheme.graph_scores?)));
    let note = |(output, scores)| {
        format!("output `{output}` is the result of a {scores}; its scores are not normalised again")
    };
    topics.into_iter().chain(entities).map(note).collect()
}

fn check_width(manifest: &Manifest, output: &str, n_labels: usize, width: usize) -> Result<(), TrialError> {
    match n_labels == width {
        true => Ok(()),
        false => Err(unfit(
            manifest,
            format!(
                "output `{output}` has {width} logits, but the folder names {n_labels} labels (id2label in config.json, or labels in ressort.toml); name exactly {width}, in the order of the logits"
            ),
        )),
    }
}

fn unfit(manifest: &Manifest, message: String) -> TrialError {
    TrialError::Unfit { path: manifest.onnx_file.clone(), message }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::inference::settings::Provider;
    use crate::inference::tokenize::Tokenizer;
    use crate::inference::windows::Windowing;

    /// Keeps the batches that it is given.
    #[derive(Default)]
    struct Recorder(Vec<Batch>);

    impl Run for Recorder {
        fn run(&mut self, batch: &Batch) -> Result<Outputs, RunError> {
            self.0.push(batch.clone());
            Ok(Outputs::default())
        }
    }

    #[test]
    fn sessions_are_tried_on_words_and_on_the_longest_window() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/models/two-heads");
        let manifest = Manifest::read(&folder).unwrap();
        let path = folder.join("tokenizer.json");
        let tokenizer = Tokenizer::shared(&path, &std::fs::read(&path).unwrap()).unwrap();
        let special = tokenizer.special();
        let n_special = special.prefix.len() + special.suffix.len();
        let windowing = Windowing::new(64, 8, n_special).unwrap();
        let source = TrialSource { manifest: &manifest, tokenizer: &tokenizer, windowing, provider: Provider::Cpu };
        let n_tokens = tokenizer.tokenize(TEXT).unwrap().ids.len() + n_special;
        let mut first = Recorder::default();
        Trial::run(source, &mut first).unwrap();
        assert_eq!(first.0.iter().map(Batch::shape).collect::<Vec<_>>(), [(1, n_tokens), (1, 64)]);
        let mut other = Recorder::default();
        check_session(source, &mut other).unwrap();
        assert_eq!(other.0, first.0[..1]);
        // Where a window holds fewer tokens than the text has.
        let windowing = Windowing::new(n_special + 2, 1, n_special).unwrap();
        let mut narrow = Recorder::default();
        Trial::run(TrialSource { windowing, ..source }, &mut narrow).unwrap();
        assert_eq!(narrow.0.iter().map(Batch::shape).collect::<Vec<_>>(), [(1, n_special + 2); 2]);
    }
}
