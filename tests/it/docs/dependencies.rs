//! The notes on dependencies: they are about the versions that are built.

use super::manual::{Page, root};

#[test]
fn the_notes_on_dependencies_are_about_the_versions_in_use() {
    let read = |name: &str| std::fs::read_to_string(root().join(name)).unwrap();
    let (lock, script) = (read("Cargo.lock"), read("scripts/onnxruntime.sh"));
    let page = Page::read("docs/dependencies.md");
    let mut n_checked = 0;
    for line in page.text.lines() {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let [_, name, version, _, _, _, _] = cells[..] else { continue };
        if !version.starts_with(|c: char| c.is_ascii_digit()) {
            continue;
        }
        let is_in_use = match name.trim_matches('`') {
            "ONNX Runtime" => script.contains(&format!("cpu_version={version}\n")),
            name => lock.contains(&format!("name = \"{name}\"\nversion = \"{version}\"\n")),
        };
        assert!(is_in_use, "{name} {version}: read what is new in the version in use, and bring the row up to date");
        n_checked += 1;
    }
    assert!(n_checked > 30, "{n_checked}");
}

#[test]
fn lz4_is_decoded_by_safe_code() {
    // Cargo joins the features of all dependents; the line in Cargo.toml is for this one alone.
    let manifest = std::fs::read_to_string(root().join("Cargo.toml")).unwrap();
    assert!(manifest.lines().any(|line| line.starts_with("lz4_flex = ") && line.contains("\"safe-decode\"")));
}
