//! Checks the map in `docs/architecture.md`: imports point down, some crates are used by one module only, every file states its job.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Modules by layer, as the table in `docs/architecture.md` has them.
const LAYERS: &[(&str, u8)] = &[
    ("system", 0),
    ("text", 1),
    ("manifest", 1),
    ("parts", 1),
    ("hub", 2),
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

/// Crates that only these modules may name.
const OWNERS: &[(&str, &[&str])] = &[
    ("ort", &["inference"]),
    ("tokenizers", &["inference"]),
    ("axum", &["http"]),
    ("opentelemetry", &["system"]),
    ("prost", &["manifest"]),
    ("clap", &["cli", "main"]),
    ("anyhow", &["cli", "main"]),
    ("arrow", &["score"]),
    ("parquet", &["score"]),
    ("serde", &["classify", "evaluate", "http", "hub", "manifest", "models", "parts", "score"]),
];

/// Source files with their top-level module and their code above the tests, without comments.
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

/// The code above the tests, without comments. What only some line above them has for tests is code as well.
fn code(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    let is_tests = |at: usize| {
        lines[at].trim() == "#[cfg(test)]"
            && lines[at + 1..].iter().find(|line| !line.starts_with("#[")).is_some_and(|line| line.starts_with("mod "))
    };
    let end = (0..lines.len()).find(|&at| is_tests(at)).unwrap_or(lines.len());
    lines[..end].iter().copied().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n")
}

/// The paths that a file imports, each from the root of the crate: `use super::{a::B, c}` gives two.
fn imports(path: &Path, code: &str) -> Vec<Vec<String>> {
    let module = module_of(path);
    let uses = code
        .match_indices("use ")
        .filter(|&(at, _)| code[..at].trim_end_matches("pub ").ends_with(['\n', ' ']) || at == 0);
    let trees = uses.filter_map(|(at, found)| code[at + found.len()..].split_once(';')).map(|(tree, _)| tree);
    let inline = ["crate::", "super::"].into_iter().flat_map(|start| {
        code.match_indices(start).map(|(at, _)| {
            let rest = &code[at..];
            &rest[..rest.find(|c: char| !c.is_alphanumeric() && c != '_' && c != ':').unwrap_or(rest.len())]
        })
    });
    let mut paths = Vec::new();
    for tree in trees.chain(inline) {
        expand(&[], tree, &mut paths);
    }
    paths.into_iter().filter_map(|path| resolved(&module, path)).collect()
}

/// The module of a file: `http/auth.rs` is `http::auth`, `http/mod.rs` is `http`.
fn module_of(path: &Path) -> Vec<String> {
    let names = path.with_extension("");
    let names = names.components().map(|name| name.as_os_str().to_string_lossy().into_owned());
    names.filter(|name| !["mod", "lib", "main"].contains(&name.as_str())).collect()
}

/// Writes out the groups of an import.
fn expand(prefix: &[&str], tree: &str, paths: &mut Vec<Vec<String>>) {
    let (head, group) = tree.split_once('{').map_or((tree, None), |(head, group)| (head, group.rsplit_once('}')));
    let names = head.split("::").map(str::trim).filter(|name| !name.is_empty());
    let names: Vec<&str> = prefix.iter().copied().chain(names).collect();
    let Some((group, _)) = group else {
        paths.push(names.into_iter().map(|name| name.split(' ').next().unwrap_or_default().to_owned()).collect());
        return;
    };
    let (mut depth, mut start) = (0, 0);
    for (at, c) in group.char_indices().chain([(group.len(), ',')]) {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                expand(&names, &group[start..at], paths);
                start = at + 1;
            }
            _ => {}
        }
    }
}

/// The path from the root of the crate; `None` for another crate.
fn resolved(module: &[String], path: Vec<String>) -> Option<Vec<String>> {
    let n_super = path.iter().take_while(|name| *name == "super").count();
    let rest = path[n_super..].iter().cloned();
    match path.first()?.as_str() {
        "super" => Some(module[..module.len().checked_sub(n_super)?].iter().cloned().chain(rest).collect()),
        "self" => Some(module.iter().cloned().chain(path[1..].iter().cloned()).collect()),
        "crate" | "ressort" => Some(path[1..].to_vec()),
        _ => None,
    }
}

#[test]
fn imports_point_down_and_never_to_the_side() {
    let layers: BTreeMap<&str, u8> = LAYERS.iter().copied().collect();
    for (path, module, text) in sources() {
        let own =
            *layers.get(module.as_str()).unwrap_or_else(|| panic!("{}: `{module}` is in no layer", path.display()));
        let code = code(&text);
        for import in imports(&path, &code) {
            let Some((name, &other)) = import.first().and_then(|name| Some((name, layers.get(name.as_str())?))) else {
                continue;
            };
            let fine = *name == module || other < own || own == 6;
            assert!(
                fine,
                "{} (layer {own}) imports crate::{name} (layer {other}); see docs/architecture.md",
                path.display()
            );
        }
    }
}

#[test]
fn files_import_one_another_in_no_circle() {
    let sources = sources();
    let files: BTreeMap<Vec<String>, &PathBuf> = sources.iter().map(|(path, _, _)| (module_of(path), path)).collect();
    // The file of a module is its face: what is below it may use it.
    let file_of = |import: &[String], own: &[String]| {
        let found = (1..=import.len()).rev().map(|n| &import[..n]).find(|module| files.contains_key(*module))?;
        (!own.starts_with(found)).then(|| found.to_vec())
    };
    let mut open: BTreeMap<Vec<String>, Vec<Vec<String>>> = BTreeMap::new();
    for (path, _, text) in &sources {
        let own = module_of(path);
        let imported = imports(path, &code(text)).iter().filter_map(|import| file_of(import, &own)).collect();
        open.insert(own, imported);
    }
    // A file that imports none of those left, or that none of those left imports, is in no circle.
    loop {
        let is_done = |file: &Vec<String>, imported: &[Vec<String>]| {
            !imported.iter().any(|other| open.contains_key(other))
                || !open.values().flatten().any(|other| other == file)
        };
        let left: BTreeMap<_, _> =
            open.clone().into_iter().filter(|(file, imported)| !is_done(file, imported)).collect();
        if left.len() == open.len() {
            let circle: Vec<String> = left.keys().map(|module| module.join("::")).collect();
            assert!(circle.is_empty(), "these files import one another in a circle: {circle:?}");
            return;
        }
        open = left;
    }
}

#[test]
fn grouped_and_relative_imports_are_seen() {
    let found = |path: &str, code: &str| {
        imports(Path::new(path), code).into_iter().map(|import| import.join("::")).collect::<Vec<_>>()
    };
    for (path, code, expected) in [
        ("http/auth.rs", "use crate::{score::flow::Flow, text};", &["score::flow::Flow", "text"][..]),
        (
            "http/auth.rs",
            "use super::super::score::{self, flow::{A, B}};",
            &["score::self", "score::flow::A", "score::flow::B"],
        ),
        ("http/mod.rs", "pub use super::score;", &["score"]),
        ("http/mod.rs", "use auth::X as Y;\nuse std::fmt;", &[]),
        ("http/mod.rs", "use self::auth::X as Y;", &["http::auth::X"]),
    ] {
        let mut paths = found(path, code);
        paths.dedup();
        assert!(expected.iter().all(|path| paths.contains(&(*path).to_owned())), "{code}: {paths:?}");
        assert!(!expected.is_empty() || paths.is_empty(), "{code}: {paths:?}");
    }
}

#[test]
fn some_crates_are_used_by_their_owners_only() {
    for (path, module, text) in sources() {
        let code = code(&text);
        for (name, owners) in OWNERS {
            let named = code.contains(&format!("{name}::")) && {
                // `crate_name::` and not the end of another name (`import::`, `ressort::`).
                code.match_indices(&format!("{name}::"))
                    .any(|(at, _)| !code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_'))
            };
            assert!(
                !named || owners.contains(&module.as_str()),
                "{} names `{name}`, which only {owners:?} may use",
                path.display()
            );
        }
    }
}

#[test]
fn every_file_says_what_it_is_for_and_stays_small() {
    const MAX_LINES: usize = 400;
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = Vec::new();
    ["src", "tests", "benches", "fuzz/targets"].iter().for_each(|dir| collect(&root.join(dir), &mut files));
    for path in files {
        let text = std::fs::read_to_string(&path).expect("readable");
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
