//! A model's answers, stored as JSON lines in the API's shape in the order of the data. A run that was interrupted can
//! resume, and metrics can be computed again without the model.

use std::collections::{BTreeSet, HashMap};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::document::{LabelledSpan, PredictedDocument, ScoredTopic, Slices, in_order};
use super::gold::Gold;
use super::run_record::{RunRecord, Speed, StoreError};
use super::tagged::{Spans, join_tagged};
use crate::manifest::labels::check_label;
use crate::system::choice::shortened;
use crate::system::file_start::read_text;

/// The answers of a run in progress.
pub struct Store {
    file: File,
    path: PathBuf,
    record: RunRecord,
    /// Answers that are stored: those of the first documents of the data.
    pub n_done: usize,
}

/// The answers of a file.
#[derive(Debug, Default)]
pub struct StoredAnswers {
    pub by_id: HashMap<String, PredictedDocument>,
    /// Version of the model, from the first answer that has it.
    pub model_version: Option<String>,
}

#[derive(Deserialize)]
struct AnswerLine {
    id: Option<String>,
    topics: Option<Vec<ScoredTopic>>,
    entities: Option<Vec<EntityOfAnswer>>,
    models: Option<HashMap<String, ModelLine>>,
    error: Option<ErrorLine>,
}

#[derive(Deserialize)]
struct EntityOfAnswer {
    #[serde(flatten)]
    span: LabelledSpan,
    text: Option<String>,
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

impl Store {
    /// Opens the file of answers at `path`: a new one, or an earlier one to resume.
    ///
    /// Answers that were made from something else than `record` says are renamed to `NAME.jsonl.old`.
    pub fn open(path: &Path, mut record: RunRecord, gold: &Gold) -> Result<Self, StoreError> {
        let io = |source| StoreError::Io { path: path.to_owned(), source };
        path.parent().map_or(Ok(()), fs::create_dir_all).map_err(io)?;
        let known = match RunRecord::read(path)?.filter(|other| other.has_answers_of(&record)) {
            Some(other) => {
                (record.speed, record.entity_labels) = (other.speed, other.entity_labels);
                fs::read(path).unwrap_or_default()
            }
            None => {
                set_aside(path).map_err(io)?;
                Vec::new()
            }
        };
        let (n_done, n_bytes) = whole_answers(&known, gold);
        let file = OpenOptions::new().create(true).append(true).open(path).map_err(io)?;
        file.set_len(n_bytes as u64).map_err(io)?;
        record.write(path)?;
        Ok(Self { file, path: path.to_owned(), record, n_done })
    }

    /// Records which entity labels the model can give.
    pub fn record_labels(&mut self, labels: BTreeSet<String>) -> Result<(), StoreError> {
        self.record.entity_labels = labels;
        self.record.write(&self.path)
    }

    /// Writes the next document's answer. A crash can leave a torn last line, which the next run removes.
    pub fn write(&mut self, answer: &impl Serialize) -> Result<(), StoreError> {
        let line = serde_json::to_vec(answer).map_err(io::Error::from);
        let written = line.and_then(|line| self.file.write_all(&[&line[..], b"\n"].concat()));
        written.map_err(|source| StoreError::Io { path: self.path.clone(), source })?;
        self.n_done += 1;
        Ok(())
    }

    /// Writes why a document has no answer.
    pub fn write_failure(&mut self, id: &str, detail: String) -> Result<(), StoreError> {
        self.write(&FailureLine { id, error: ErrorLine { detail } })
    }

    /// Records how fast the model was.
    pub fn finish(&mut self, speed: Option<Speed>) -> Result<(), StoreError> {
        self.record.speed = speed.or(self.record.speed.take());
        self.record.write(&self.path)
    }
}

fn set_aside(path: &Path) -> io::Result<()> {
    if !path.exists() {
        return Ok(());
    }
    let old = path.with_extension("jsonl.old");
    tracing::info!(answers = %path.display(), renamed_to = %old.display(), "answers of another model, data, setting, program version or execution provider are set aside");
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

/// The file of the answers of model `name` in `dir`.
pub fn answers_path(dir: &Path, name: &str) -> PathBuf {
    dir.join(format!("{name}.jsonl"))
}

impl StoredAnswers {
    /// Reads a file of answers to `gold`. Offsets in another unit than the API's default, Unicode code points, are refused.
    pub fn read(path: &Path, gold: &Gold) -> Result<Self, StoreError> {
        let texts: HashMap<&str, &str> =
            gold.documents.iter().map(|document| (document.id.as_str(), &*document.text)).collect();
        let text = read_text(path).map_err(|source| StoreError::Io { path: path.to_owned(), source })?;
        let mut answers = Self::default();
        let mut tasks = None;
        let mut unknown_ids = Vec::new();
        for (index, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
            let bad_line = |message| StoreError::Line { path: path.to_owned(), line: index + 1, message };
            let answer: AnswerLine = serde_json::from_str(line).map_err(|error| bad_line(error.to_string()))?;
            let version = answer.models.as_ref().and_then(|models| models.get("topics").or(models.get("entities")));
            answers.model_version = answers.model_version.or_else(|| version.map(|model| model.version.clone()));
            let id = answer.id.clone().unwrap_or_else(|| (index + 1).to_string());
            if answer.error.is_none() {
                let given = [answer.topics.is_some(), answer.entities.is_some()];
                let message = match given {
                    [false, false] => "it has neither `topics`, `entities` nor `error`",
                    _ if *tasks.get_or_insert(given) != given => {
                        "it lacks `topics` or `entities`, and another line has them; give each task in all lines or in none"
                    }
                    _ => "",
                };
                if !message.is_empty() {
                    return Err(bad_line(message.to_owned()));
                }
            }
            // Answers to documents that are not in the data do not count.
            let Some(text) = texts.get(id.as_str()) else {
                unknown_ids.push(id);
                continue;
            };
            let predicted = answer.into_predicted(text).map_err(bad_line)?;
            if answers.by_id.insert(id.clone(), predicted).is_some() {
                return Err(bad_line(format!("a second answer for document `{id}`")));
            }
        }
        if let Some(first) = unknown_ids.first() {
            tracing::warn!(
                answers = %path.display(), n_answers = unknown_ids.len(), first_id = shortened(first),
                "answers to documents that are not in the data do not count"
            );
        }
        let with_entities = answers
            .by_id
            .iter_mut()
            .filter_map(|(id, answer)| Some(Spans { text: texts.get(id.as_str())?, spans: answer.entities.as_mut()? }));
        join_tagged(&mut with_entities.collect::<Vec<_>>());
        Ok(answers)
    }
}

impl AnswerLine {
    /// The answer to `text`, its entities without white space at their ends, as those of the data.
    fn into_predicted(self, text: &str) -> Result<PredictedDocument, String> {
        let spans = |entities: Vec<EntityOfAnswer>| {
            let slices = Slices::of(text);
            // Without aggregation, a token of white space has an empty text.
            let has_text = |entity: &EntityOfAnswer| entity.text.as_deref() != Some("");
            let span = |(index, EntityOfAnswer { span, text }): (usize, EntityOfAnswer)| {
                let checked = check_label(&span.label).and_then(|()| slices.checked(span, text.as_deref()));
                checked.map_err(|message| format!("entity {}: {message}", index + 1))
            };
            Ok::<_, String>(in_order(
                entities
                    .into_iter()
                    .enumerate()
                    .filter(|(_, entity)| has_text(entity))
                    .map(span)
                    .collect::<Result<_, _>>()?,
            ))
        };
        Ok(PredictedDocument {
            topics: self.topics,
            entities: self.entities.map(spans).transpose()?,
            failure: self.error.map(|error| error.detail),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evaluate::document::GoldDocument;
    use crate::evaluate::run_record::PROGRAM;
    use crate::inference::settings::Provider;

    fn gold(ids: &[&str]) -> Gold {
        let document = |id: &&str| GoldDocument { id: (*id).into(), text: "".into(), topics: None, entities: None };
        Gold {
            documents: ids.iter().map(document).collect(),
            version: "1".into(),
            n_repeated_ids: 0,
            n_trimmed_entities: 0,
        }
    }

    fn record(model_version: &str) -> RunRecord {
        RunRecord {
            model_version: model_version.into(),
            arithmetic: Some("exact".into()),
            program: Some("1.0.0".into()),
            provider: Some("cpu".into()),
            data_version: "1".into(),
            aggregation: None,
            text_rules: String::new(),
            label_language: None,
            entity_labels: BTreeSet::new(),
            speed: None,
        }
    }

    #[test]
    fn an_interrupted_run_resumes_after_the_last_whole_answer() {
        let dir = tempfile::tempdir().unwrap();
        let gold = gold(&["a", "b", "c"]);
        let path = answers_path(dir.path(), "m");
        let open = || Store::open(&path, record("1"), &gold).unwrap();
        let mut store = open();
        store.write_failure("a", "x".into()).unwrap();
        let whole = fs::read(&path).unwrap();
        fs::write(&path, [whole.as_slice(), br#"{"id":"b","er"#].concat()).unwrap();
        assert_eq!(open().n_done, 1);
        assert_eq!(fs::read(&path).unwrap(), whole);
    }

    #[test]
    fn answers_of_another_model_are_set_aside_and_not_resumed() {
        let dir = tempfile::tempdir().unwrap();
        let path = answers_path(dir.path(), "m");
        let open = |version| Store::open(&path, record(version), &gold(&["a"])).unwrap();
        open("1").write_failure("a", "x".into()).unwrap();
        assert_eq!((open("1").n_done, open("2").n_done, open("1").n_done), (1, 0, 0));
        assert!(dir.path().join("m.jsonl.old").exists());
    }

    #[test]
    fn answers_of_another_program_or_provider_are_neither_resumed_nor_judged() {
        let dir = tempfile::tempdir().unwrap();
        let path = answers_path(dir.path(), "m");
        let ours = || RunRecord { program: Some(PROGRAM.into()), ..record("1") };
        let open = |record: &RunRecord| Store::open(&path, record.clone(), &gold(&["a"])).unwrap();
        let on = |provider: &str| RunRecord { provider: Some(provider.into()), ..ours() };
        let by = |program: Option<&str>| RunRecord { program: program.map(str::to_owned), ..ours() };
        for other in [on("cuda"), by(Some("0.0.9")), by(None)] {
            open(&other).write_failure("a", "x".into()).unwrap();
            assert_eq!((open(&other).n_done, open(&ours()).n_done), (1, 0));
        }
        assert!(
            ours().check_origin(&path, &[Provider::Cuda]).is_ok()
                && on("cuda").check_origin(&path, &[Provider::Cuda]).is_ok()
        );
        for (record, part) in [
            (on("cuda"), "made by `cuda`, and this is a run on `cpu`"),
            (by(Some("0.0.9")), "made by ressort 0.0.9, and this is ressort"),
            (by(None), "made by an earlier version"),
        ] {
            let error = record.check_origin(&path, &[]).unwrap_err().to_string();
            assert!(error.contains(part), "{error}");
        }
    }

    #[test]
    fn answers_of_single_tokens_are_joined() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.jsonl");
        let entity = |start: usize, end: usize, label: &str, text: &str| {
            format!(r#"{{"start": {start}, "end": {end}, "label": "{label}", "text": "{text}"}}"#)
        };
        let entities = [
            entity(0, 3, "B-PER", "Zoë"),
            entity(4, 4, "I-PER", ""),
            entity(4, 7, "I-PER", "Mül"),
            entity(7, 10, "I-PER", "ler"),
        ];
        fs::write(&path, format!(r#"{{"id": "x", "entities": [{}]}}"#, entities.join(", "))).unwrap();
        let text = "Zoë Müller".into();
        let document = GoldDocument { id: "x".into(), text, topics: None, entities: None };
        let gold = Gold { documents: vec![document], ..self::gold(&[]) };
        let answers = StoredAnswers::read(&path, &gold).unwrap();
        assert_eq!(answers.by_id["x"].entities, Some(vec![LabelledSpan::new(0, 10, "PER")]));
    }

    #[test]
    fn an_answer_of_the_api_can_be_read() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.jsonl");
        let line = r#"{"id":"x","topics":[{"label":"Sport","score":0.5,"accepted":true,"code":"c"}],"entities":[{"label":"PER","score":0.9,"text":"Zoë","start":0,"end":3}],"usage":{},"models":{"topics":{"name":"m","version":"v"}}}"#;
        fs::write(&path, format!("{line}\n")).unwrap();
        let gold = |text: &str| {
            let document = GoldDocument { id: "x".into(), text: text.into(), topics: None, entities: None };
            Gold { documents: vec![document], version: "1".into(), n_repeated_ids: 0, n_trimmed_entities: 0 }
        };
        let read = |text: &str| StoredAnswers::read(&path, &gold(text));
        let answers = read("Zoë lief.").unwrap();
        assert_eq!(answers.model_version.as_deref(), Some("v"));
        assert_eq!(answers.by_id["x"].entities, Some(vec![LabelledSpan::new(0, 3, "PER")]));
        fs::write(&path, line.replace("\"end\":3", "\"end\":4").replace("Zoë\"", "Zoë \"")).unwrap();
        assert_eq!(read("Zoë lief.").unwrap().by_id["x"].entities, Some(vec![LabelledSpan::new(0, 3, "PER")]));
        fs::write(&path, line.replace("\"end\":3", "\"end\":4")).unwrap();
        assert_eq!(read("Zoë lief.").unwrap().by_id["x"].entities, Some(vec![LabelledSpan::new(0, 3, "PER")]));
        fs::write(&path, format!("{line}\n{line}\n")).unwrap();
        assert!(read("Zoë lief.").unwrap_err().to_string().contains("line 2: a second answer"));
        for (other, part) in [("Ö Zoë", "`Ö Z` stands from 0 to 3"), ("Zo", "not within the text of 2 characters")] {
            let error = read(other).unwrap_err().to_string();
            assert!(error.contains("line 1: entity 1: ") && error.contains(part), "{error}");
        }
        let mixed = [r#"{"id": "x", "topics": [], "entities": []}"#, r#"{"id": "y", "topics": [], "entites": []}"#];
        fs::write(&path, mixed.join("\n")).unwrap();
        assert!(read("").unwrap_err().to_string().contains("line 2: it lacks `topics` or `entities`"));
        fs::write(&path, r#"{"id": "x", "entities": [{"start": 0, "end": 1, "label": " "}]}"#).unwrap();
        assert!(read("a").unwrap_err().to_string().contains("begins or ends with white space"));
        fs::write(&path, r#"{"id": "x", "entites": []}"#).unwrap();
        assert!(read("").unwrap_err().to_string().contains("neither `topics`, `entities` nor `error`"));
    }
}
