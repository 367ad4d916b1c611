//! What differs between the plan of a run and that of the run which it would resume.

use std::fmt;

use serde_json::{Map, Value};

/// Fields that plans of earlier versions lack. Their runs can resume.
const LATER_FIELDS: [&str; 2] = ["identity", "sizes"];

/// One value of two plans.
#[derive(Debug, Clone, PartialEq)]
pub struct Difference {
    /// The names that lead to it.
    path: Vec<String>,
    old: Value,
    new: Value,
}

/// Each value that differs.
pub fn differences(old: &Value, new: &Value) -> Vec<Difference> {
    let mut found = Vec::new();
    collect_differences(&[], old, new, &mut found);
    found
}

fn collect_differences(path: &[String], old: &Value, new: &Value, found: &mut Vec<Difference>) {
    let (Value::Object(old_fields), Value::Object(new_fields)) = (old, new) else {
        if old != new {
            found.push(Difference { path: path.to_owned(), old: old.clone(), new: new.clone() });
        }
        return;
    };
    let mut names: Vec<&String> = old_fields.keys().chain(new_fields.keys()).collect();
    names.sort();
    names.dedup();
    for name in names {
        if LATER_FIELDS.contains(&name.as_str()) && !old_fields.contains_key(name) {
            continue;
        }
        let path = [path, std::slice::from_ref(name)].concat();
        let value = |fields: &Map<String, Value>| fields.get(name).cloned().unwrap_or(Value::Null);
        collect_differences(&path, &value(old_fields), &value(new_fields), found);
    }
}

impl Difference {
    /// The name of the value.
    pub fn field(&self) -> &str {
        self.path.last().map_or("", String::as_str)
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} was {} and is {}", self.path.join(" "), self.old, self.new)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn in_words(old: &Value, new: &Value) -> Vec<String> {
        differences(old, new).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_difference_is_named_with_both_values() {
        let old = json!({"inputs": {"a.csv": {"bytes": 5}}, "parameters": {"top-k": 3, "overflow": "window"}});
        let new = json!({"inputs": {"b.csv": {"bytes": 5}}, "parameters": {"top-k": 5, "overflow": "window"}});
        let expected = [
            "inputs a.csv was {\"bytes\":5} and is null",
            "inputs b.csv was null and is {\"bytes\":5}",
            "parameters top-k was 3 and is 5",
        ];
        assert_eq!(in_words(&old, &new), expected);
        assert!(differences(&old, &old).is_empty());
    }

    #[test]
    fn the_plan_of_an_earlier_version_without_identities_can_resume() {
        let plan = |identity: &str| json!({"inputs": {"a.csv": {"bytes": 5, "identity": identity}}});
        let old = json!({"inputs": {"a.csv": {"bytes": 5}}});
        assert!(differences(&old, &plan("1")).is_empty());
        assert_eq!(in_words(&plan("1"), &plan("2")), ["inputs a.csv identity was \"1\" and is \"2\""]);
        assert_eq!(in_words(&plan("1"), &old), ["inputs a.csv identity was \"1\" and is null"]);
    }
}
