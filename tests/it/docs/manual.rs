//! The pages of the manual as text: fenced blocks, links, headings, the table of terms.

use std::ops::Range;
use std::path::{Path, PathBuf};

pub fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// A Markdown file, named by its path in the repository.
pub struct Page {
    pub name: String,
    pub text: String,
}

/// A fenced block: its whole tag, and the bytes of the page between the fences.
pub struct Block {
    pub tag: String,
    pub text: String,
    pub range: Range<usize>,
    line: usize,
}

/// All pages that a reader is sent to.
pub fn pages() -> Vec<Page> {
    let fixed = ["README.md", "CONTRIBUTING.md", "SECURITY.md"];
    let mut names: Vec<String> = fixed.map(str::to_owned).to_vec();
    let models = ["models/ressort/README.md", "models/ressort-mini/README.md"];
    names.extend(models.map(str::to_owned));
    names.extend(files("docs").into_iter().filter(|name| name.ends_with(".md")));
    names.iter().map(|name| Page::read(name)).collect()
}

/// The paths of all files below a folder of the repository, sorted.
fn files(folder: &str) -> Vec<String> {
    let (mut open, mut names) = (vec![root().join(folder)], Vec::new());
    while let Some(folder) = open.pop() {
        for path in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            match path.is_dir() {
                true => open.push(path),
                false => names.push(path.strip_prefix(root()).unwrap().to_string_lossy().into_owned()),
            }
        }
    }
    names.sort();
    names
}

impl Page {
    pub fn read(name: &str) -> Self {
        let text = std::fs::read_to_string(root().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
        Self { name: name.to_owned(), text }
    }

    /// File and line of a block, for messages.
    pub fn at(&self, block: &Block) -> String {
        format!("{}:{}", self.name, block.line)
    }

    pub fn blocks(&self) -> Vec<Block> {
        let (mut blocks, mut open, mut offset) = (Vec::new(), None, 0);
        for (number, line) in self.text.split_inclusive('\n').enumerate() {
            let (start, end) = (offset, offset + line.len());
            offset = end;
            let Some(tag) = line.strip_prefix("```") else { continue };
            match open.take() {
                None => open = Some((tag.trim().to_owned(), end, number + 1)),
                Some((tag, from, line)) => {
                    blocks.push(Block { tag, text: self.text[from..start].to_owned(), range: from..start, line });
                }
            }
        }
        assert!(open.is_none(), "{}: a fenced block does not end", self.name);
        blocks
    }

    /// The text without its fenced blocks.
    fn prose(&self) -> String {
        self.text.split("\n```").step_by(2).collect::<Vec<_>>().join("\n")
    }

    /// What stands in single backticks.
    pub fn inline_code(&self) -> Vec<String> {
        self.prose().split('`').skip(1).step_by(2).map(str::to_owned).collect()
    }

    /// Targets of `[…](target)`.
    pub fn links(&self) -> impl Iterator<Item = &str> {
        self.text.split("](").skip(1).filter_map(|rest| rest.split(')').next())
    }

    /// The anchors that GitHub gives to the headings.
    pub fn anchors(&self) -> impl Iterator<Item = String> {
        let headings = self.text.lines().filter(|line| line.starts_with('#'));
        headings.map(|line| {
            let kept = line.trim_start_matches('#').trim().to_lowercase();
            kept.chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c)).collect::<String>().replace(' ', "-")
        })
    }
}

/// Everything in which a flag or an environment variable may be defined.
pub fn scripts_and_sources() -> String {
    let names = files("scripts").into_iter().chain(files("src")).chain(files("tests/it"));
    let code = names.filter(|name| is_text(name) && !name.ends_with(".md"));
    code.map(|name| Page::read(&name).text).collect()
}

/// The retired words that the table of terms holds: those of its first column in backticks.
pub fn terms() -> Vec<String> {
    let map = Page::read("docs/architecture.md").text;
    let section = map.split("\n## Terms\n").nth(1).unwrap_or_default().split("\n## ").next().unwrap_or_default();
    let cells = section.lines().filter_map(|line| line.strip_prefix("| ")?.split(" | ").next());
    cells.flat_map(|cell| cell.split('`').skip(1).step_by(2)).map(str::to_owned).collect()
}

/// The texts in which retired words are looked for, by name: sources, scripts, manual. The table of terms itself is left out.
pub fn prose_and_code() -> Vec<(String, String)> {
    let names = ["src", "docs", "scripts", "models", "tests", "fuzz", "deploy", "benches"].into_iter().flat_map(files);
    let single = ["README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md", "Cargo.toml", "build.rs"];
    let names = names.chain(single.map(str::to_owned));
    let texts = names.filter(|name| is_text(name) && Path::new(name).file_name().is_some_and(|file| file != "NOTICE"));
    let read = texts.map(|name| (Page::read(&name).text, name));
    read.map(|(text, name)| (name, text.split("\n## Terms\n").next().unwrap_or_default().to_owned())).collect()
}

fn is_text(name: &str) -> bool {
    ["rs", "md", "py", "sh", "toml", "html", "txt", "js", "css", "yaml"]
        .iter()
        .any(|ending| name.ends_with(&format!(".{ending}")))
        && !["truecase.txt", "names.txt"].iter().any(|list| name.ends_with(list))
}

/// Two lines of prose as one, without what marks the second as a comment.
pub fn joined(line: &str, next: &str) -> String {
    format!("{} {}", line.trim_end(), next.trim_start_matches([' ', '/', '!', '#', '*']))
}

/// Whether a line holds `term` as words of their own. Case counts where the term has capitals.
pub fn has_word(line: &str, term: &str) -> bool {
    let line = if term.chars().any(char::is_uppercase) { line.to_owned() } else { line.to_lowercase() };
    let bounds = |c: Option<char>| c.is_none_or(|c| !c.is_alphanumeric() && c != '_');
    line.match_indices(term)
        .any(|(at, _)| bounds(line[..at].chars().next_back()) && bounds(line[at + term.len()..].chars().next()))
}
