//! What reading a model folder takes, known before its large files are opened.

use std::path::Path;

use serde::Deserialize;
use serde_json::Value;

use super::folder::{checkpoint_dir, no_folder};
use super::onnx::OnnxFile;
use super::walk::{bounded_size, folder_files};
use super::{ManifestError, graph};
use crate::system::file_start::read_text;

/// Sizes of the files of a model folder that are read into memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReadingSizes {
    /// Of the ONNX file and the external data files that it names.
    pub onnx_bytes: u64,
    pub tokenizer_bytes: u64,
}

impl ReadingSizes {
    /// Looks at the files of `dir` without reading the large ones.
    ///
    /// # Errors
    /// Where a file cannot be read to its end in bounds.
    pub fn of(dir: &Path) -> Result<Self, ManifestError> {
        const MAX_CONFIG_BYTES: u64 = 16_000_000;
        if !dir.is_dir() {
            return Err(no_folder(dir));
        }
        let dir = &checkpoint_dir(dir);
        // Without a config.json it is another folder, which may hold anything; whoever reads it says what is missing.
        if dir.join("config.json").exists() {
            folder_files(dir)?;
        }
        for name in ["config.json", "tokenizer_config.json", "ressort.toml"] {
            bounded_size(&dir.join(name), MAX_CONFIG_BYTES)?;
        }
        let named = named_onnx(&dir.join("ressort.toml"));
        let onnx_file = match named {
            Some(file) => dir.join(file),
            // Where there is none, whoever reads the folder says so.
            None => graph::find_onnx(dir, None).map(|(file, _)| file).unwrap_or_else(|_| dir.join("model.onnx")),
        };
        // A file that is not readable is refused when it is read.
        let onnx_bytes = match bounded_size(&onnx_file, u64::MAX)? {
            0 => 0,
            n_bytes => OnnxFile::size_on_disk(&onnx_file).unwrap_or(n_bytes),
        };
        Ok(Self { onnx_bytes, tokenizer_bytes: bounded_size(&dir.join("tokenizer.json"), u64::MAX)? })
    }
}

/// The `file` of `[model]`; a file that is not readable as TOML is refused when it is read for all that it says.
fn named_onnx(path: &Path) -> Option<String> {
    let table: toml::Table = read_text(path).ok()?.parse().ok()?;
    Some(table.get("model")?.get("file")?.as_str()?.to_owned())
}

/// The parts of a `tokenizer.json` that can make a short text long.
#[derive(Deserialize)]
struct Expanding {
    #[serde(default)]
    normalizer: Value,
    #[serde(default)]
    post_processor: Value,
}

/// Refuses a `tokenizer.json` with the content `json` that multiplies a text: a few rules that each double it make gigabytes of one
/// sentence.
pub fn check_expansion(path: &Path, json: &[u8]) -> Result<(), ManifestError> {
    /// Above those of all published checkpoints, whose rules replace a character by at most three.
    const MAX_FACTOR: f64 = 1024.0;
    /// Tokens around a sequence; the usual are two.
    const MAX_SPECIAL: usize = 1024;
    /// The largest table in use (XLM-R's) has 0.3 MB.
    const MAX_TABLE_BYTES: usize = 4_000_000;
    // A file that is not readable is refused when it is read as a tokenizer.
    let Ok(Expanding { normalizer, post_processor }) = serde_json::from_slice(json) else { return Ok(()) };
    let invalid = |message| ManifestError::Invalid { path: path.to_owned(), message };
    const REMEDY: &str = "copy the checkpoint's own tokenizer.json here";
    let (factor, table_bytes) = expansion(&normalizer);
    if factor > MAX_FACTOR {
        return Err(invalid(format!("its normalizer makes a text more than {MAX_FACTOR} times as long; {REMEDY}")));
    }
    if table_bytes > MAX_TABLE_BYTES {
        return Err(invalid(format!(
            "its normalizer has a table of {table_bytes} bytes, at most {MAX_TABLE_BYTES} are read; {REMEDY}"
        )));
    }
    let n_special = n_special_tokens(&post_processor);
    if n_special > MAX_SPECIAL {
        return Err(invalid(format!(
            "it puts {n_special} tokens around a text, at most {MAX_SPECIAL} are read; {REMEDY}"
        )));
    }
    Ok(())
}

/// By how much a normalizer can multiply the characters of a text, and the size of its tables.
fn expansion(normalizer: &Value) -> (f64, usize) {
    let n_chars = |text: Option<&str>| text.unwrap_or_default().chars().count() as f64;
    match normalizer["type"].as_str() {
        Some("Sequence") => {
            let parts = normalizer["normalizers"].as_array().into_iter().flatten().map(expansion);
            parts.fold((1.0, 0), |(factor, bytes), (by, more)| (factor * by, bytes + more))
        }
        Some("Replace") => {
            let content = n_chars(normalizer["content"].as_str());
            let factor = match normalizer["pattern"]["String"].as_str() {
                Some(pattern) if !pattern.is_empty() => content / n_chars(Some(pattern)),
                // It may match between any two characters.
                _ => content + 1.0,
            };
            (factor.max(1.0), 0)
        }
        Some("Precompiled") => (1.0, normalizer["precompiled_charsmap"].as_str().map_or(0, str::len)),
        _ => (1.0, 0),
    }
}

/// How many tokens the template of a post-processor puts around one sequence.
fn n_special_tokens(processor: &Value) -> usize {
    let parts = processor["processors"].as_array().into_iter().flatten().map(n_special_tokens);
    let pieces = processor["single"].as_array().into_iter().flatten();
    let ids = pieces.filter_map(|piece| {
        let id = piece["SpecialToken"]["id"].as_str()?;
        processor["special_tokens"][id]["ids"].as_array().map(Vec::len)
    });
    parts.chain(ids).fold(0, usize::saturating_add)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn external_data_counts_before_it_is_read() {
        let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/models/bert-cased-ner-external-data");
        let sizes = ReadingSizes::of(&dir).unwrap();
        assert_eq!(sizes, ReadingSizes { onnx_bytes: 47_012 + 138_880, tokenizer_bytes: 12_400 });
    }

    #[test]
    #[cfg(unix)]
    fn a_folder_that_holds_no_model_is_not_searched() {
        let dir = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink(dir.path(), dir.path().join("circle")).unwrap();
        assert_eq!(ReadingSizes::of(dir.path()).unwrap(), ReadingSizes { onnx_bytes: 0, tokenizer_bytes: 0 });
        std::fs::write(dir.path().join("config.json"), "{}").unwrap();
        assert!(ReadingSizes::of(dir.path()).unwrap_err().to_string().contains("circle"));
    }

    #[test]
    fn a_tokenizer_that_multiplies_a_text_is_refused() {
        let replace =
            |pattern: Value, content: &str| json!({"type": "Replace", "pattern": pattern, "content": content});
        let doubling = || replace(json!({"String": "a"}), "aa");
        let sequence = |parts: Vec<Value>| json!({"type": "Sequence", "normalizers": parts});
        let pieces = vec![json!({"SpecialToken": {"id": "[CLS]"}}); 50];
        let template = |n: usize| json!({"type": "TemplateProcessing", "single": pieces, "special_tokens": {"[CLS]": {"ids": vec![1; n]}}});
        for (normalizer, post_processor, expected) in [
            (Value::Null, Value::Null, None),
            (sequence(vec![replace(json!({"Regex": " {2,}"}), "▁"); 5]), template(2), None),
            (sequence(vec![doubling(); 10]), Value::Null, None),
            (sequence(vec![doubling(); 33]), Value::Null, Some("1024 times as long")),
            (sequence(vec![sequence(vec![doubling(); 6]); 2]), Value::Null, Some("1024 times as long")),
            (replace(json!({"Regex": "x*"}), &"y".repeat(2000)), Value::Null, Some("1024 times as long")),
            (
                json!({"type": "Precompiled", "precompiled_charsmap": "A".repeat(5_000_000)}),
                Value::Null,
                Some("a table of 5000000"),
            ),
            (Value::Null, template(1000), Some("50000 tokens around")),
        ] {
            let json = json!({"normalizer": normalizer, "post_processor": post_processor}).to_string();
            let found =
                check_expansion(Path::new("tokenizer.json"), json.as_bytes()).map_err(|error| error.to_string());
            match expected {
                None => assert_eq!(found, Ok(())),
                Some(part) => assert!(found.as_ref().is_err_and(|error| error.contains(part)), "{found:?}"),
            }
        }
    }
}
