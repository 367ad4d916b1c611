//! `ressort models`: the administration routes of a running server, from the command line.

use ressort::config::ModelSpec;
use serde_json::{Value, json};

use crate::cli::{ModelsArgs, ModelsChange};

/// Asks the server for one change and gives its answer, `null` where it has none.
///
/// # Errors
/// The server's own words where it refuses.
pub fn change_models(args: &ModelsArgs) -> anyhow::Result<Value> {
    let call = |method, path: &str, body| ask(args, method, path, body);
    if let ModelsChange::Load { name } | ModelsChange::Remove { name } = &args.change {
        // A name that is none would become another address.
        format!("{name}=.").parse::<ModelSpec>()?;
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
        ModelsChange::Remove { name } => call("DELETE", &format!("/v1/models/{name}"), None),
        ModelsChange::Shadow { stop: true, .. } => call("DELETE", "/v1/shadow", None),
        ModelsChange::Shadow { name: None, .. } => call("GET", "/v1/shadow", None),
        ModelsChange::Shadow { name: Some(name), share, .. } => {
            call("PUT", "/v1/shadow", Some(json!({"model": name, "share": share})))
        }
    }
}

fn ask(args: &ModelsArgs, method: &str, path: &str, body: Option<Value>) -> anyhow::Result<Value> {
    let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
    let url = format!("{}{path}", args.server.trim_end_matches('/'));
    let mut request =
        ureq::http::Request::builder().method(method).uri(&url).header("content-type", "application/json");
    if let Some(key) = &args.admin_key {
        request = request.header("authorization", format!("Bearer {key}"));
    }
    let body = body.map(|body| body.to_string()).unwrap_or_default();
    let answer = agent.run(request.body(body)?);
    let mut answer =
        answer.map_err(|error| anyhow::anyhow!("{url}: {error}; is the server running? Name it with --server"))?;
    let text = answer.body_mut().read_to_string()?;
    let value = serde_json::from_str(&text).unwrap_or(Value::Null);
    if answer.status().is_success() {
        return Ok(value);
    }
    let detail = value["detail"].as_str().unwrap_or("no reason given");
    anyhow::bail!("the server refused ({}): {detail}", answer.status().as_u16())
}
