//! `ressort models`: calls the administration routes of a running server.

use std::io::IsTerminal;

use clap::{ArgGroup, Args, Subcommand};
use ressort::models::spec::check_name;
use ressort::system::table::plain_table;
use serde_json::{Value, json};

use super::client::Call;
use super::{key, print};

#[derive(Debug, Args)]
pub struct ModelsArgs {
    /// Address of the server
    #[arg(long, global = true, default_value = "http://127.0.0.1:8080", env = "RESSORT_SERVER", value_name = "URL")]
    pub server: String,
    /// The server's admin key
    #[arg(long, global = true, env = "RESSORT_ADMIN_KEY", hide_env_values = true, value_parser = key::text)]
    pub admin_key: Option<String>,
    /// Print the server's answer as JSON; this is the default where the output is not a terminal
    #[arg(long, global = true)]
    pub json: bool,
    #[command(subcommand)]
    pub change: ModelsChange,
}

#[derive(Debug, Subcommand)]
pub enum ModelsChange {
    /// List the loaded and the active models
    List,
    /// Load a model, or its new version, from the server's models folder
    Load {
        /// Name of the model's folder
        name: String,
    },
    /// Make loaded models active, both tasks at once
    #[command(group = ArgGroup::new("tasks").args(["topics", "entities"]).required(true).multiple(true))]
    Activate {
        /// The model for topics
        #[arg(long)]
        topics: Option<String>,
        /// The model for entities
        #[arg(long)]
        entities: Option<String>,
    },
    /// Activate again what was active before the last switch
    Rollback,
    /// Unload a model that is not active
    Remove {
        /// Name of the model
        name: String,
        /// Unload also a model that a rollback would activate; there is then nothing to roll back to
        #[arg(long)]
        forget_rollback: bool,
    },
    /// Run a loaded model on a share of the live traffic for comparison; without a name, report on it
    Shadow {
        /// Name of the candidate model
        name: Option<String>,
        /// Share of the documents, above 0 and at most 1
        #[arg(long, default_value_t = 0.1, requires = "name", value_parser = share, allow_negative_numbers = true)]
        share: f64,
        /// Stop the comparison
        #[arg(long, conflicts_with = "name")]
        stop: bool,
    },
}

fn share(text: &str) -> Result<f64, &'static str> {
    let share = text.parse().ok().filter(|share| *share > 0.0 && *share <= 1.0);
    share.ok_or("give a number above 0 and at most 1, such as 0.1")
}

/// Prints words on a terminal and where the server's answer is empty, and that answer elsewhere.
pub fn run_models(args: &ModelsArgs) -> anyhow::Result<()> {
    let answer = change_models(args)?;
    let in_words =
        in_words(args, &answer).filter(|_| !args.json && (answer.is_null() || std::io::stdout().is_terminal()));
    print::result(&in_words.unwrap_or_else(|| format!("{answer:#}")))
}

/// Sends one change to the server and returns its answer, `null` where there is none.
///
/// # Errors
/// The server's message where it refuses.
fn change_models(args: &ModelsArgs) -> anyhow::Result<Value> {
    let call = |method, path: &str, body| ask(args, method, path, body);
    if let ModelsChange::Load { name } | ModelsChange::Remove { name, .. } = &args.change {
        // A bad name would change the path of the request.
        check_name(name).map_err(|error| {
            anyhow::anyhow!("{error}; give the name of a folder in the server's models folder, without its path")
        })?;
    }
    match &args.change {
        ModelsChange::List => call("GET", "/v1/models", None),
        ModelsChange::Load { name } => call("PUT", &format!("/v1/models/{name}"), None),
        ModelsChange::Activate { topics, entities } => {
            let named = [("topics", topics), ("entities", entities)];
            let body: serde_json::Map<String, Value> =
                named.into_iter().filter_map(|(task, name)| Some((task.to_owned(), json!(name.as_ref()?)))).collect();
            call("PUT", "/v1/active", Some(body.into()))
        }
        ModelsChange::Rollback => call("POST", "/v1/active/rollback", None),
        ModelsChange::Remove { name, forget_rollback } => {
            let query = if *forget_rollback { "?forget_rollback=true" } else { "" };
            call("DELETE", &format!("/v1/models/{name}{query}"), None)
        }
        ModelsChange::Shadow { stop: true, .. } => call("DELETE", "/v1/shadow", None),
        ModelsChange::Shadow { name: None, .. } => call("GET", "/v1/shadow", None),
        ModelsChange::Shadow { name: Some(name), share, .. } => {
            call("PUT", "/v1/shadow", Some(json!({"model": name, "share": share})))
        }
    }
}

/// The answer in words; `None` where JSON is clearer.
fn in_words(args: &ModelsArgs, answer: &Value) -> Option<String> {
    match &args.change {
        ModelsChange::List => Some(table(answer)),
        ModelsChange::Load { name } => {
            Some(format!("loaded {name} {}; {}", word(&answer["model"]["version"]), active(answer)))
        }
        ModelsChange::Activate { .. } | ModelsChange::Rollback => Some(active(answer)),
        ModelsChange::Remove { name, .. } => Some(format!("unloaded {name}")),
        ModelsChange::Shadow { stop: true, .. } => Some("no shadow model is running now".to_owned()),
        ModelsChange::Shadow { .. } => None,
    }
}

/// A line for each loaded model.
fn table(answer: &Value) -> String {
    const HEAD: [&str; 7] = ["NAME", "VERSION", "TASKS", "ACTIVE FOR", "PRECISION", "ON", "MEMORY"];
    let models = answer["models"].as_array().into_iter().flatten();
    let rows = models.map(|model| {
        let (name, tasks) = (word(&model["name"]), words(&model["tasks"]));
        let in_use: Vec<&str> = tasks.iter().copied().filter(|task| answer["active"][*task] == *name).collect();
        let memory = model["memory"]["resident_bytes"].as_u64().map(|bytes| format!("{} MB", bytes / 1_000_000));
        [
            name.to_owned(),
            word(&model["version"]).to_owned(),
            tasks.join(", "),
            if in_use.is_empty() { "-".to_owned() } else { in_use.join(", ") },
            word(&model["precision"]).to_owned(),
            word(&model["execution_provider"]).to_owned(),
            memory.unwrap_or_else(|| "-".to_owned()),
        ]
    });
    plain_table(HEAD.map(str::to_owned).into(), rows.map(Vec::from), HEAD.len()..)
}

/// The models that answer now, and where another one did before, that one too.
fn active(answer: &Value) -> String {
    let task = |task: &str| {
        let model = |when: &str| {
            let model = &answer[when][task];
            Some(format!("{} {}", model["name"].as_str()?, model["version"].as_str()?))
        };
        let now = model("models").unwrap_or_else(|| answer["active"][task].as_str().unwrap_or("none").to_owned());
        let before = model("models_before").filter(|before| *before != now);
        let before = before.map(|before| format!(" (before: {before})")).unwrap_or_default();
        format!("{task}: {now}{before}")
    };
    let saved = if answer["saved"] == true { "" } else { " (not saved: a restart will not restore it)" };
    format!("active: {}, {}{saved}", task("topics"), task("entities"))
}

/// What a refusal means for this command, in addition to what it means for every client.
fn hint(code: Option<&str>) -> &'static str {
    match code {
        Some("unauthorized") => "; this command takes the key from RESSORT_ADMIN_KEY (--admin-key)",
        Some("unknown_model") => "; `ressort models load NAME` loads another",
        _ => "",
    }
}

fn word(value: &Value) -> &str {
    value.as_str().unwrap_or("-")
}

fn words(value: &Value) -> Vec<&str> {
    value.as_array().into_iter().flatten().filter_map(Value::as_str).collect()
}

fn ask(args: &ModelsArgs, method: &str, path: &str, body: Option<Value>) -> anyhow::Result<Value> {
    let body = body.map(|body| body.to_string()).unwrap_or_default();
    let key = args.admin_key.as_deref();
    let answer = Call { server: &args.server, method, path, key, body, timeout: None }.send()?;
    let value = serde_json::from_str(&answer.text).unwrap_or(Value::Null);
    if answer.is_success() {
        return Ok(value);
    }
    let (url, status) = (&answer.url, answer.status);
    match value["detail"].as_str() {
        Some(detail) => anyhow::bail!("the server refused ({status}): {detail}{}", hint(value["code"].as_str())),
        None => anyhow::bail!(
            "{url}: the answer is {status} without a reason; is it a Ressort server? Name it with --server"
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_says_which_model_is_active_for_what() {
        let model = |name: &str, tasks: &[&str], bytes: Option<u64>| {
            json!({"name": name, "version": "0123456789abcdef", "tasks": tasks, "precision": "fp32",
                "execution_provider": "cpu", "memory": {"file_bytes": 1, "resident_bytes": bytes}})
        };
        let models =
            [model("beide", &["topics", "entities"], Some(140_400_000)), model("müde-ner", &["entities"], None)];
        let answer = json!({"models": models, "active": {"topics": "beide", "entities": "müde-ner"}});
        let expected = "\
NAME      VERSION           TASKS             ACTIVE FOR  PRECISION  ON   MEMORY
beide     0123456789abcdef  topics, entities  topics      fp32       cpu  140 MB
müde-ner  0123456789abcdef  entities          entities    fp32       cpu  -";
        assert_eq!(table(&answer), expected);
        assert_eq!(table(&json!({"models": []})).lines().count(), 1);
    }

    #[test]
    fn a_switch_that_was_not_saved_says_so() {
        let answer = |saved: bool| json!({"active": {"topics": "a"}, "saved": saved});
        assert_eq!(active(&answer(true)), "active: topics: a, entities: none");
        assert!(active(&answer(false)).contains("a restart will not restore it"));
    }

    #[test]
    fn a_switch_names_the_versions_before_and_after() {
        let model = |version: &str| json!({"name": "a", "version": version});
        let answer = json!({
            "active": {"topics": "a", "entities": "a"}, "saved": true,
            "models": {"topics": model("2"), "entities": model("1")},
            "models_before": {"entities": model("1"), "topics": model("1")},
        });
        assert_eq!(active(&answer), "active: topics: a 2 (before: a 1), entities: a 1");
    }
}
