//! Which files of a repository make a model folder: what the service reads, and the texts that belong to it.

use std::path::Path;

use super::download::{Fetched, RemoteFile};
use super::listing::{ListedFile, Listing};
use super::repository::{Repository, stays_inside};
use super::{HubError, PulledFile};
use crate::manifest::NamedFiles;
use crate::system::choice::UnknownWord;

/// Which ONNX file is pulled.
#[derive(Debug, Clone, Default)]
pub struct Choice {
    /// By its path in the repository.
    pub file: Option<String>,
    /// By the precision that its name says.
    pub precision: Option<FilePrecision>,
}

/// The numbers of an ONNX file as hubs name them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, strum::Display, strum::EnumString, strum::VariantNames)]
#[strum(serialize_all = "lowercase", parse_err_ty = UnknownWord, parse_err_fn = UnknownWord::among::<FilePrecision>)]
pub enum FilePrecision {
    Fp32,
    Fp16,
    Bf16,
    Int8,
    Q4,
}

impl FilePrecision {
    /// By the words of a path: `onnx/model_quantized.onnx`, `int8/model.onnx`, `model_qint8_avx512.onnx`.
    fn of(path: &str) -> Self {
        let path = path.to_ascii_lowercase();
        let words: Vec<&str> = path.split(|c: char| !c.is_ascii_alphanumeric()).collect();
        let has = |known: &[&str]| words.iter().any(|word| known.contains(word));
        match () {
            () if has(&["q4", "q4f16", "bnb4", "int4", "uint4"]) => Self::Q4,
            () if has(&["quantized", "int8", "uint8", "qint8", "quint8", "q8"]) => Self::Int8,
            () if has(&["fp16", "float16", "o4"]) => Self::Fp16,
            () if has(&["bf16", "bfloat16"]) => Self::Bf16,
            () => Self::Fp32,
        }
    }
}

/// Usual names of ONNX files; where several would do, the first is taken. A model folder is read in the same order.
const USUAL: [&str; 11] = [
    "model.onnx",
    "model_fp32.onnx",
    "model_optimized.onnx",
    "model_quantized.onnx",
    "model_int8.onnx",
    "model_uint8.onnx",
    "model_fp16.onnx",
    "model_bf16.onnx",
    "model_q4.onnx",
    "model_q4f16.onnx",
    "model_bnb4.onnx",
];
const REQUIRED: [(&str, &str); 2] = [
    ("config.json", "a model folder needs the checkpoint's config.json: pull the repository of an exported classifier"),
    (
        "tokenizer.json",
        "a fast tokenizer is needed: load the checkpoint with transformers, and export it with `optimum-cli export onnx`",
    ),
];
const MANIFEST: &str = "ressort.toml";
const OPTIONAL: [&str; 11] = [
    "tokenizer_config.json",
    "special_tokens_map.json",
    MANIFEST,
    "README.md",
    "NOTICE",
    "NOTICE.txt",
    "NOTICE.md",
    "LICENSE",
    "LICENSE.txt",
    "LICENSE.md",
    "LICENCE",
];

/// The files of a repository, and where its model folder begins.
pub struct RepositoryLayout<'l> {
    repository: &'l Repository,
    listing: &'l Listing,
    /// The folder in the repository that becomes the model folder: empty, or `onnx/`.
    base: &'static str,
}

impl<'l> RepositoryLayout<'l> {
    /// # Errors
    /// Where neither the repository nor its `onnx` folder has what a model folder needs.
    pub fn of(repository: &'l Repository, listing: &'l Listing) -> Result<Self, HubError> {
        let layout = |base| Self { repository, listing, base };
        let lacking = |layout: &Self| REQUIRED.into_iter().find(|(name, _)| layout.file(name).is_none());
        let Some((file, remedy)) = lacking(&layout("")) else { return Ok(layout("")) };
        match lacking(&layout("onnx/")) {
            None => Ok(layout("onnx/")),
            Some(_) => Err(HubError::Missing { repository: repository.id.clone(), file: file.to_owned(), remedy }),
        }
    }

    /// The path in the model folder of a file at `path` in the repository.
    pub fn inside<'p>(&self, path: &'p str) -> &'p str {
        path.strip_prefix(self.base).unwrap_or(path)
    }

    /// The repository's `ressort.toml`.
    pub fn manifest(&self) -> Option<&'l ListedFile> {
        self.file(MANIFEST)
    }

    pub fn manifest_path(&self) -> String {
        format!("{}{MANIFEST}", self.base)
    }

    /// The ONNX file: the one chosen, else that of the `ressort.toml`, else the first usual one, else the only one.
    pub fn choose_onnx(&self, choice: &Choice, named: Option<&Path>) -> Result<&'l ListedFile, HubError> {
        let all: Vec<&ListedFile> = self.listing.files.iter().filter(|file| self.is_onnx(file)).collect();
        if all.is_empty() {
            let remedy = "export the checkpoint: optimum-cli export onnx --model ORG/NAME FOLDER (scripts/export_model.py says how)";
            let (repository, file) = (self.repository.id.clone(), "ONNX file".to_owned());
            return Err(HubError::Missing { repository, file, remedy });
        }
        let none = |wanted: String| HubError::NoSuchOnnx {
            repository: self.repository.id.clone(),
            wanted,
            found: listed(&all),
        };
        let by_path = |path: &str| {
            let found = all.iter().find(|file| file.path == path || self.inside(&file.path) == path);
            found.copied().ok_or_else(|| none(format!("`{path}`")))
        };
        if let Some(path) = &choice.file {
            return by_path(path.trim_start_matches("./"));
        }
        let fitting: Vec<&ListedFile> = match (choice.precision, named.and_then(Path::to_str)) {
            (None, Some(path)) => return by_path(path.trim_start_matches("./")),
            (None, None) => all.clone(),
            (Some(wanted), _) => {
                all.iter().copied().filter(|file| FilePrecision::of(self.inside(&file.path)) == wanted).collect()
            }
        };
        match (usual(&fitting), fitting.as_slice()) {
            (Some(file), _) => Ok(file),
            (None, [only]) => Ok(only),
            (None, []) => Err(none(choice.precision.map(|wanted| format!("in {wanted}")).unwrap_or_default())),
            (None, _) => Err(HubError::Undecided { repository: self.repository.id.clone(), found: listed(&fitting) }),
        }
    }

    /// What is read of the model, the data files of its ONNX file left out.
    pub fn served(&self, onnx: &'l ListedFile, named: &NamedFiles) -> Result<Vec<&'l ListedFile>, HubError> {
        let required = REQUIRED.into_iter().filter_map(|(name, _)| self.file(name));
        let mut served: Vec<&ListedFile> =
            required.chain(OPTIONAL.into_iter().filter_map(|name| self.file(name))).collect();
        const REMEDY: &str = "its ressort.toml names it; tell the owner of the repository";
        for list in [&named.truecase, &named.names].into_iter().flatten().filter_map(|path| path.to_str()) {
            served.push(self.named_file(list, "", REMEDY)?);
        }
        served.push(onnx);
        Ok(served)
    }

    /// Data files that the ONNX file has by their names, known before it is read.
    pub fn probable_data(&self, onnx: &ListedFile) -> Vec<&'l ListedFile> {
        let starts = [format!("{}_data", onnx.path), format!("{}.data", onnx.path)];
        let is_data = |file: &&ListedFile| starts.iter().any(|start| file.path.starts_with(start.as_str()));
        self.listing.files.iter().filter(is_data).collect()
    }

    /// The data files that the ONNX file names.
    pub fn data(&self, onnx: &ListedFile, locations: &[String]) -> Result<Vec<&'l ListedFile>, HubError> {
        let inside = self.inside(&onnx.path);
        let folder = inside.rsplit_once('/').map_or("", |(folder, _)| folder);
        const REMEDY: &str = "the ONNX file keeps its weights there; choose another ONNX file with --file, or tell the owner of the repository";
        locations.iter().map(|location| self.named_file(location, folder, REMEDY)).collect()
    }

    /// A file that another one names by a path from `folder`, which is in the model folder.
    fn named_file(&self, path: &str, folder: &str, remedy: &'static str) -> Result<&'l ListedFile, HubError> {
        let names = path.split('/').filter(|name| *name != ".");
        let path =
            Some(folder).filter(|folder| !folder.is_empty()).into_iter().chain(names).collect::<Vec<_>>().join("/");
        let repository = self.repository.id.clone();
        if !stays_inside(&path) {
            return Err(HubError::UnsafePath { repository, path });
        }
        self.file(&path).ok_or(HubError::Missing { repository, file: path, remedy })
    }

    pub fn pulled(&self, file: &Fetched) -> PulledFile {
        let RemoteFile { path, n_bytes, .. } = &file.remote;
        PulledFile { path: self.inside(path).to_owned(), n_bytes: *n_bytes, was_cached: file.was_cached }
    }

    fn file(&self, path: &str) -> Option<&'l ListedFile> {
        self.listing.file(&format!("{}{path}", self.base))
    }

    fn is_onnx(&self, file: &ListedFile) -> bool {
        file.path.starts_with(self.base) && file.path.ends_with(".onnx")
    }
}

/// The file with the most usual name, at one name the one in the fewest folders.
fn usual<'f>(files: &[&'f ListedFile]) -> Option<&'f ListedFile> {
    let rank = |file: &&&ListedFile| {
        let (folder, name) = file.path.rsplit_once('/').unwrap_or(("", &file.path));
        let rank = USUAL.iter().position(|usual| usual.eq_ignore_ascii_case(name))?;
        Some((rank, !folder.is_empty(), folder != "onnx", file.path.len()))
    };
    files.iter().filter(|file| rank(file).is_some()).min_by_key(rank).copied()
}

fn listed(files: &[&ListedFile]) -> String {
    const MAX_LISTED: usize = 20;
    let name = |file: &&ListedFile| format!("{} ({})", file.path, FilePrecision::of(&file.path));
    let names: Vec<String> = files.iter().take(MAX_LISTED).map(name).collect();
    let more = if files.len() > MAX_LISTED { ", …" } else { "" };
    names.join(", ") + more
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listing(paths: &[&str]) -> Listing {
        let file = |path: &&str| ListedFile { path: (*path).to_owned(), n_bytes: None, checksum: None };
        Listing { commit: "c".repeat(40), files: paths.iter().map(file).collect() }
    }

    fn choose(paths: &[&str], choice: &Choice, named: Option<&str>) -> Result<String, String> {
        let listing = listing(&[&["config.json", "tokenizer.json"], paths].concat());
        let repository = "a/b".parse().unwrap();
        let layout = RepositoryLayout::of(&repository, &listing).unwrap();
        let chosen = layout.choose_onnx(choice, named.map(Path::new));
        chosen.map(|file| file.path.clone()).map_err(|error| error.to_string())
    }

    fn precision(word: &str) -> Choice {
        Choice { precision: Some(word.parse().unwrap()), file: None }
    }

    #[test]
    fn the_precision_is_read_from_the_names_that_hubs_use() {
        for (path, expected) in [
            ("onnx/model.onnx", FilePrecision::Fp32),
            ("model_O2.onnx", FilePrecision::Fp32),
            ("onnx/model_quantized.onnx", FilePrecision::Int8),
            ("onnx/model_qint8_avx512_vnni.onnx", FilePrecision::Int8),
            ("int8/model.onnx", FilePrecision::Int8),
            ("onnx/model_fp16.onnx", FilePrecision::Fp16),
            ("model_O4.onnx", FilePrecision::Fp16),
            ("model_bf16.onnx", FilePrecision::Bf16),
            ("onnx/model_q4f16.onnx", FilePrecision::Q4),
            ("onnx/model_bnb4.onnx", FilePrecision::Q4),
        ] {
            assert_eq!(FilePrecision::of(path), expected, "{path}");
        }
    }

    #[test]
    fn one_onnx_file_is_chosen_by_path_precision_manifest_and_name_in_this_order() {
        let hub = ["onnx/model.onnx", "onnx/model_fp16.onnx", "onnx/model_int8.onnx", "onnx/model_quantized.onnx"];
        let default = Choice::default();
        let file = |path: &str| Choice { file: Some(path.to_owned()), precision: None };
        for (paths, choice, named, expected) in [
            (&hub[..], default.clone(), None, "onnx/model.onnx"),
            (&hub, precision("fp32"), None, "onnx/model.onnx"),
            (&hub, precision("int8"), None, "onnx/model_quantized.onnx"),
            (&hub[..3], precision("int8"), None, "onnx/model_int8.onnx"),
            (&hub, precision("fp16"), Some("onnx/model.onnx"), "onnx/model_fp16.onnx"),
            (&hub, default.clone(), Some("./onnx/model_int8.onnx"), "onnx/model_int8.onnx"),
            (&hub, file("onnx/model_int8.onnx"), Some("onnx/model.onnx"), "onnx/model_int8.onnx"),
            (&["model.onnx", "onnx/model.onnx"], default.clone(), None, "model.onnx"),
            (&["onnx/model.onnx", "int8/model.onnx"], precision("int8"), None, "int8/model.onnx"),
            (&["a.onnx"], default.clone(), None, "a.onnx"),
            (&["a.onnx", "model_quantized.onnx"], default.clone(), None, "model_quantized.onnx"),
        ] {
            assert_eq!(choose(paths, &choice, named).as_deref(), Ok(expected), "{paths:?} {choice:?} {named:?}");
        }
        for (paths, choice, expected) in [
            (&hub[..1], precision("q4"), "no ONNX file in q4; it has onnx/model.onnx (fp32)"),
            (&hub[..2], file("x.onnx"), "`x.onnx`; it has onnx/model.onnx (fp32), onnx/model_fp16.onnx (fp16)"),
            (&["a.onnx", "b.onnx"], default.clone(), "a.onnx (fp32), b.onnx (fp32); name one with --file"),
            (&["pytorch_model.bin"], default, "has no ONNX file; export the checkpoint"),
        ] {
            let error = choose(paths, &choice, None).unwrap_err();
            assert!(error.contains(expected), "{error}");
        }
    }

    #[test]
    fn the_onnx_folder_becomes_the_model_folder_where_it_alone_is_whole() {
        let paths = ["README.md", "config.json", "onnx/config.json", "onnx/model.onnx", "onnx/tokenizer.json"];
        let (listing, repository) = (listing(&paths), "a/b".parse().unwrap());
        let layout = RepositoryLayout::of(&repository, &listing).unwrap();
        let onnx = layout.choose_onnx(&Choice::default(), None).unwrap();
        let served = layout.served(onnx, &NamedFiles::default()).unwrap();
        let served: Vec<&str> = served.iter().map(|file| layout.inside(&file.path)).collect();
        assert_eq!(served, ["config.json", "tokenizer.json", "model.onnx"]);
    }

    #[test]
    fn what_the_service_does_not_read_is_not_pulled() {
        let paths = [
            "LICENSE",
            "README.md",
            "config.json",
            "cases.txt",
            "model.safetensors",
            "names.txt",
            "onnx/model.onnx",
            "onnx/model.onnx_data",
            "onnx/model_fp16.onnx",
            "pytorch_model.bin",
            "ressort.toml",
            "tokenizer.json",
            "vocab.txt",
        ];
        let (listing, repository) = (listing(&paths), "a/b".parse().unwrap());
        let layout = RepositoryLayout::of(&repository, &listing).unwrap();
        let onnx = layout.choose_onnx(&Choice::default(), None).unwrap();
        let paths = |files: Vec<&ListedFile>| files.iter().map(|file| file.path.clone()).collect::<Vec<_>>();
        let (truecase, names) = (Some("./cases.txt".into()), Some("names.txt".into()));
        let served = paths(layout.served(onnx, &NamedFiles { truecase, names, onnx: None }).unwrap());
        let read = ["config.json", "tokenizer.json", "ressort.toml", "README.md", "LICENSE"];
        assert_eq!(served, [&read[..], &["cases.txt", "names.txt", "onnx/model.onnx"]].concat());
        assert_eq!(paths(layout.probable_data(onnx)), ["onnx/model.onnx_data"]);
        assert_eq!(paths(layout.data(onnx, &["model.onnx_data".to_owned()]).unwrap()), ["onnx/model.onnx_data"]);
        for location in ["../../etc/passwd", "/etc/passwd", "none"] {
            layout.data(onnx, &[location.to_owned()]).unwrap_err();
        }
    }
}
