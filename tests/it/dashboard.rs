//! The dashboard and the alerts of `deploy/` ask for metrics and labels that a server has. `scripts/deploy/run.sh` runs the same
//! queries in a real Prometheus.

use std::collections::{BTreeMap, BTreeSet};

use regex::Regex;
use serde_json::Value;
use tempfile::TempDir;

use crate::cli::{Server, model, ressort};
use crate::docs::manual::root;
use crate::support::{copy_files, models_dir};

/// What Prometheus adds to each sample that it scrapes.
const OF_THE_SCRAPE: [&str; 2] = ["instance", "job"];
/// The values of these labels depend on what goes wrong, and on the length of a histogram's bins.
const OPEN_VALUES: [&str; 2] = ["status", "le"];

/// The labels of each metric with their values.
type Samples = BTreeMap<String, BTreeMap<String, BTreeSet<String>>>;

#[test]
fn every_query_names_metrics_and_labels_that_a_server_has() {
    let (page, queries) = (samples(&page()), queries());
    assert!(queries.len() > 40, "{}", queries.len());
    let faults: Vec<String> = queries.iter().flat_map(|query| faults(query, &page)).collect();
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn a_query_for_what_no_server_has_is_noticed() {
    let page = samples("a_total{model=\"m\",outcome=\"ok\"} 1\nressort_a_total{outcome=\"ok\",status=\"200\"} 1\n");
    for (query, n) in [
        ("sum by (outcome) (rate(ressort_a_total{instance=~\"$instance\",outcome=\"ok\"}[5m])) > 0.5", 0),
        ("rate(ressort_a_total{status=~\"5..\",status!=\"503\"}[5m])", 0),
        ("ressort_b_total", 1),
        ("rate(ressort_a_total{model=\"m\"}[5m])", 1),
        ("ressort_a_total{outcome=\"fine\"}", 1),
        ("sum by (model) (ressort_a_total)", 1),
        ("sum(rate(ressort_a_total[5m])", 1),
        ("ressort_a_total{outcome=\"ok\"", 1),
    ] {
        assert_eq!(faults(query, &page).len(), n, "{query}");
    }
}

/// What is wrong with a query, in words.
fn faults(query: &str, page: &Samples) -> Vec<String> {
    let pattern = |text: &str| Regex::new(text).unwrap();
    let (selector, matcher, grouping) = (
        pattern(r"\b(?:ressort|process)_[a-z_]+(?:\{[^}]*\})?"),
        pattern(r#"([a-z_]+)(=~|!~|!=|=)"([^"]*)""#),
        pattern(r"\b(?:by|on|ignoring) \(([^)]*)\)"),
    );
    let mut faults = Vec::new();
    for (open, close) in ["()", "{}", "[]"].map(|pair| pair.split_at(1)) {
        if query.matches(open).count() != query.matches(close).count() {
            faults.push(format!("{open} and {close} differ in number: {query}"));
        }
    }
    let grouped: Vec<&str> = grouping.captures_iter(query).flat_map(|it| it.extract::<1>().1[0].split(", ")).collect();
    for selected in selector.find_iter(query) {
        let name = selected.as_str().split('{').next().unwrap();
        let Some(labels) = page.get(name) else {
            faults.push(format!("no server has {name}: {query}"));
            continue;
        };
        let matched = matcher.captures_iter(selected.as_str()).map(|it| it.extract::<3>().1);
        let matched = matched.chain(grouped.iter().map(|label| [*label, "", ""]));
        for [label, operator, value] in matched.filter(|[label, ..]| !OF_THE_SCRAPE.contains(label)) {
            match labels.get(label) {
                None => faults.push(format!("{name} has no label {label}: {query}")),
                Some(values) if operator == "=" && !OPEN_VALUES.contains(&label) && !values.contains(value) => {
                    faults.push(format!("{name} has no {label} {value}: {query}"));
                }
                Some(_) => {}
            }
        }
    }
    faults
}

/// The queries of panels, variables and alerts.
fn queries() -> Vec<String> {
    let read = |name: &str| std::fs::read_to_string(root().join("deploy").join(name)).unwrap();
    let dashboard: Value = serde_json::from_str(&read("grafana/ressort.json")).unwrap();
    let panels = dashboard["panels"].as_array().unwrap().iter().filter(|panel| panel["type"] != "row");
    let targets = panels.flat_map(|panel| {
        let targets = panel["targets"].as_array().filter(|targets| !targets.is_empty());
        targets.unwrap_or_else(|| panic!("{} asks for nothing", panel["title"]))
    });
    let variables = dashboard["templating"]["list"].as_array().unwrap();
    let exprs = targets.map(|target| &target["expr"]).chain(variables.iter().map(|variable| &variable["query"]));
    let mut queries: Vec<String> = exprs.map(|expr| expr.as_str().unwrap().to_owned()).collect();
    let rules = read("prometheus/ressort.rules.yml");
    let alerts = rules.split("- alert: ").skip(1);
    queries.extend(alerts.map(|alert| {
        let (_, expr) = alert.split_once("expr: ").unwrap_or_else(|| panic!("an alert without expr: {alert}"));
        let end = [" for:", " labels:"].iter().filter_map(|key| expr.find(key)).min().unwrap();
        expr[..end].trim_start_matches('|').split_whitespace().collect::<Vec<_>>().join(" ")
    }));
    queries
}

/// The metrics of a server that has answered, has refused a change, and has a shadow model and a baseline.
fn page() -> String {
    let dir = TempDir::new().unwrap();
    copy_files(&models_dir().join("two-heads"), dir.path());
    let named = [format!("m={}", dir.path().display()), format!("n={}", model("two-heads"))];
    let flags = ["--model", &named[0], "--model", &named[1], "--providers", "cpu"];
    let state = dir.path().join("active.json").to_string_lossy().into_owned();
    let start = || Server::start_with(ressort(), &[&flags[..], &["--state-file", &state]].concat());
    let ask = |server: &Server, method: &str, path: &str, body: &str| {
        let head = format!(
            "{method} {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-type: application/json"
        );
        let answer = server.ask(&format!("{head}\r\ncontent-length: {}\r\n\r\n{body}", body.len()));
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (head["HTTP/1.1 ".len()..][..3].to_owned(), body.to_owned())
    };
    let documents = format!("{{\"documents\": [{}]}}", vec![r#"{"text": "Angela Merkel in Berlin"}"#; 200].join(","));
    let server = start();
    assert_eq!(ask(&server, "POST", "/v1/classify", &documents).0, "200");
    let (_, baseline) = ask(&server, "GET", "/v1/drift/baseline", "");
    server.stop();
    std::fs::write(dir.path().join(".baseline.json"), baseline).unwrap();
    let server = start();
    assert_eq!(ask(&server, "PUT", "/v1/shadow", r#"{"model": "n", "share": 1}"#).0, "200");
    assert_eq!(ask(&server, "PUT", "/v1/active", r#"{"topics": "nowhere"}"#).0, "404");
    assert_eq!(ask(&server, "POST", "/v1/classify", &documents).0, "200");
    let (_, page) = ask(&server, "GET", "/metrics", "");
    server.stop();
    page
}

fn samples(page: &str) -> Samples {
    let label = Regex::new(r#"([a-z_]+)="((?:[^"\\]|\\.)*)""#).unwrap();
    let mut samples = Samples::new();
    for line in page.lines().filter(|line| line.starts_with(|c: char| c.is_ascii_lowercase())) {
        let name = line.split(['{', ' ']).next().unwrap();
        let labels = samples.entry(name.to_owned()).or_default();
        for [label, value] in label.captures_iter(line).map(|it| it.extract::<2>().1) {
            labels.entry(label.to_owned()).or_default().insert(value.to_owned());
        }
    }
    samples
}
