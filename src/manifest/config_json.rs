//! What is read of a checkpoint's `config.json` and `tokenizer_config.json`; all else in them is left alone.

use std::path::Path;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::folder::FolderFiles;
use super::labels::labels;
use super::{CONFIG_REMEDY, ManifestError, default_label};
use crate::manifest::task::{ProblemType, Task};

#[derive(Debug, Default, Deserialize)]
pub struct ConfigJson {
    #[serde(default)]
    pub architectures: Option<Vec<String>>,
    pub model_type: Option<String>,
    id2label: Option<Value>,
    label2id: Option<Value>,
    pub num_labels: Option<usize>,
    pub problem_type: Option<String>,
    pub max_position_embeddings: Option<i64>,
    pad_token_id: Option<i64>,
    pub vocab_size: Option<u32>,
}

#[derive(Debug, Default, Deserialize)]
pub struct TokenizerConfigJson {
    /// Written as a huge float where there is no limit.
    model_max_length: Option<f64>,
    /// A string, or an object with `content`.
    pad_token: Option<Value>,
}

impl ConfigJson {
    pub fn read(files: &mut FolderFiles) -> Result<Self, ManifestError> {
        let path = files.dir.join("config.json");
        super::require(&path, CONFIG_REMEDY)?;
        read_json(files, &path)
    }

    pub fn pad_token_id(&self) -> Option<u32> {
        self.pad_token_id.and_then(|id| u32::try_from(id).ok())
    }

    /// The position of a sequence's first token. RoBERTa and related models number positions after the padding id.
    pub fn first_position(&self) -> u32 {
        const NUMBER_FROM_PADDING: [&str; 9] = [
            "roberta",
            "xlm-roberta",
            "xlm-roberta-xl",
            "camembert",
            "xmod",
            "roberta-prelayernorm",
            "data2vec-text",
            "longformer",
            "mpnet",
        ];
        match NUMBER_FROM_PADDING.contains(&self.model_type.as_deref().unwrap_or_default()) {
            true => self.pad_token_id().unwrap_or(1).saturating_add(1),
            false => 0,
        }
    }

    /// The length of the longest sequence that the position table allows.
    pub fn max_positions(&self) -> Option<usize> {
        let positions = usize::try_from(self.max_position_embeddings?).ok().filter(|&positions| positions > 0)?;
        Some(positions.saturating_sub(self.first_position() as usize))
    }

    /// The task that `ressort.toml` declares alone, else the one that the architecture names.
    pub fn task(&self, path: &Path, declared: Option<Task>) -> Result<Option<Task>, ManifestError> {
        let names = self.architectures.as_deref().unwrap_or_default();
        let ends = |suffix: &str| names.iter().any(|name| name.ends_with(suffix));
        match (ends("ForSequenceClassification"), ends("ForTokenClassification"), declared) {
            (_, _, Some(task)) => Ok(Some(task)),
            (true, false, _) => Ok(Some(Task::Topics)),
            (false, true, _) => Ok(Some(Task::Entities)),
            _ => Err(ManifestError::Invalid {
                path: path.to_owned(),
                message: format!(
                    "architectures {names:?} names neither a *ForSequenceClassification nor a *ForTokenClassification; export a fine-tuned classifier, or say in ressort.toml which outputs give topics and entities ([topics] output = \"…\", [entities] output = \"…\")"
                ),
            }),
        }
    }

    /// Labels in the order of the logits, empty where the file has none.
    pub fn labels(&self, path: &Path) -> Result<Vec<String>, ManifestError> {
        match labels(self.id2label.as_ref(), self.label2id.as_ref()) {
            Ok(labels) if labels.is_empty() => Ok((0..self.num_labels.unwrap_or(0)).map(default_label).collect()),
            Ok(labels) => Ok(labels),
            Err(message) => Err(ManifestError::Invalid { path: path.to_owned(), message }),
        }
    }

    /// How scores are made, where the file says it.
    pub fn problem_type(&self, path: &Path) -> Result<Option<ProblemType>, ManifestError> {
        let parsed = self.problem_type.as_deref().map(str::parse).transpose();
        parsed.map_err(|error| ManifestError::Invalid {
            path: path.to_owned(),
            message: format!(
                "problem_type {error}; a model that gives no classes is not served; if its logits are of classes, set problem_type under [topics] in ressort.toml"
            ),
        })
    }
}

impl TokenizerConfigJson {
    /// Reads the file; a folder without one has nothing to say here.
    pub fn read(files: &mut FolderFiles) -> Result<Self, ManifestError> {
        let path = files.dir.join("tokenizer_config.json");
        if path.is_file() { read_json(files, &path) } else { Ok(Self::default()) }
    }

    pub fn max_length(&self) -> Option<usize> {
        const NO_LIMIT: f64 = 1e9;
        self.model_max_length.filter(|&length| (1.0..NO_LIMIT).contains(&length)).map(|length| length as usize)
    }

    pub fn pad_token(&self) -> Option<String> {
        let token = self.pad_token.as_ref()?;
        token.as_str().or_else(|| token.get("content")?.as_str()).map(str::to_owned)
    }
}

fn read_json<T: DeserializeOwned>(files: &mut FolderFiles, path: &Path) -> Result<T, ManifestError> {
    serde_json::from_slice(&files.read(path)?).map_err(|error| ManifestError::Invalid {
        path: path.to_owned(),
        message: format!("not the JSON that was expected: {error}; copy the checkpoint's own file here"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(json: &str) -> ConfigJson {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn roberta_and_its_kin_lose_the_positions_before_the_padding_id() {
        for (json, positions) in [
            (r#"{"model_type": "bert", "max_position_embeddings": 512, "pad_token_id": 0}"#, Some(512)),
            (r#"{"model_type": "xlm-roberta", "max_position_embeddings": 514, "pad_token_id": 1}"#, Some(512)),
            (r#"{"model_type": "roberta", "max_position_embeddings": 514}"#, Some(512)),
            (r#"{"model_type": "t5"}"#, None),
            (r#"{"model_type": "xlnet", "max_position_embeddings": -1}"#, None),
        ] {
            assert_eq!(config(json).max_positions(), positions, "{json}");
        }
    }

    #[test]
    fn labels_stand_in_the_order_of_their_ids() {
        let path = Path::new("config.json");
        assert_eq!(config(r#"{"label2id": {"b": 1, "a": 0}, "num_labels": 2}"#).labels(path).unwrap(), ["a", "b"]);
        assert_eq!(config(r#"{"num_labels": 2}"#).labels(path).unwrap(), ["LABEL_0", "LABEL_1"]);
        assert!(config("{}").labels(path).unwrap().is_empty());
        let gap = config(r#"{"id2label": {"0": "O", "2": "PER"}}"#).labels(path).unwrap_err();
        assert!(gap.to_string().contains("ids are not 0 to 1"), "{gap}");
    }

    #[test]
    fn the_problem_type_is_what_the_file_says() {
        let path = Path::new("config.json");
        for (json, expected) in [
            (r#"{"id2label": {"0": "a", "1": "b"}}"#, None),
            (r#"{"problem_type": "multi_label_classification"}"#, Some(ProblemType::MultiLabel)),
            (r#"{"problem_type": "single_label_classification"}"#, Some(ProblemType::SingleLabel)),
        ] {
            assert_eq!(config(json).problem_type(path).unwrap(), expected, "{json}");
        }
        assert!(config(r#"{"problem_type": "regression"}"#).problem_type(path).is_err());
    }

    #[test]
    fn a_huge_model_max_length_is_no_limit() {
        let read = |json| serde_json::from_str::<TokenizerConfigJson>(json).unwrap();
        assert_eq!(read(r#"{"model_max_length": 1000000000000000019884624838656}"#).max_length(), None);
        assert_eq!(read(r#"{"model_max_length": 512}"#).max_length(), Some(512));
        assert_eq!(read(r#"{"pad_token": {"content": "<pad>"}}"#).pad_token().as_deref(), Some("<pad>"));
    }
}
