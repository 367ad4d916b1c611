//! Which output of an ONNX graph gives the logits of a task.

use std::path::PathBuf;

use super::graph_values::GraphValue;
use super::{Graph, ManifestError};
use crate::manifest::task::Task;

impl Graph {
    /// The output that gives the logits of `task`: the one that is named, else `logits`, else the only one that can be it.
    ///
    /// `n_labels` decides among several; 0 where the folder names no labels.
    pub fn head_output(&self, asked: Option<&str>, task: Task, n_labels: usize) -> Result<String, ManifestError> {
        let invalid = |message| ManifestError::Invalid { path: self.path.clone(), message };
        if let Some(name) = asked {
            return match self.outputs.iter().any(|output| output.name == name) {
                true => Ok(name.to_owned()),
                false => Err(ManifestError::Invalid {
                    path: PathBuf::from("ressort.toml"),
                    message: format!(
                        "[{task}] output `{name}` is not one of the model's outputs {:?}",
                        self.output_names()
                    ),
                }),
            };
        }
        if let Some(logits) = self.outputs.iter().find(|output| plain_name(output) == "logits") {
            return Ok(logits.name.clone());
        }
        let candidates: Vec<&GraphValue> = self.outputs.iter().filter(|output| may_be_logits(output)).collect();
        let fits = |output: &&&GraphValue| {
            let rank = if task == Task::Topics { 2 } else { 3 };
            output.rank() == Some(rank) && output.fixed_size(rank - 1) == Some(n_labels)
        };
        let fitting: Vec<&&GraphValue> = candidates.iter().filter(fits).collect();
        match (&candidates[..], &fitting[..]) {
            ([only], _) => Ok(only.name.clone()),
            (_, [only]) => Ok(only.name.clone()),
            ([], _) => Err(invalid(format!(
                "none of the outputs {:?} gives the logits of a classifier; export the checkpoint for its task: optimum-cli export onnx --task {}",
                self.output_names(),
                export_task(task)
            ))),
            _ => Err(ManifestError::Invalid {
                path: PathBuf::from("ressort.toml"),
                message: format!(
                    "which of the outputs {:?} gives {task}? Say so: [{task}] output = \"…\"",
                    self.output_names()
                ),
            }),
        }
    }

    /// The number of dimensions of an output, where the file says it.
    pub fn rank(&self, output: &str) -> Option<usize> {
        self.outputs.iter().find(|known| known.name == output)?.rank()
    }

    /// The number of logits in a row of an output, where the file says it.
    pub fn n_logits(&self, output: &str) -> Option<usize> {
        let output = self.outputs.iter().find(|known| known.name == output)?;
        output.fixed_size(output.rank()?.checked_sub(1)?)
    }

    /// Whether the file says that an output has a row for each token.
    pub fn is_per_token(&self, output: &str) -> bool {
        let output = self.outputs.iter().find(|known| known.name == output);
        // `[B, 1, L]` has one row a window.
        output.is_some_and(|output| output.rank() == Some(3) && output.fixed_size(1) != Some(1))
    }

    fn output_names(&self) -> Vec<&str> {
        self.outputs.iter().map(|output| output.name.as_str()).collect()
    }
}

/// The task of `optimum-cli export onnx` that gives the logits of `task`.
pub fn export_task(task: Task) -> &'static str {
    match task {
        Task::Topics => "text-classification",
        Task::Entities => "token-classification",
    }
}

/// Whether an output may hold scores: neither class numbers nor what an encoder gives besides.
fn may_be_logits(output: &GraphValue) -> bool {
    const OTHERS: [&str; 9] = [
        "last_hidden_state",
        "hidden_states",
        "hidden_state",
        "encoder_outputs",
        "attentions",
        "pooler_output",
        "loss",
        "present",
        "past_key_values",
    ];
    let name = plain_name(output);
    let is_other =
        OTHERS.iter().any(|other| name == *other || name.strip_prefix(other).is_some_and(|rest| rest.starts_with('.')));
    // A kind of 0 is one that the file does not say.
    !is_other && (output.kind.is_float() || output.kind.0 == 0)
}

/// The name in lower case, without the `:0` of TensorFlow.
fn plain_name(output: &GraphValue) -> String {
    let name = output.name.rsplit_once(':').map_or(output.name.as_str(), |(name, _)| name);
    name.to_ascii_lowercase()
}
