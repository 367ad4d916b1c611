//! Holds the map in `docs/architecture.md`: imports point down, some crates stand in one room only, every file says what it is for.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Modules by layer, as the table in `docs/architecture.md` has them.
const LAYERS: &[(&str, u8)] = &[
    ("system", 0),
    ("text", 1),
    ("manifest", 1),
    ("inference", 2),
    ("models", 3),
    ("classify", 4),
    ("http", 5),
    ("evaluate", 5),
    ("score", 5),
    ("cli", 6),
    ("main", 6),
    ("lib", 6),
];

/// Crates that are named in one room only.
const ROOMS: &[(&str, &[&str])] = &[
    ("ort", &["inference"]),
    ("tokenizers", &["inference"]),
    ("axum", &["http"]),
    ("prost", &["manifest"]),
    ("clap", &["cli", "main"]),
    ("anyhow", &["cli", "main"]),
    ("arrow", &["score"]),
    ("parquet", &["score"]),
    ("serde", &["classify", "evaluate", "http", "manifest", "models", "score"]),
];

/// Source files with their top-level module and their code above the tests, comments taken out.
fn sources() -> Vec<(PathBuf, String, String)> {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    collect(&src, &mut files);
    let read = |path: PathBuf| {
        let relative = path.strip_prefix(&src).expect("below src").to_owned();
        let first = relative.components().next().expect("a name").as_os_str().to_string_lossy().into_owned();
        let text = std::fs::read_to_string(&path).expect("readable");
        (relative, first.trim_end_matches(".rs").to_owned(), text)
    };
    files.into_iter().map(read).collect()
}

fn collect(dir: &Path, files: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(dir).expect("readable").flatten() {
        match entry.path() {
            path if path.is_dir() => collect(&path, files),
            path if path.extension().is_some_and(|extension| extension == "rs") => files.push(path),
            _ => {}
        }
    }
}

/// The code above the tests, comments taken out.
fn code(text: &str) -> String {
    let above_tests = text.split("#[cfg(test)]").next().unwrap_or_default();
    above_tests.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n")
}

/// Names that follow `prefix` in the code: `crate::NAME`.
fn names_after<'c>(code: &'c str, prefix: &'c str) -> impl Iterator<Item = &'c str> {
    code.match_indices(prefix).map(move |(at, _)| {
        let rest = &code[at + prefix.len()..];
        &rest[..rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len())]
    })
}

#[test]
fn imports_point_down_and_never_to_the_side() {
    let layers: BTreeMap<&str, u8> = LAYERS.iter().copied().collect();
    for (path, module, text) in sources() {
        let own =
            *layers.get(module.as_str()).unwrap_or_else(|| panic!("{}: `{module}` is in no layer", path.display()));
        let code = code(&text);
        for name in names_after(&code, "crate::").chain(names_after(&code, "ressort::")) {
            let Some(&other) = layers.get(name) else { continue };
            let fine = name == module || other < own || own == 6;
            assert!(
                fine,
                "{} (layer {own}) imports crate::{name} (layer {other}); see docs/architecture.md",
                path.display()
            );
        }
    }
}

#[test]
fn some_crates_stand_in_one_room_only() {
    for (path, module, text) in sources() {
        let code = code(&text);
        for (name, rooms) in ROOMS {
            let named = code.contains(&format!("{name}::")) && {
                // `crate_name::` and not the end of another name (`import::`, `ressort::`).
                code.match_indices(&format!("{name}::"))
                    .any(|(at, _)| !code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_'))
            };
            assert!(
                !named || rooms.contains(&module.as_str()),
                "{} names `{name}`, which stands in {rooms:?} only",
                path.display()
            );
        }
    }
}

#[test]
fn every_file_says_what_it_is_for_and_stays_small() {
    const MAX_LINES: usize = 400;
    for (path, _, text) in sources() {
        assert!(text.starts_with("//! "), "{}: the first line says what the file is for (//!)", path.display());
        let n_lines = text.lines().count();
        assert!(
            n_lines <= MAX_LINES,
            "{}: {n_lines} lines; a file of more than {MAX_LINES} has two jobs",
            path.display()
        );
    }
}

#[test]
fn the_map_names_every_module() {
    let map =
        std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/architecture.md")).expect("readable");
    for (module, layer) in LAYERS.iter().filter(|(module, _)| *module != "lib") {
        let row = map.lines().find(|line| line.starts_with(&format!("| {layer} |"))).unwrap_or_default();
        assert!(
            row.contains(&format!("`{module}`")),
            "docs/architecture.md lacks `{module}` in the row of layer {layer}"
        );
    }
}
