//! The files of a model folder: everything that is read before ONNX Runtime opens the graph.
//!
//! The first byte chooses the file that the rest becomes; the other files are those of a small model.

#![no_main]

mod shared;

use std::cell::OnceCell;
use std::path::{Path, PathBuf};

use libfuzzer_sys::fuzz_target;
use ressort::inference::decode::names::NameList;
use ressort::inference::decode::word_tokens::Word;
use ressort::inference::decode::words::words;
use ressort::inference::tokenize::Tokenizer;
use ressort::manifest::{Manifest, ReadingSizes, check_expansion, content_hash};
use ressort::text::truecase::Truecaser;

const FILES: [&str; 7] = [
    "config.json",
    "ressort.toml",
    "tokenizer_config.json",
    "model.onnx",
    "tokenizer.json",
    "truecase.txt",
    "names.txt",
];

/// A model folder in memory, whose files are links to those of the model but for one.
struct Folder {
    dir: tempfile::TempDir,
    model: PathBuf,
}

thread_local! {
    static FOLDER: OnceCell<Folder> = const { OnceCell::new() };
}

impl Folder {
    fn new() -> Self {
        let model = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/models/lexicon-topics");
        let folder = Self { dir: shared::folder_in_memory(), model };
        FILES.iter().for_each(|name| folder.restore(name));
        folder
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Puts a file in place of the link.
    fn replace(&self, name: &str, content: &[u8]) {
        // It may not be there.
        let _ = std::fs::remove_file(self.path(name));
        std::fs::write(self.path(name), content).expect("the folder is writable");
    }

    /// Puts the file of the model back, where it has one.
    fn restore(&self, name: &str) {
        let _ = std::fs::remove_file(self.path(name));
        let original = self.model.join(name);
        if original.exists() {
            std::os::unix::fs::symlink(original, self.path(name)).expect("the folder is writable");
        }
    }
}

fn read(dir: &Path) {
    if let Ok(manifest) = Manifest::read(dir) {
        assert!(manifest.max_length >= 8);
        assert!(!manifest.tasks().is_empty(), "a model without a task is refused");
        assert!(manifest.onnx_file.starts_with(dir));
        let topics = manifest.topics.as_ref();
        assert!(topics.is_none_or(|head| head.temperature > 0.0));
        assert!(topics.is_none_or(|head| head.labels.iter().all(|label| (0.0..=1.0).contains(&label.threshold))));
    }
    let _ = ReadingSizes::of(dir);
    let _ = content_hash(dir);
}

fuzz_target!(init: shared::allow_panics_of_libraries(), |input: &[u8]| {
    let Some((file, content)) = input.split_first() else { return };
    let name = FILES[usize::from(*file) % FILES.len()];
    match name {
        "truecase.txt" => {
            let _ = Truecaser::from_bytes(Path::new(name), content);
        }
        "names.txt" => {
            if let Ok(list) = NameList::from_bytes(Path::new(name), content) {
                let text = String::from_utf8_lossy(content);
                let words: Vec<Word> = words(&text).into_iter().map(|span| Word { span, tokens: Vec::new() }).collect();
                list.find(&text, &words);
            }
        }
        "tokenizer.json" => FOLDER.with(|folder| {
            let folder = folder.get_or_init(Folder::new);
            folder.replace(name, content);
            if check_expansion(Path::new(name), content).is_ok()
                && let Ok(tokenizer) = Tokenizer::from_file(&folder.path(name))
            {
                let _ = tokenizer.tokenize("Angela Merkel sprach in München über „Ä\u{301}“.");
            }
            folder.restore(name);
        }),
        _ => FOLDER.with(|folder| {
            let folder = folder.get_or_init(Folder::new);
            folder.replace(name, content);
            read(folder.dir.path());
            folder.restore(name);
        }),
    }
});
