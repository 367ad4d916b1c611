//! Holds the manual: its commands exist, its examples print what it says, its links lead somewhere.
//!
//! A fenced block says by its language tag how it is held:
//!
//! | tag | held how |
//! |---|---|
//! | `sh run` | run by bash in a temporary folder, with a server at the address that the manual names |
//! | `json output`, `text output` | compared with what the block above it printed |
//! | `sh` | each command and flag must exist; nothing runs |
//! | `python FILE`, `js FILE` | it is this file, which `scripts/clients/run.sh` runs |
//! | `json`, `toml` | must parse; a `toml` block is a `ressort.toml` that the service reads |
//! | `toml config` | a configuration file of `ressort serve` |
//! | `python`, `xml` | used by `scripts/formats/check.py`, in the extended part of `scripts/test.sh` |
//!
//! `RESSORT_UPDATE_DOCS=1 cargo test --test it docs::` writes the answers again.

mod answer;
mod dependencies;
pub mod manual;
mod shell;

use std::path::Path;

use self::answer::Kind;
use self::manual::{Block, Page, pages, root, terms};
use self::shell::Shell;
use crate::support::copy_of;

#[test]
fn the_readme_is_one_page() {
    const MAX_LINES: usize = 180;
    let n_lines = Page::read("README.md").text.lines().count();
    assert!(n_lines <= MAX_LINES, "README.md has {n_lines} lines; what passes {MAX_LINES} belongs into docs/");
}

#[test]
fn examples_print_what_the_manual_says() {
    let update = std::env::var_os("RESSORT_UPDATE_DOCS").is_some();
    let mut wrong = Vec::new();
    for page in pages() {
        let (blocks, mut text) = (page.blocks(), page.text.clone());
        let shell = Shell::new(&blocks);
        let mut answers = Vec::new();
        for (block, next) in blocks.iter().zip(blocks.iter().skip(1).map(Some).chain([None])) {
            if block.tag != "sh run" {
                continue;
            }
            let printed = shell.run(&block.text).unwrap_or_else(|error| panic!("{}: {error}", page.at(block)));
            let Some((expected, kind)) = next.and_then(|next| Some((next, Kind::of(&next.tag)?))) else { continue };
            if let Err(difference) = kind.compare(&expected.text, &printed) {
                wrong.push(format!("{}: {difference}", page.at(expected)));
            }
            answers.push((expected.range.clone(), kind.show(&printed)));
        }
        if update {
            answers.into_iter().rev().for_each(|(range, answer)| text.replace_range(range, &answer));
            std::fs::write(root().join(&page.name), text).unwrap();
        }
    }
    let how = "run `RESSORT_UPDATE_DOCS=1 cargo test --test it docs::` if the new answers are right";
    assert!(update || wrong.is_empty(), "{}\n{how}", wrong.join("\n"));
}

#[test]
fn commands_and_flags_of_the_manual_exist() {
    for page in pages() {
        let blocks = page.blocks();
        let shell = Shell::new(&[]);
        for block in blocks.iter().filter(|block| block.tag == "sh") {
            shell.check(&block.text).unwrap_or_else(|error| panic!("{}: {error}", page.at(block)));
        }
    }
}

#[test]
fn flags_variables_and_files_named_in_sentences_exist() {
    const FOLDERS: [&str; 5] = ["src/", "scripts/", "tests/", "docs/", "models/ressort"];
    let known = shell::helps() + &manual::scripts_and_sources();
    for page in pages() {
        for word in page.inline_code() {
            let flag = word.split([' ', '=']).next().unwrap_or_default();
            if flag.starts_with("--") || flag.starts_with("RESSORT_") {
                assert!(known.contains(flag), "{}: nothing takes `{flag}`", page.name);
            }
            if FOLDERS.iter().any(|folder| flag.starts_with(folder)) {
                assert!(root().join(flag).exists(), "{}: there is no `{flag}`", page.name);
            }
        }
    }
}

#[test]
fn data_in_the_manual_parses() {
    for page in pages() {
        for block in page.blocks() {
            let at = page.at(&block);
            match block.tag.as_str() {
                "json" => drop(serde_json::from_str::<serde_json::Value>(&block.text).expect(&at)),
                "toml" => settings_are_known(&block.text, &at),
                "toml config" => configuration_is_known(&block.text, &at),
                "sh" | "sh run" | "text" | "json output" | "text output" | "python" | "xml" => {}
                other if other.starts_with("python ") || other.starts_with("js ") => is_file(&block, &at),
                other => panic!("{at}: no rule for blocks tagged `{other}`"),
            }
        }
    }
}

/// The tag names the file that the block shows.
fn is_file(block: &Block, at: &str) {
    let (_, file) = block.tag.split_once(' ').unwrap();
    assert_eq!(block.text, Page::read(file).text, "{at}: the block is not the file {file}");
}

/// A model folder with this `ressort.toml` may lack its labels, but no key is unknown or of a wrong type.
fn settings_are_known(toml: &str, at: &str) {
    let folder = copy_of("two-heads");
    std::fs::write(folder.path().join("ressort.toml"), toml).unwrap();
    let report = shell::ressort(&["inspect", "--json", &format!("example={}", folder.path().display())]);
    assert!(report.contains("\"servable\"") && !report.contains("TOML parse error"), "{at}: {report}");
}

/// Every key of a configuration file is known and its value allowed.
fn configuration_is_known(toml: &str, at: &str) {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), toml).unwrap();
    let settings = shell::ressort(&["serve", "--config", &file.path().to_string_lossy(), "--print-config"]);
    assert!(settings.starts_with("# Settings"), "{at}: {settings}");
}

#[test]
fn links_lead_to_files_and_headings() {
    for page in pages() {
        let folder = Path::new(&page.name).parent().unwrap().to_owned();
        for link in page.links().filter(|link| !link.contains("://")) {
            let (file, anchor) = link.split_once('#').unwrap_or((link, ""));
            let name =
                if file.is_empty() { page.name.clone() } else { folder.join(file).to_string_lossy().into_owned() };
            assert!(root().join(&name).exists(), "{}: the link to {link} leads nowhere", page.name);
            let found = anchor.is_empty() || Page::read(&name).anchors().any(|heading| heading == anchor);
            assert!(found, "{}: {name} has no heading #{anchor}", page.name);
        }
    }
}

#[test]
fn retired_words_do_not_come_back() {
    let terms = terms();
    assert!(terms.len() > 10, "the table of terms in docs/architecture.md was not found");
    let mut found = Vec::new();
    for (name, text) in manual::prose_and_code() {
        let lines: Vec<&str> = text.lines().collect();
        for (number, line) in lines.iter().enumerate() {
            let next = manual::joined(line, lines.get(number + 1).copied().unwrap_or_default());
            // A term may also go over the end of a line.
            let is_here = |term: &String| {
                manual::has_word(line, term)
                    || (manual::has_word(&next, term)
                        && !lines[number + 1..].iter().take(1).any(|line| manual::has_word(line, term)))
            };
            for term in terms.iter().filter(|term| is_here(term)) {
                found.push(format!("{name}:{}: `{term}`", number + 1));
            }
        }
    }
    assert!(found.is_empty(), "{}\nthe table of terms in docs/architecture.md says what to write", found.join("\n"));
}
