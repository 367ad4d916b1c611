//! The options of a request: how a text is classified, and how its answer is written.

use crate::classify::request::ClassifyOptions;
use crate::http::error::Problem;
use crate::http::json::{Expected, Field, FromJson, Object};
use crate::manifest::task::{Task, Tasks};
use crate::manifest::text_rules::{ALL_RULES, RULE_NAMES, TextRule, TextRules, TextSwitch};
use crate::models::registry::ByTask;

/// Names of models by task.
pub struct ModelNames(ByTask<String>);

const TASK_FIELDS: &[&str] = &["topics", "entities"];

const TASKS: Expected = Expected { what: "a list of `topics`, `entities`", example: r#""tasks": ["topics"]"# };
const TOP_K: Expected = Expected { what: "a whole number from 1 on", example: r#""top_k": 5"# };
const THRESHOLD: Expected = Expected {
    what: "a number from 0 to 1, or an object of numbers by task",
    example: r#""threshold": 0.5 or "threshold": {"topics": 0.5}"#,
};
const TASK_THRESHOLD: Expected =
    Expected { what: "a number from 0 to 1", example: r#"{"topics": 0.5, "entities": 0.9}"# };
const MODELS: Expected = Expected { what: "an object of names by task", example: r#"{"topics": "ressort"}"# };
const MODEL: Expected = Expected { what: "the name of a model", example: r#"{"topics": "ressort"}"# };
const TEXT_RULES: Expected =
    Expected { what: "an object of true or false by rule", example: r#""text_rules": {"html": false}"# };
const SWITCH: Expected = Expected { what: "true or false", example: r#""text_rules": {"html": false}"# };
const LABELS: Expected = Expected { what: "a list of entity labels", example: r#""labels": ["PER", "LOC", "ORG"]"# };
const GROUP: Expected = Expected { what: "true or false", example: r#""group": true"# };
const EVIDENCE: Expected = Expected { what: "true or false", example: r#""evidence": true"# };
const LANGUAGE: Expected = Expected { what: "a language tag", example: r#""label_language": "en""# };

/// Reads the options of an object that knows them.
pub fn options(body: &Object<'_>) -> Result<ClassifyOptions, Problem> {
    let default = ClassifyOptions::default();
    let options = ClassifyOptions {
        top_k: body.read("top_k", |field| field.count(TOP_K))?.unwrap_or(default.top_k),
        threshold: body.read("threshold", thresholds)?.unwrap_or(default.threshold),
        aggregation: body.read("aggregation", Field::word)?,
        overflow: body.read("overflow", Field::word)?.unwrap_or_default(),
        text_rules: body.read("text_rules", text_rules)?.unwrap_or_default(),
        offset_unit: body.read("offset_unit", Field::word)?.unwrap_or_default(),
        label_language: body.read("label_language", |field| field.string(LANGUAGE).map(Into::into))?,
        labels: body.read("labels", labels)?,
        derived: body.read("derived", Field::word)?.unwrap_or_default(),
        group: body.read("group", |field| field.boolean(GROUP))?.unwrap_or_default(),
        evidence: body.read("evidence", |field| field.boolean(EVIDENCE))?.unwrap_or_default(),
    };
    options.check()?;
    Ok(options)
}

/// One threshold for both tasks, or one per task.
fn thresholds(field: &Field<'_>) -> Result<ByTask<f32>, Problem> {
    let score = |field: &Field<'_>, expected| Ok(field.number(expected, |n| (0.0..=1.0).contains(&n))? as f32);
    if !field.starts_with('{') {
        let both = score(field, THRESHOLD)?;
        return Ok(ByTask { topics: Some(both), entities: Some(both) });
    }
    by_task(field, THRESHOLD, |field| score(field, TASK_THRESHOLD))
}

/// An object with a value for each task.
fn by_task<'b, T>(
    field: &Field<'b>,
    expected: Expected,
    read: impl Fn(&Field<'b>) -> Result<T, Problem>,
) -> Result<ByTask<T>, Problem> {
    let object = field.object(TASK_FIELDS, expected)?;
    object.check()?;
    Ok(ByTask { topics: object.read("topics", &read)?, entities: object.read("entities", &read)? })
}

/// An object with a switch for each rule.
fn text_rules(field: &Field<'_>) -> Result<TextRules, Problem> {
    let object = field.object(RULE_NAMES, TEXT_RULES)?;
    object.check()?;
    let switch = |&rule: &TextRule| {
        let is_on = object.read(rule.into_str(), |field| field.boolean(SWITCH));
        is_on.map(|is_on| is_on.map(|is_on| TextSwitch { rule, is_on })).transpose()
    };
    ALL_RULES.iter().filter_map(switch).collect()
}

pub fn tasks(field: &Field<'_>) -> Result<Tasks, Problem> {
    const MAX_ENTRIES: usize = 100;
    let list = field.list(MAX_ENTRIES, TASKS)?;
    if !(1..=MAX_ENTRIES).contains(&list.n_entries) {
        let why = if list.n_entries == 0 { "no task is named" } else { "too many tasks are named" };
        return Err(field.problem(format!("{why}; name `topics`, `entities` or both")));
    }
    let tasks: Vec<Task> = list.entries.iter().map(Field::word).collect::<Result<_, _>>()?;
    Ok(Tasks { topics: tasks.contains(&Task::Topics), entities: tasks.contains(&Task::Entities) })
}

fn labels(field: &Field<'_>) -> Result<Vec<String>, Problem> {
    const MAX_ENTRIES: usize = 1000;
    let list = field.list(MAX_ENTRIES, LABELS)?;
    if !(1..=MAX_ENTRIES).contains(&list.n_entries) {
        let why = if list.n_entries == 0 { "no label is named" } else { "too many labels are named" };
        return Err(field.problem(format!("{why}; name those to answer, or leave it out to get all")));
    }
    list.entries.iter().map(|entry| entry.string(LABELS).map(Into::into)).collect()
}

impl FromJson for ModelNames {
    fn from_json(body: &Field<'_>) -> Result<Self, Problem> {
        by_task(body, MODELS, |field| field.string(MODEL).map(Into::into)).map(Self)
    }
}

impl From<ModelNames> for ByTask<String> {
    fn from(names: ModelNames) -> Self {
        names.0
    }
}
