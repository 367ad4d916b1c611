//! A model's answers kept as JSON lines in the API's shape, one file for each model, in the order of the data: so that a
//! run can be cut off and go on, and figures be computed anew without the model.

use std::collections::{BTreeSet, HashMap};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::document::{LabelledSpan, PredictedDocument, ScoredTopic, in_order};
use super::gold::Gold;
use super::speed::Speed;

/// What a file of answers was made from; stands beside it as `NAME.run.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunRecord {
    /// Content hash of the model's folder.
    pub model_version: String,
    /// Content hash of the labelled data.
    pub data_version: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub aggregation: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub label_language: Option<String>,
    /// Entity labels that the model can give.
    pub entity_labels: BTreeSet<String>,
    /// Of the run that wrote the last answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub speed: Option<Speed>,
}

/// The answers of a run under way.
pub struct Store {
    file: File,
    path: PathBuf,
    record_path: PathBuf,
    record: RunRecord,
    /// Answers that are there: those of the first documents of the data.
    pub n_done: usize,
}

/// Answers as they are read from a file.
#[derive(Debug, Default)]
pub struct StoredAnswers {
    pub by_id: HashMap<String, PredictedDocument>,
    /// Of the model that made them, as the first of them says.
    pub model_version: Option<String>,
}

#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("{path}: cannot be read or written", path = path.display())]
    Io { path: PathBuf, source: io::Error },
    #[error("{path}, line {line}: {message}; one answer of the API a line is read", path = path.display())]
    Line { path: PathBuf, line: usize, message: String },
}

#[derive(Deserialize)]
struct AnswerLine {
    id: Option<String>,
    topics: Option<Vec<TopicLine>>,
    entities: Option<Vec<LabelledSpan>>,
    models: Option<ModelsLine>,
    error: Option<ErrorLine>,
}

#[derive(Deserialize)]
struct TopicLine {
    label: String,
    score: f64,
    accepted: bool,
}

#[derive(Deserialize)]
struct ModelsLine {
    topics: Option<ModelLine>,
    entities: Option<ModelLine>,
}

#[derive(Deserialize)]
struct ModelLine {
    version: String,
}

#[derive(Serialize, Deserialize)]
struct ErrorLine {
    detail: String,
}

#[derive(Serialize)]
struct FailureLine<'f> {
    id: &'f str,
    error: ErrorLine,
}

impl RunRecord {
    /// Reads the record of the answers of model `name` in `dir`; `None` where there is none.
    pub fn read(dir: &Path, name: &str) -> Result<Option<Self>, StoreError> {
        let path = record_path(dir, name);
        match fs::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes).map(Some).map_err(|error| StoreError::Line {
                line: error.line(),
                message: error.to_string(),
                path,
            }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(StoreError::Io { path, source }),
        }
    }

    /// Whether a run that is described by `other` would give the same answers.
    fn may_go_on_as(&self, other: &Self) -> bool {
        (&self.model_version, &self.data_version) == (&other.model_version, &other.data_version)
            && (&self.aggregation, &self.label_language) == (&other.aggregation, &other.label_language)
    }
}

impl Store {
    /// Begins the answers of model `name` in `dir`, or goes on with those that are there.
    ///
    /// Answers that were made from something else than `record` says are moved out of the way, to `NAME.jsonl.old`.
    pub fn open(dir: &Path, name: &str, mut record: RunRecord, gold: &Gold) -> Result<Self, StoreError> {
        let path = answers_path(dir, name);
        let io = |source| StoreError::Io { path: path.clone(), source };
        fs::create_dir_all(dir).map_err(io)?;
        let other = RunRecord::read(dir, name)?.filter(|other| other.may_go_on_as(&record));
        let known = match &other {
            Some(_) => fs::read(&path).unwrap_or_default(),
            None => {
                move_away(&path).map_err(io)?;
                Vec::new()
            }
        };
        if let Some(other) = other {
            (record.speed, record.entity_labels) = (other.speed, other.entity_labels);
        }
        let (n_done, n_bytes) = whole_answers(&known, gold);
        let file = OpenOptions::new().create(true).append(true).open(&path).map_err(io)?;
        file.set_len(n_bytes as u64).map_err(io)?;
        let store = Self { file, path: path.clone(), record_path: record_path(dir, name), record, n_done };
        store.write_record()?;
        Ok(store)
    }

    /// Notes which entity labels the model can give.
    pub fn note_labels(&mut self, labels: BTreeSet<String>) -> Result<(), StoreError> {
        self.record.entity_labels = labels;
        self.write_record()
    }

    /// Writes the next document's answer, whole or not at all but for a torn last line, which the next run takes away.
    pub fn write(&mut self, answer: &impl Serialize) -> Result<(), StoreError> {
        let mut line = serde_json::to_vec(answer).map_err(|error| self.io(error.into()))?;
        line.push(b'\n');
        self.file.write_all(&line).map_err(|error| self.io(error))?;
        self.n_done += 1;
        Ok(())
    }

    /// Writes in place of an answer why there is none.
    pub fn write_failure(&mut self, id: &str, detail: String) -> Result<(), StoreError> {
        self.write(&FailureLine { id, error: ErrorLine { detail } })
    }

    /// Notes how fast the model was.
    pub fn finish(&mut self, speed: Option<Speed>) -> Result<(), StoreError> {
        self.record.speed = speed.or(self.record.speed.take());
        self.write_record()
    }

    fn write_record(&self) -> Result<(), StoreError> {
        let json = serde_json::to_vec_pretty(&self.record).map_err(|error| self.io(error.into()))?;
        fs::write(&self.record_path, json).map_err(|error| self.io(error))
    }

    fn io(&self, source: io::Error) -> StoreError {
        StoreError::Io { path: self.path.clone(), source }
    }
}

fn move_away(path: &Path) -> io::Result<()> {
    if !path.exists() {
        return Ok(());
    }
    let old = path.with_extension("jsonl.old");
    tracing::info!(answers = %path.display(), "answers of another model, data or setting stand there and are moved to {}", old.display());
    fs::rename(path, old)
}

/// How many whole lines of `known` answer the first documents of `gold`, in their order, and how many bytes they have.
fn whole_answers(known: &[u8], gold: &Gold) -> (usize, usize) {
    let (mut n_done, mut n_bytes) = (0, 0);
    for (line, document) in known.split_inclusive(|byte| *byte == b'\n').zip(&gold.documents) {
        let answer = serde_json::from_slice::<AnswerLine>(line).ok();
        if !line.ends_with(b"\n") || answer.and_then(|answer| answer.id).as_deref() != Some(&document.id) {
            break;
        }
        n_done += 1;
        n_bytes += line.len();
    }
    (n_done, n_bytes)
}

/// Where the answers of model `name` stand in `dir`.
pub fn answers_path(dir: &Path, name: &str) -> PathBuf {
    dir.join(format!("{name}.jsonl"))
}

fn record_path(dir: &Path, name: &str) -> PathBuf {
    dir.join(format!("{name}.run.json"))
}

impl StoredAnswers {
    /// Reads a file of answers; places are taken as Unicode code points, the API's default.
    pub fn read(path: &Path) -> Result<Self, StoreError> {
        let text = fs::read_to_string(path).map_err(|source| StoreError::Io { path: path.to_owned(), source })?;
        let mut answers = Self::default();
        for (index, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
            let fault = |message| StoreError::Line { path: path.to_owned(), line: index + 1, message };
            let answer: AnswerLine = serde_json::from_str(line).map_err(|error| fault(error.to_string()))?;
            let version = answer.models.as_ref().and_then(|models| models.topics.as_ref().or(models.entities.as_ref()));
            answers.model_version = answers.model_version.or_else(|| version.map(|model| model.version.clone()));
            let id = answer.id.clone().unwrap_or_else(|| (index + 1).to_string());
            if answers.by_id.insert(id.clone(), answer.into_predicted()).is_some() {
                return Err(fault(format!("a second answer for document `{id}`")));
            }
        }
        Ok(answers)
    }
}

impl AnswerLine {
    fn into_predicted(self) -> PredictedDocument {
        let topic = |topic: TopicLine| ScoredTopic { label: topic.label, score: topic.score, accepted: topic.accepted };
        PredictedDocument {
            topics: self.topics.map(|topics| topics.into_iter().map(topic).collect()),
            entities: self.entities.map(in_order),
            failure: self.error.map(|error| error.detail),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evaluate::document::GoldDocument;

    fn gold(ids: &[&str]) -> Gold {
        let document = |id: &&str| GoldDocument { id: (*id).into(), text: "".into(), topics: None, entities: None };
        Gold { documents: ids.iter().map(document).collect(), version: "1".into() }
    }

    fn record(model_version: &str) -> RunRecord {
        RunRecord {
            model_version: model_version.into(),
            data_version: "1".into(),
            aggregation: None,
            label_language: None,
            entity_labels: BTreeSet::new(),
            speed: None,
        }
    }

    #[test]
    fn a_run_that_was_cut_off_goes_on_after_the_last_whole_answer() {
        let dir = tempfile::tempdir().unwrap();
        let gold = gold(&["a", "b", "c"]);
        let open = || Store::open(dir.path(), "m", record("1"), &gold).unwrap();
        let mut store = open();
        store.write_failure("a", "x".into()).unwrap();
        let path = answers_path(dir.path(), "m");
        let whole = fs::read(&path).unwrap();
        fs::write(&path, [whole.as_slice(), br#"{"id":"b","er"#].concat()).unwrap();
        assert_eq!(open().n_done, 1);
        assert_eq!(fs::read(&path).unwrap(), whole);
    }

    #[test]
    fn answers_of_another_model_are_moved_away_and_not_gone_on_with() {
        let dir = tempfile::tempdir().unwrap();
        let open = |version| Store::open(dir.path(), "m", record(version), &gold(&["a"])).unwrap();
        open("1").write_failure("a", "x".into()).unwrap();
        assert_eq!((open("1").n_done, open("2").n_done, open("1").n_done), (1, 0, 0));
        assert!(dir.path().join("m.jsonl.old").exists());
    }

    #[test]
    fn an_answer_of_the_api_can_be_read() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.jsonl");
        let line = r#"{"id":"x","topics":[{"label":"Sport","score":0.5,"accepted":true,"code":"c"}],"entities":[{"label":"PER","score":0.9,"text":"Zoë","start":0,"end":3}],"usage":{},"models":{"topics":{"name":"m","version":"v"}}}"#;
        fs::write(&path, format!("{line}\n")).unwrap();
        let answers = StoredAnswers::read(&path).unwrap();
        assert_eq!(answers.model_version.as_deref(), Some("v"));
        assert_eq!(answers.by_id["x"].entities, Some(vec![LabelledSpan::new(0, 3, "PER")]));
        fs::write(&path, format!("{line}\n{line}\n")).unwrap();
        assert!(StoredAnswers::read(&path).unwrap_err().to_string().contains("line 2: a second answer"));
    }
}
