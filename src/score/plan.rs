//! The plan of a run: its input, its models, its parameters. A run resumes only with the same plan.

use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::answer_columns::FLAT_NAMES;
use super::error::ScoreError;
use super::format::Format;
use super::inputs::Source;
use super::job::ScoreJob;
use crate::classify::derived::Derived;
use crate::models::load::Model;
use crate::models::registry::Assignment;
use crate::text::encoding::TextEncoding;

/// Everything that the bytes of the output depend on.
pub fn plan_of(job: &ScoreJob, sources: &[Source], output: Format, models: &Assignment) -> Result<Value, ScoreError> {
    let inputs = fingerprints(sources)?;
    let order: Vec<_> = sources.iter().map(|source| format!("{} ({})", source.name, source.format)).collect();
    let model = |model: Option<&Arc<Model>>| model.map(|model| fingerprint_of(model));
    Ok(json!({
        "ressort": crate::system::build_info::VERSION,
        "inputs": inputs,
        "order": order,
        "models": {"topics": model(models.topics.as_ref()), "entities": model(models.entities.as_ref())},
        "parameters": {
            "output-format": output.to_string(),
            "text-column": job.columns.document.text,
            "id-column": job.columns.id,
            "delimiter": job.reading.delimiter.map(char::from),
            "quoting": job.reading.has_quotes,
            "encoding": job.reading.encoding.map(TextEncoding::name),
            "max-row-bytes": job.reading.max_row_bytes,
            "section": job.reading.section,
            "top-k": job.options.top_k,
            "offset-unit": job.options.offset_unit.into_str(),
            "label-language": job.options.label_language,
            "threshold": {"topics": job.options.threshold.topics, "entities": job.options.threshold.entities},
            "aggregation": job.options.aggregation.map(|strategy| strategy.into_str()),
            "overflow": job.options.overflow.into_str(),
            "text-rules": job.options.text_rules.to_string(),
            "max-characters": job.max_characters,
            "look-ahead": job.look_ahead,
            // Null where they are not given, as in the plans of earlier versions.
            "title-column": job.columns.document.title,
            "lead-column": job.columns.document.lead,
            "keep-text": job.columns.keep_text.then_some(true),
            "keep-errors": job.columns.keep_errors.then_some(true),
            "output-delimiter": job.output.delimiter.map(char::from),
            "output-bom": job.output.has_bom.then_some(true),
            "limit": job.limit,
            "labels": job.options.labels,
            "evidence": job.options.evidence.then_some(true),
            "group": job.options.group.then_some(true),
            "derived": (job.options.derived != Derived::default()).then(|| job.options.derived.into_str()),
            "answer columns": output.is_separated().then_some(FLAT_NAMES),
        },
    }))
}

/// The fingerprint of each source by its name.
fn fingerprints(sources: &[Source]) -> Result<Map<String, Value>, ScoreError> {
    let mut inputs = Map::new();
    for (index, source) in sources.iter().enumerate() {
        // The plain texts of a folder are several sources of one name, where other files lie between them.
        let name = match inputs.contains_key(&source.name) {
            true => format!("{} ({index})", source.name),
            false => source.name.clone(),
        };
        inputs.insert(name, source.fingerprint()?);
    }
    Ok(inputs)
}

/// What the scores of a model depend on in a run, all of whose sessions are open.
fn fingerprint_of(model: &Model) -> Value {
    let mut fingerprint = model.fingerprint();
    fingerprint["windows of a run"] = model.batch_limits().max_windows.into();
    fingerprint
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_of_one_name_are_all_part_of_the_plan() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["a.txt", "b.jsonl", "c.txt"] {
            std::fs::write(dir.path().join(name), name).unwrap();
        }
        let folder = dir.path().to_string_lossy().into_owned();
        let sources = crate::score::inputs::find_sources(&[folder], None, &[]).unwrap();
        assert_eq!(fingerprints(&sources).unwrap().len(), 3);
    }
}
